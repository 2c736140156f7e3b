"""Random batches against a dictionary: the database must do what forty lines of Python do.

No input is left out because "the caller does not do that": unknown conversions, a settle and a
refund of one debit in one batch, references and keys twice in a batch, everything sent again.
"""

import asyncio
import os
from datetime import timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from ledger.credits.states import Event, State, transition
from tests.postgres import Server

ACCOUNTS = (1, 2, 3)
UNKNOWN = 9
CALL = "call credits.apply($1, '1 h', $2, $3, $4, $5, $6, $7, $8, $9, null, null, null)"
Row = tuple[str, int, int, UUID | None, str | None, bytes | None, str | None]


class Model:
    """Accounts, entries, open debits, keys; one operation after the other."""

    def __init__(self) -> None:
        self.balance = dict.fromkeys(ACCOUNTS, 0)
        self.booked: dict[tuple[int, str, str], int] = {}
        self.debits: dict[tuple[int, UUID], State] = {}
        self.cost: dict[tuple[int, UUID], int] = {}
        self.keys: dict[tuple[int, str], tuple[bytes, UUID]] = {}
        self._keys_before = self.keys
        self._debits_before = self.debits

    def apply(self, batch: list[Row]) -> list[str]:
        """Give the outcomes in the order of the batch."""
        # What travels with a key does not change it: a retry is told about that.
        self._keys_before = dict(self.keys)
        self._debits_before = dict(self.debits)
        first: dict[tuple[Any, ...], str] = {}
        held: set[tuple[int, str]] = set()
        refunds = {(row[1], row[3]) for row in batch if row[0] == "refund"}
        order = sorted(
            range(len(batch)),
            key=lambda at: (batch[at][1], batch[at][0] == "debit", batch[at][0] == "settle", at),
        )
        outcomes = [""] * len(batch)
        for at in order:
            kind, account, _, conversion, key, _, _ = batch[at]
            if account not in self.balance:
                outcomes[at] = "account_unknown"
            elif kind in ("purchase", "adjustment"):
                outcomes[at] = self._book(batch[at])
            elif (kind, account, conversion) in first:
                outcomes[at] = first[kind, account, conversion]
            elif kind == "debit":
                outcomes[at] = self._debit(batch[at], held)
            else:
                refund_too = (account, conversion) in refunds
                outcomes[at] = self._close(kind, (account, conversion), refund_too=refund_too)  # type: ignore[arg-type]
            first.setdefault((kind, account, conversion), outcomes[at])
            if kind == "debit" and key is not None:
                held.add((account, key))
        return outcomes

    def _book(self, row: Row) -> str:
        kind, account, amount, _, _, _, reference = row
        assert reference is not None
        before = self.booked.get((account, kind, reference))
        if before is not None:
            return "repeat" if before == amount else "reference_used"
        if self.balance[account] + amount < 0:
            return "insufficient"
        self.booked[account, kind, reference] = amount
        self.balance[account] += amount
        return "done"

    def _debit(self, row: Row, held: set[tuple[int, str]]) -> str:
        _, account, amount, conversion, key, fingerprint, _ = row
        assert conversion is not None
        state = self.debits.get((account, conversion), State.NOTHING)
        line = transition(state, Event.DEBIT)
        if state is not State.NOTHING:
            return line.outcome
        if (refusal := self._key_refusal(row, held)) is not None:
            return refusal
        if amount > self.balance[account]:
            return "insufficient"
        self.balance[account] -= amount
        self.debits[account, conversion] = line.result
        self.cost[account, conversion] = amount
        if key is not None:
            assert fingerprint is not None
            self.keys[account, key] = fingerprint, conversion
        return "done"

    def _key_refusal(self, row: Row, held: set[tuple[int, str]]) -> str | None:
        _, account, _, _, key, fingerprint, _ = row
        if key is None:
            return None
        if (account, key) in self._keys_before:
            used_for, holder = self._keys_before[account, key]
            if used_for != fingerprint:
                return "key_mismatch"
            settled = self._debits_before[account, holder] is State.SETTLED
            return "repeat" if settled else "key_in_flight"
        return "key_in_flight" if (account, key) in held else None

    def _close(self, kind: str, debit: tuple[int, UUID], *, refund_too: bool) -> str:
        state = self.debits.get(debit, State.NOTHING)
        if kind == "settle" and refund_too and state is State.OPEN:
            return "lapsed"  # the refund in this batch wins
        line = transition(state, Event(kind))
        if line.result is not state:
            self.debits[debit] = line.result
            if line.result is State.REFUNDED:
                self.balance[debit[0]] += self.cost[debit]
                self.keys = {
                    k: v for k, v in self.keys.items() if v[1] != debit[1] or k[0] != debit[0]
                }
        return line.outcome


