"""`python -m tests.ledger.billing_killed_at DSN ACCOUNT`: take a webhook, and be killed with it."""

import asyncio
import sys

from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.conftest import KEK, PEPPER
from tests.ledger.test_billing import bought


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main() -> None:
    settings = LedgerSettings(dsn=sys.argv[1], pepper=PEPPER, keks=(KEK,))
    async with Ledger.connect(settings) as ledger:
        account = await ledger.accounts.get(int(sys.argv[2]))
        say("taken")
        await ledger.billing.apply(bought(account))
        say("booked")
        await asyncio.sleep(3600)


if __name__ == "__main__":
    asyncio.run(main())
