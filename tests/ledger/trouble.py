"""A conversion on its way into trouble at a named step, in this process or in one of its own.

`python -m tests.ledger.trouble SETTINGS ACCOUNT STEP PATH MOMENT` kills itself there, and prints
what its customer was told until then.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

import msgspec

from ledger.conversion_id import new_conversion_id
from ledger.credits.step import Step
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings

COST = 3
# A conversion that succeeds, one that fails, one whose client hangs up when its debit is sent; and
# whether the trouble comes with its debit or with its end.
SUCCESS, FAILURE, HANG_UP = "success", "failure", "hang-up"
AT_DEBIT, AT_END = "at the debit", "at the end"
_TASK = "conversion"


class Saboteur:
    """An observer that does its worst, once, at a step, after it was armed."""

    def __init__(self, step: Step, worst: Callable[[], None]) -> None:
        self.step = step
        self.armed = False
        self.reached = False
        self._worst = worst

    def __call__(self, step: Step) -> None:
        if self.armed and step is self.step:
            self.armed, self.reached = False, True
            self._worst()


class Trouble(Exception):
    """What nobody foresaw."""


def fail() -> None:
    """Raise, as a bug would."""
    raise Trouble


def cancel() -> None:
    """Cancel the conversion; where the step is the writer's, while it waits for the writer."""
    next(task for task in asyncio.all_tasks() if task.get_name() == _TASK).cancel()


def die() -> None:
    """End the process, as the kernel would for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


async def in_trouble(
    ledger: Ledger,
    account_id: int,
    saboteur: Saboteur,
    *,
    path: str,
    moment: str,
    tell: Callable[[str], None],
) -> None:
    """Convert once. `tell` is called with "delivered", and with "settled" when that is known."""
    conversion = _convert(ledger, account_id, saboteur, path=path, moment=moment, tell=tell)
    task = asyncio.create_task(conversion, name=_TASK)
    if path == HANG_UP:
        while not any(ticket.sent for ticket in ledger._writer._in_hand):  # noqa: ASYNC110 (nor this)
            await asyncio.sleep(0)
        task.cancel()
    await asyncio.wait([task])
    assert saboteur.reached, "this path does not come to this step"


async def _convert(
    ledger: Ledger,
    account_id: int,
    saboteur: Saboteur,
    *,
    path: str,
    moment: str,
    tell: Callable[[str], None],
) -> None:
    if moment == AT_DEBIT:
        await _prepare(ledger, saboteur)
    async with ledger.debit(account_id, COST, conversion_id=new_conversion_id()):
        if moment == AT_END:
            await _prepare(ledger, saboteur)
        if path == FAILURE:
            raise ZeroDivisionError
        tell("delivered")
    tell("settled")


async def _prepare(ledger: Ledger, saboteur: Saboteur) -> None:
    """Some steps are only reached when something was lost before."""
    while ledger._writer._connection is None:  # noqa: ASYNC110 (not an event of anybody)
        await asyncio.sleep(0)
    if saboteur.step is Step.LEASE_RENEWING:
        await ledger._database.value("delete from credits.gateway returning id")
    saboteur.armed = True
    if saboteur.step is Step.CONNECTING:
        ledger._writer._connection.terminate()


async def _main(settings: str, account_id: str, step: str, path: str, moment: str) -> None:
    saboteur = Saboteur(Step(step), die)
    there = msgspec.json.decode(settings.encode(), type=LedgerSettings)

    def tell(word: str) -> None:
        print(word, flush=True)  # noqa: T201 (to the test that started us)

    async with Ledger.connect(there, observe=saboteur) as ledger:
        await in_trouble(ledger, int(account_id), saboteur, path=path, moment=moment, tell=tell)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