accounts = st.sampled_from((*ACCOUNTS, UNKNOWN))
conversions = st.integers(0, 11).map(lambda number: UUID(int=number))
keys = st.sampled_from((None, "a", "b"))
fingerprints = st.sampled_from((b"x" * 32, b"y" * 32))
references = st.sampled_from("pqrs")


def _debit_row(account: int, amount: int, conversion: UUID, key: str | None, print_: bytes) -> Row:
    return "debit", account, amount, conversion, key, print_ if key else None, None


operations = st.one_of(
    st.builds(
        lambda account, amount, reference: (
            ("purchase", account, amount, None, None, None, reference)
        ),
        accounts,
        st.integers(1, 20),
        references,
    ),
    st.builds(
        lambda account, amount, reference: (
            ("adjustment", account, amount, None, None, None, reference)
        ),
        accounts,
        st.integers(-9, 9).filter(bool),
        references,
    ),
    st.builds(_debit_row, accounts, st.integers(1, 9), conversions, keys, fingerprints),
    st.builds(
        lambda kind, account, conversion: (kind, account, 0, conversion, None, None, None),
        st.sampled_from(("settle", "refund")),
        accounts,
        conversions,
    ),
)


class Machine(RuleBasedStateMachine):
    """Sends batches to the database and to the model."""

    runner: asyncio.Runner
    connection: asyncpg.Connection
    gateway: int

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.sent: list[list[Row]] = []
        self.runner.run(self._reset())

    async def _reset(self) -> None:
        await self.connection.execute(
            "set session_replication_role = replica;"
            "delete from credits.entry; delete from credits.account;"
            "delete from credits.open_debit; delete from credits.idempotency_key;"
            "set session_replication_role = origin"
        )
        await self.connection.executemany(
            "insert into credits.account (id) values ($1)", [(each,) for each in ACCOUNTS]
        )

    @rule(batch=st.lists(operations, min_size=1, max_size=12))
    def send(self, batch: list[Row]) -> None:
        """A new batch has the outcomes of the model."""
        expected = self.model.apply(batch)
        assert self._call(batch) == expected
        self.sent.append(batch)

    @rule(ago=st.integers(0, 5))
    def send_again(self, ago: int) -> None:
        """A batch whose answer was lost is sent again, sometimes after others were answered."""
        if self.sent:
            batch = self.sent[-1 - ago % len(self.sent)]
            expected = self.model.apply(batch)
            assert self._call(batch) == expected

    @invariant()
    def tables_are_the_model(self) -> None:
        """Balances, open debits and keys are the same on both sides, and nothing is violated."""
        self.runner.run(self._compare())

    async def _compare(self) -> None:
        fetch = self.connection.fetch
        balances = await fetch("select id, balance from credits.account")
        assert dict(balances) == self.model.balance
        found = await fetch("select account_id, conversion_id from credits.open_debit")
        assert {tuple(row) for row in found} == {
            debit for debit, state in self.model.debits.items() if state == "open"
        }
        found = await fetch(
            "select account_id, key, fingerprint, conversion_id from credits.idempotency_key"
        )
        assert {(row[0], row[1]): (row[2], row[3]) for row in found} == self.model.keys
        assert await fetch("select * from credits.violations") == []

    def _call(self, batch: list[Row]) -> list[str]:
        columns = [list(column) for column in zip(*batch, strict=True)]
        row = self.runner.run(
            self.connection.fetchrow(CALL, self.gateway, *columns, ["a reason"] * len(batch))
        )
        return list(row["outcomes"])


@pytest.fixture
def machine(server: Server) -> Any:
    """Give the machine, bound to a database of its own."""
    with asyncio.Runner() as runner:
        database = server.database()
        name = runner.run(database.__aenter__())
        Machine.runner = runner
        Machine.connection = runner.run(asyncpg.connect(dsn=server.admin(name)))
        Machine.gateway = runner.run(
            Machine.connection.fetchval(
                "insert into credits.gateway (expires_at) values (now() + $1) returning id",
                timedelta(hours=1),
            )
        )
        yield Machine
        runner.run(Machine.connection.close())
        runner.run(database.__aexit__(None, None, None))


def test_the_database_does_what_the_model_does(machine: type[Machine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=int(os.environ.get("EPHEMERA_EXAMPLES", "60")),
            stateful_step_count=15,
            deadline=None,
            # To shrink a counter-example takes minutes, and a mutant needs none.
            phases=[Phase.generate] if os.environ.get("EPHEMERA_NO_SHRINK") else list(Phase),
            suppress_health_check=list(HealthCheck),
        ),
    )
