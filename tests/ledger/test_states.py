"""The table of a debit's life: what the database does, line by line, and what the README shows."""

from collections.abc import Awaitable, Callable
from itertools import product
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.credits.operation import Kind, Operation, Outcome, Status
from ledger.credits.states import TRANSITIONS, Event, State, Transition, diagram, transition
from ledger.errors import RefundRefused
from ledger.ledger import Ledger

README = Path(__file__).parents[2] / "ledger/README.md"
COST = 3
# How a conversion comes into a state, from nothing.
WAY_TO = {
    State.NOTHING: (),
    State.OPEN: (Event.DEBIT,),
    State.SETTLED: (Event.DEBIT, Event.SETTLE),
    State.REFUNDED: (Event.DEBIT, Event.REFUND),
}
# What the tables say about a conversion, in one word.
STATE = """
select case when d.seq is null then 'nothing'
            when r.seq is not null then 'refunded'
            when o.amount is not null then 'open'
            else 'settled' end
  from (values ($1::uuid)) c(id)
  left join credits.entry d on d.conversion_id = c.id and d.kind = 'consumption'
  left join credits.entry r on r.conversion_id = c.id and r.kind = 'refund'
  left join credits.open_debit o on o.conversion_id = c.id
"""

Send = Callable[[Event], Awaitable[Status]]
Balance = Callable[[], Awaitable[int]]


@pytest.fixture
def conversion_id() -> UUID:
    return new_conversion_id()


@pytest.fixture
def send(ledger: Ledger, account: Account, conversion_id: UUID) -> Send:
    async def sent(event: Event) -> Status:
        if event is Event.GOODWILL:
            try:
                await ledger.accounts.goodwill(account.id, conversion_id, COST, "reason", "ticket")
            except RefundRefused:
                return Status.LAPSED
            return Status.DONE
        outcome: Outcome = await ledger._writer.submit(
            Operation(
                kind=Kind(event),
                account_id=account.id,
                credits=COST if event is Event.DEBIT else 0,
                conversion_id=conversion_id,
            )
        ).answer
        return outcome.status

    return sent


@pytest.fixture
def balance(ledger: Ledger, account: Account) -> Balance:
    return lambda: ledger.balance(account.id)


@pytest.mark.parametrize("line", TRANSITIONS, ids=lambda line: f"{line.state}-{line.event}")
async def test_the_database_does_what_the_table_says(
    send: Send, balance: Balance, books: asyncpg.Connection, conversion_id: UUID, line: Transition
) -> None:
    for event in WAY_TO[line.state]:
        await send(event)
    assert await books.fetchval(STATE, conversion_id) == line.state
    assert await send(line.event) == line.outcome
    assert await books.fetchval(STATE, conversion_id) == line.result
    charged = line.result in (State.OPEN, State.SETTLED)
    assert await balance() == 100 - COST * charged


def test_every_event_has_one_answer_in_every_state() -> None:
    pairs = [(line.state, line.event) for line in TRANSITIONS]
    assert sorted(pairs) == sorted(product(State, Event))


def test_what_is_over_stays_over() -> None:
    """A refund is for ever; a settle too, except that a person may give credits back."""
    after = {line.result for line in TRANSITIONS if line.state is State.REFUNDED}
    assert after == {State.REFUNDED}
    by = {line.event for line in TRANSITIONS if line.state is State.SETTLED != line.result}
    assert by == {Event.GOODWILL}


def test_to_say_the_same_again_changes_nothing() -> None:
    for line in TRANSITIONS:
        again = transition(line.result, line.event)
        assert again.result is line.result


def test_the_readme_shows_the_table() -> None:
    shown = README.read_text().partition("<!-- states -->\n")[2].partition("\n<!-- /states -->")[0]
    assert shown == diagram(), "paste the output of: python -m ledger.credits.states"
