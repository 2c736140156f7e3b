"""The worst, at every named await of a debit's path: it raises, it is cancelled, the process dies.

Then whoever lives recovers, and the books must say what the customer got: a result that was not
delivered costs nothing, one whose settle was answered costs its price, and nothing stays open.
"""

import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.credits.step import Step
from ledger.errors import LedgerFault
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.trouble import (
    AT_DEBIT,
    AT_END,
    COST,
    FAILURE,
    HANG_UP,
    SUCCESS,
    Saboteur,
    cancel,
    fail,
    in_trouble,
)
from tests.ledger.waiting import eventually

ROOT = Path(__file__).parents[2]

_BATCH = (Step.BATCH_TAKEN, Step.BATCH_SENDING, Step.BATCH_ANSWERED, Step.CONNECTING, Step.IDLE)
POINTS = [
    *((SUCCESS, AT_DEBIT, step) for step in (Step.DEBIT_QUEUED, Step.DEBIT_ANSWERED, *_BATCH)),
    (SUCCESS, AT_DEBIT, Step.LEASE_RENEWING),
    *((SUCCESS, AT_END, step) for step in (Step.SETTLE_QUEUED, Step.SETTLE_ANSWERED, *_BATCH)),
    *((FAILURE, AT_END, step) for step in (Step.REFUND_QUEUED, Step.REFUND_ANSWERED, *_BATCH)),
    *((HANG_UP, AT_DEBIT, step) for step in (Step.TAKING_BACK, Step.REFUND_QUEUED)),
    (HANG_UP, AT_DEBIT, Step.REFUND_ANSWERED),
]
EVERY_POINT = pytest.mark.parametrize(("path", "moment", "step"), POINTS)


def test_no_step_is_left_out() -> None:
    assert {step for _, _, step in POINTS} == set(Step)


@pytest.fixture
def settings(settings: LedgerSettings) -> LedgerSettings:
    """Nobody loses a lease by being slow: recovery is by the deadline, when the test says so."""
    return msgspec.structs.replace(settings, lease_s=60.0)


async def recovered(
    ledger: Ledger, account: Account, books: asyncpg.Connection, told: list[str]
) -> None:
    """What is open is swept; then the balance is what the customer was told, and all goes on."""

    async def swept() -> bool:
        await books.execute("update credits.open_debit set deadline = now()")
        if ledger.healthy():
            await ledger.sweeper.sweep()
        return bool(await books.fetchval("select count(*) = 0 from credits.open_debit"))

    await eventually(swept)
    balance = await ledger.balance(account.id)
    if "settled" in told:
        assert balance == 100 - COST
    elif "delivered" in told:
        assert balance in (100 - COST, 100)
    else:
        assert balance == 100
    assert await ledger.audit() == []
    async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
        pass
    assert await ledger.balance(account.id) == balance - 1


@EVERY_POINT
@pytest.mark.parametrize("worst", [fail, cancel])
async def test_it_raises_or_is_cancelled(
    settings: LedgerSettings,
    books: asyncpg.Connection,
    *,
    path: str,
    moment: str,
    step: Step,
    worst: Callable[[], None],
) -> None:
    told: list[str] = []
    saboteur = Saboteur(step, worst)
    async with Ledger.connect(settings, observe=saboteur) as ledger:
        account = await ledger.accounts.create("Ada", 100, "test")
        await in_trouble(ledger, account.id, saboteur, path=path, moment=moment, tell=told.append)
        await recovered(ledger, account, books, told)


@EVERY_POINT
async def test_the_process_dies(
    ledger: Ledger,
    account: Account,
    settings: LedgerSettings,
    books: asyncpg.Connection,
    *,
    path: str,
    moment: str,
    step: Step,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.ledger.trouble"),
        *(msgspec.json.encode(settings).decode(), str(account.id), step, path, moment),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    said, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL
    await recovered(ledger, account, books, said.decode().split())


async def test_a_debit_that_can_never_be_answered_is_refused_and_refunded(
    settings: LedgerSettings,
) -> None:
    """A bug of ours that comes again with the same batch; all others must get on."""
    answers_to_lose = 0

    def lose(step: Step) -> None:
        nonlocal answers_to_lose
        if step is Step.BATCH_ANSWERED and answers_to_lose:
            answers_to_lose -= 1
            fail()

    async with Ledger.connect(settings, observe=lose) as ledger:
        account = await ledger.accounts.create("Ada", 100, "test")
        answers_to_lose = 2
        with pytest.raises(LedgerFault):
            async with ledger.debit(account.id, COST, conversion_id=new_conversion_id()):
                pytest.fail("the block must not run")
        async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
            pass
        kinds = [entry.kind for entry in reversed(await ledger.entries(account.id))]
    assert kinds == ["adjustment", "consumption", "refund", "consumption"]


@pytest.mark.parametrize("moment", [AT_DEBIT, AT_END])
async def test_an_answer_that_is_lost_to_a_bug_is_asked_for_again(
    settings: LedgerSettings, moment: str
) -> None:
    """Nobody is told that something failed that was done."""
    told: list[str] = []
    saboteur = Saboteur(Step.BATCH_ANSWERED, fail)
    async with Ledger.connect(settings, observe=saboteur) as ledger:
        account = await ledger.accounts.create("Ada", 100, "test")
        await in_trouble(
            ledger, account.id, saboteur, path=SUCCESS, moment=moment, tell=told.append
        )
        assert told == ["delivered", "settled"]
        assert await ledger.balance(account.id) == 100 - COST
