"""The audit records: before and after each action, never changed unseen, tried by attack."""

import asyncio
import hashlib
import json
from datetime import UTC, datetime
from uuid import UUID

import asyncpg
import pytest

from ledger.audit.record import GENESIS, Head, Outcome, Record
from ledger.errors import LedgerUnavailable
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.postgres import Server

WHO = {"actor": "uid:1000", "gateway": "here:1"}
UNSEEN = "set session_replication_role = replica; {}; set session_replication_role = origin"


async def act(ledger: Ledger, action: str = "pause", parameters: str = "{}") -> None:
    async with ledger.actions.recorded(**WHO, action=action, parameters=parameters):
        pass


def test_a_hash_can_be_made_by_any_program_that_has_the_row() -> None:
    record = Record(
        seq=2,
        at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
        action_id=UUID("01930000-0000-7000-8000-000000000001"),
        actor="uid:0",
        gateway="here:1",
        action="resize",
        parameters='{"slots":3}',
        outcome=Outcome.DONE,
        detail="ä",
    )
    row = [2, 1767323045678901, "01930000-0000-7000-8000-000000000001", "uid:0", "here:1"]
    row += ["resize", '{"slots":3}', "done", "ä"]
    text = json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode()
    digest = hashlib.blake2b(GENESIS + text, digest_size=32).digest()
    assert record.hash_after(GENESIS) == digest


