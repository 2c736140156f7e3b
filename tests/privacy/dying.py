"""Carries out an erasure and kills itself after so many steps: `python -m tests.privacy.dying`."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime, timedelta
from uuid import UUID

from ledger.ledger import Ledger
from ledger.settings import LedgerSettings


async def main(dsn: str, pepper: str, kek: str, *asked: str) -> None:
    erasure, hours, steps = asked
    settings = LedgerSettings(dsn=dsn, pepper=bytes.fromhex(pepper), keks=(bytes.fromhex(kek),))

    def clock() -> datetime:
        return datetime.now(UTC) + timedelta(hours=int(hours))

    async with Ledger.connect(settings, clock=clock) as ledger:
        for _ in range(int(steps)):
            sys.stdout.write(f"{await ledger.privacy.erasures.steps.take(UUID(erasure))}\n")
            sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
