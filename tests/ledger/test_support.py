"""Tickets and incidents: kept, answered, forgotten in time, and clocks that remind."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.errors import IncidentRefused, IncidentUnknown, TicketsExceeded, TicketUnknown
from ledger.ledger import Ledger
from ledger.mail.outbox import Letter
from ledger.settings import LedgerSettings
from ledger.support.incidents import NOTICE, Change, Incident, Reported
from ledger.support.tickets import OPEN_MAX, Asked

ADA = "ada@example.org"
STAFF = "help@convert.example"
OPERATOR = 9


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **times: float) -> None:
        self.now += timedelta(**times)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(settings: LedgerSettings, clock: Clock) -> AsyncIterator[Ledger]:
    async with Ledger.connect(settings, clock=clock) as ledger:
        yield ledger


@pytest.fixture
async def operator(books: asyncpg.Connection) -> int:
    await books.execute(
        "insert into people.person (id, address, created_at, password, pepper_id, password_at)"
        " values ($1, 'ops@convert.example', now(), '$argon2id$', 'x', now())",
        OPERATOR,
    )
    await books.execute("insert into people.staff values ($1, 'ops', now())", OPERATOR)
    return OPERATOR


def asked(account: Account | None = None, text: str = "It does not open.") -> Asked:
    return Asked(
        address=ADA,
        name="Ada",
        subject="A file",
        text=text,
        account_id=account.id if account else None,
    )


async def letters(ledger: Ledger) -> list[Letter]:
    found = await ledger.mail.claim(100)
    for letter in found:
        await ledger.mail.sent(letter)
    return sorted(found, key=lambda one: (one.to, one.kind))


async def test_who_writes_hears_that_it_arrived_and_staff_read_it(ledger: Ledger) -> None:
    ticket_id = await ledger.support.tickets.open(asked(), staff=STAFF)
    received, message = await letters(ledger)
    assert (received.to, received.kind) == (ADA, "contact_received")
    # Anybody can have this sent to anybody: it carries no word of theirs.
    assert received.fields == {"ticket": ticket_id}
    assert (message.to, message.kind) == (STAFF, "contact_message")
    assert message.fields["message"] == "It does not open."


async def test_an_answer_is_sent_and_the_conversation_goes_on(
    ledger: Ledger, account: Account, operator: int, clock: Clock
) -> None:
    tickets = ledger.support.tickets
    ticket_id = await tickets.open(asked(account))
    await letters(ledger)
    clock.turn(hours=1)
    await tickets.answer(ticket_id, "Try again.", by=operator)
    (answer,) = await letters(ledger)
    assert (answer.to, answer.fields["message"]) == (ADA, "Try again.")
    assert [one.state for one in await tickets.page(account_id=account.id)] == ["answered"]
    await tickets.add(account.id, ticket_id, "I did.", by=operator)
    ticket, messages = await tickets.get(ticket_id, account.id)
    assert ticket.state == "open"
    assert [(one.author, one.text) for one in messages] == [
        ("customer", "It does not open."),
        ("staff", "Try again."),
        ("customer", "I did."),
    ]
    await tickets.close(ticket_id, account.id)
    assert await tickets.page(state="open") == []


async def test_a_ticket_is_for_its_account_alone(ledger: Ledger, account: Account) -> None:
    other = await ledger.accounts.create("Eve", 0)
    tickets = ledger.support.tickets
    ticket_id = await tickets.open(asked(account))
    assert await tickets.page(account_id=other.id) == []
    for attempt in (
        tickets.get(ticket_id, other.id),
        tickets.add(other.id, ticket_id, "Hi", by=1),
        tickets.close(ticket_id, other.id),
        tickets.get("T-0000000000"),
    ):
        with pytest.raises(TicketUnknown):
            await attempt


async def test_nobody_fills_the_desk(ledger: Ledger, account: Account) -> None:
    tickets = ledger.support.tickets
    ids = [await tickets.open(asked()) for _ in range(OPEN_MAX)]
    with pytest.raises(TicketsExceeded):
        await tickets.open(asked())
    await tickets.open(asked(account))
    await tickets.close(ids[0])
    await tickets.open(asked())
    first = await tickets.page(limit=15)
    rest = await tickets.page(before=(first[-1].updated_at, first[-1].id), limit=15)
    assert len({one.id for one in (*first, *rest)}) == OPEN_MAX + 2


async def test_a_ticket_is_deleted_24_months_after_its_last_word(
    ledger: Ledger, clock: Clock, operator: int, books: asyncpg.Connection
) -> None:
    old = await ledger.support.tickets.open(asked())
    kept = await ledger.support.tickets.open(asked())
    clock.turn(days=10)
    await ledger.support.tickets.answer(kept, "Soon.", by=operator)
    left = []
    for days in (720, 1, 9, 1):  # 24 months are 731 days here
        clock.turn(days=days)
        await ledger.support.sweeper.sweep()
        left.append({one.id for one in await ledger.support.tickets.page()})
    assert left == [{old, kept}, {kept}, {kept}, set()]
    assert await books.fetchval("select count(*) from support.message") == 0


async def report(ledger: Ledger, **more: object) -> Incident:
    said = {"kind": "personal-data", "severity": "high", "title": "A dump is gone", "text": "Why"}
    return await ledger.support.incidents.report(
        Reported(**(said | more)),  # type: ignore[arg-type]
        actor="person:9",
    )


async def test_the_clock_of_a_breach_runs_from_when_we_knew(ledger: Ledger, clock: Clock) -> None:
    incident = await report(ledger, aware_at=clock.now - timedelta(hours=10))
    assert incident.authority_by == clock.now - timedelta(hours=10) + NOTICE
    await ledger.support.sweeper.sweep()
    assert ledger.support.sweeper.waiting.notice_h == 62
    assert (await report(ledger, kind="availability")).authority_by is None


async def test_the_clock_stops_when_the_authority_was_told_or_nobody_is_at_risk(
    ledger: Ledger, clock: Clock
) -> None:
    incidents = ledger.support.incidents
    told, harmless = await report(ledger), await report(ledger)
    change = Change(text="Told by its form.", authority_at=clock.now)
    assert (await incidents.change(told.id, change, actor="person:9")).authority_by is None
    change = Change(text="It was encrypted, the key is safe.", risk="none")
    assert (await incidents.change(harmless.id, change, actor="person:9")).authority_by is None
    assert await incidents.running() == []


async def test_operators_are_reminded_once_for_each_mark(
    ledger: Ledger, clock: Clock, operator: int
) -> None:
    await report(ledger)
    reminded = []
    for hours in (23, 1, 1, 23, 18, 6, 1):
        clock.turn(hours=hours)
        await ledger.support.incidents.remind()
        reminded.append(await ledger.support.incidents.remind() + len(await letters(ledger)))
    assert reminded == [0, 1, 0, 1, 1, 1, 0]
    assert operator


async def test_a_breach_is_not_closed_before_its_duties_are_done(
    ledger: Ledger, clock: Clock
) -> None:
    incidents, incident = ledger.support.incidents, await report(ledger)

    async def change(**given: object) -> Incident:
        return await incidents.change(
            incident.id,
            Change(text="x", **given),  # type: ignore[arg-type]
            actor="person:9",
        )

    for step in ({}, {"risk": "high"}, {"authority_at": clock.now}):
        await change(**step)
        with pytest.raises(IncidentRefused):
            await change(state="closed")
    assert (await change(people_at=clock.now)).people_owed is False
    assert (await change(state="closed")).closed_at == clock.now
    assert (await change(state="open")).closed_at is None
    with pytest.raises(IncidentRefused):
        await change(people_at=clock.now + timedelta(days=1))
    with pytest.raises(IncidentUnknown):
        await incidents.get("I-0000000000")


async def test_what_was_noted_of_an_incident_cannot_be_changed(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    incident = await report(ledger)
    _, notes = await ledger.support.incidents.get(incident.id)
    assert [(one.actor, one.text) for one in notes] == [("person:9", "Why")]
    for attack in (
        "update support.incident_note set text = ''",
        "delete from support.incident_note",
    ):
        with pytest.raises(asyncpg.RaiseError):
            await books.execute(attack)


async def test_a_proof_is_good_once_and_then_forgotten(
    ledger: Ledger, clock: Clock, books: asyncpg.Connection
) -> None:
    proofs = ledger.support.proofs
    until = clock.now + timedelta(minutes=30)
    assert [await proofs.spend(bytes(32), until) for _ in range(2)] == [True, False]
    clock.turn(minutes=31)
    await ledger.support.sweeper.sweep()
    assert await books.fetchval("select count(*) from support.proof") == 0