async def test_an_action_is_on_record_before_it_happens(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    async with ledger.actions.recorded(**WHO, action="resize", parameters='{"slots":3}') as one:
        rows = await books.fetch("select actor, gateway, action, parameters, outcome from"
                                 " audit.record")  # fmt: skip
        assert [tuple(row) for row in rows] == [
            ("uid:1000", "here:1", "resize", '{"slots":3}', None)
        ]
        one.detail = '{"slots":3}'
    assert one.complete
    [listed] = await ledger.actions.list()
    assert (listed.outcome, listed.detail) == (Outcome.DONE, '{"slots":3}')


async def test_a_failure_and_a_cancellation_are_recorded_and_go_on(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError):
        async with ledger.actions.recorded(**WHO, action="recycle"):
            raise ZeroDivisionError("a sentence that may quote something")

    entered = asyncio.Event()

    async def waits() -> None:
        async with ledger.actions.recorded(**WHO, action="drain"):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    listed = await ledger.actions.list()
    assert [(one.action, one.outcome, one.detail) for one in listed] == [
        ("drain", Outcome.CANCELLED, ""),
        ("recycle", Outcome.FAILED, "ZeroDivisionError"),
    ]


async def test_without_a_ledger_nothing_is_done(ledger: Ledger) -> None:
    ledger._availability.up = False
    done = False
    with pytest.raises(LedgerUnavailable):
        async with ledger.actions.recorded(**WHO, action="pause"):
            done = True
    ledger._availability.up = True
    assert not done
    assert await ledger.actions.list() == []


async def test_an_end_that_cannot_be_written_does_not_undo_the_action(ledger: Ledger) -> None:
    async with ledger.actions.recorded(**WHO, action="pause") as one:
        ledger._availability.up = False
    ledger._availability.up = True
    assert not one.complete
    assert [each.outcome for each in await ledger.actions.list()] == [None]


async def test_several_gateways_write_one_unbroken_chain(
    ledger: Ledger, settings: LedgerSettings
) -> None:
    async with Ledger.connect(settings) as other:
        await asyncio.gather(*(act(each) for each in (ledger, other) for _ in range(15)))
        chain = await other.actions.verify()
    assert (chain.records, chain.intact) == (60, True)
    assert chain.head
    assert chain.head.seq == 60


@pytest.mark.parametrize(
    "attack",
    [
        "update audit.record set actor = 'uid:1'",
        "delete from audit.record",
        "truncate audit.record",
        "drop trigger record_append_only on audit.record",
        "alter table audit.record disable trigger all",
        "drop index audit.record_intent",
        "set session_replication_role = replica",
        "create table audit.mine ()",
    ],
)
async def test_the_service_itself_may_only_add(
    server: Server, database: str, ledger: Ledger, attack: str
) -> None:
    await act(ledger)
    connection = await asyncpg.connect(
        dsn=server.dsn(database), server_settings={"role": "ephemera_app"}
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute(attack)
    await connection.close()


INSERT = (
    "insert into audit.record select {seq}, now(), {id}, 'a', 'g', 'x', '{{}}', {outcome}, '',"
    " decode(repeat('00', 32), 'hex')"
)


@pytest.mark.parametrize(
    ("attack", "refusal"),
    [
        ("update audit.record set actor = 'uid:1'", asyncpg.RestrictViolationError),
        ("delete from audit.record where seq = 2", asyncpg.RestrictViolationError),
        ("truncate audit.record", asyncpg.RestrictViolationError),
        (
            INSERT.format(seq=4, id="gen_random_uuid()", outcome="null"),
            asyncpg.RestrictViolationError,
        ),
        (
            INSERT.format(seq=2, id="gen_random_uuid()", outcome="null"),
            asyncpg.UniqueViolationError,
        ),
        (
            INSERT.format(seq=3, id="gen_random_uuid()", outcome="'done'"),
            asyncpg.RestrictViolationError,
        ),
        (
            INSERT.format(
                seq=3, id="(select action_id from audit.record where seq = 1)", outcome="'done'"
            ),
            asyncpg.UniqueViolationError,
        ),
        (INSERT.format(seq=0, id="gen_random_uuid()", outcome="null"), asyncpg.CheckViolationError),
    ],
)
async def test_not_even_the_owner_changes_what_was_written(
    ledger: Ledger, books: asyncpg.Connection, attack: str, refusal: type[Exception]
) -> None:
    await act(ledger)
    with pytest.raises(refusal):
        await books.execute(attack)
    assert (await ledger.actions.verify()).records == 2


@pytest.mark.parametrize(
    ("forgery", "broken"),
    [
        ("update audit.record set actor = 'uid:1' where seq = 3", (3,)),
        ("update audit.record set at = at + interval '1 microsecond' where seq = 4", (4,)),
        ("update audit.record set outcome = 'failed' where seq = 2", (2,)),
        ("update audit.record set parameters = '{ }' where seq = 1", (1,)),
        ("update audit.record set hash = sha256('') where seq = 3", (3, 4)),
        ("delete from audit.record where seq = 3", (4,)),
        ("delete from audit.record where seq = 1", (2,)),
        (
            (
                "update audit.record set seq = -seq where seq in (2, 4);"
                "update audit.record set seq = 6 + seq where seq < 0"
            ),
            (2, 3, 4, 5),
        ),
    ],
)
async def test_a_superuser_without_triggers_leaves_a_broken_chain(
    ledger: Ledger, books: asyncpg.Connection, forgery: str, broken: tuple[int, ...]
) -> None:
    for _ in range(3):
        await act(ledger)
    assert (await ledger.actions.verify()).intact
    await books.execute("alter table audit.record drop constraint record_seq_check")
    await books.execute(UNSEEN.format(forgery))
    chain = await ledger.actions.verify()
    assert chain.broken == broken
    assert not chain.intact


async def test_a_chain_that_was_cut_is_found_by_a_head_that_was_noted(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    await act(ledger)
    await act(ledger)
    noted = (await ledger.actions.verify()).head
    assert noted
    await act(ledger)
    assert (await ledger.actions.verify(noted)).intact
    await books.execute(UNSEEN.format("delete from audit.record where seq > 2"))
    assert (await ledger.actions.verify()).intact
    assert (await ledger.actions.verify(noted)).holds is False


async def test_a_history_written_anew_is_found_by_a_head_that_was_noted(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    await act(ledger, "recycle")
    noted = (await ledger.actions.verify()).head
    await books.execute(UNSEEN.format("delete from audit.record"))
    await act(ledger, "pause")
    assert (await ledger.actions.verify()).intact
    assert not (await ledger.actions.verify(noted)).intact


async def test_an_empty_chain_is_whole(ledger: Ledger) -> None:
    chain = await ledger.actions.verify()
    assert (chain.records, chain.head, chain.intact) == (0, None, True)


def test_a_head_is_read_as_it_is_printed() -> None:
    head = Head(7, bytes(range(32)))
    assert Head.parse(str(head)) == head
    for text in ("", "7", "7:", "x:" + "00" * 32, "0:" + "00" * 32, "7:00", "7:" + "zz" * 32):
        with pytest.raises(ValueError, match="64 hexadecimal"):
            Head.parse(text)


async def test_the_newest_action_is_listed_first(ledger: Ledger) -> None:
    for action in ("pause", "resume", "resize"):
        await act(ledger, action)
    assert [one.action for one in await ledger.actions.list(2)] == ["resize", "resume"]
