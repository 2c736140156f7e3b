"""What the ledger keeps of people: hashes, ends, one of each, and nothing after it is over."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from ledger.errors import AddressKnown, LinkUnknown, MembersExceeded, PersonUnknown
from ledger.ledger import Ledger
from ledger.people import members as members_module
from ledger.people.person import Begun, Client, Hashed, Link
from ledger.people.roles import Role, StaffRole
from ledger.people.secret import Shown, new_link
from ledger.settings import LedgerSettings

HASHED = Hashed("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "p")
CLIENT = Client(network=None, name="")
START = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def ledger(settings: LedgerSettings, clock: Clock) -> AsyncIterator[Ledger]:
    async with Ledger.connect(settings, clock=clock) as ledger:
        yield ledger


def link() -> Link:
    shown = new_link()
    return Link(shown=shown, url=f"https://example.org/link/{shown.text}")


async def signed_up(ledger: Ledger, address: str, credits: int = 0) -> Begun:
    one = link()
    await ledger.people.links.ask_sign_up(address, "Ada", one, "")
    return await ledger.people.links.sign_up(one.shown.text, HASHED, "", CLIENT, credits=credits)


async def texts(books: asyncpg.Connection, schemas: tuple[str, ...]) -> str:
    """Every row of these schemas as text."""
    tables = await books.fetch(
        "select format('%I.%I', schemaname, tablename) from pg_tables where schemaname = any ($1)",
        list(schemas),
    )
    rows = [str(await books.fetch(f"select t::text from {table} t")) for (table,) in tables]  # noqa: S608
    return "\n".join(rows)


async def test_of_many_sign_ups_of_one_address_with_credits_one_is_booked(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    links = [link() for _ in range(3)]
    for one in links:
        await ledger.people.links.ask_sign_up("ada@example.org", "", one, "")
    outcomes = await asyncio.gather(
        *(
            ledger.people.links.sign_up(one.shown.text, HASHED, "", CLIENT, credits=7)
            for one in links * 2
        ),
        return_exceptions=True,
    )
    (begun,) = [one for one in outcomes if isinstance(one, Begun)]
    assert all(isinstance(one, LinkUnknown) for one in outcomes if one is not begun)
    assert begun.account_id is not None
    assert await ledger.balance(begun.account_id) == 7
    for table in ("people.person", "people.member", "people.account", "credits.account"):
        assert await books.fetchval(f"select count(*) from {table}") == 1  # noqa: S608
    assert await books.fetchval("select count(*) from people.link") == 0


async def test_what_names_somebody_stands_in_the_schema_of_people_and_in_no_other(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    begun = await signed_up(ledger, "ada.lovelace@example.org", credits=5)
    assert begun.account_id is not None
    await ledger.people.persons.rename(begun.person_id, "Ada Lovelace")
    await ledger.people.persons.rename_account(begun.account_id, "Analytical Engines")
    await ledger.people.links.ask_reset("ada.lovelace@example.org", link())
    elsewhere = await texts(
        books, ("accounts", "credits", "audit", "files", "tasks", "mail", "ephemera")
    )
    for name in ("lovelace", "Lovelace", "Analytical"):
        assert name not in elsewhere
    assert "Lovelace" in await texts(books, ("people",))


async def test_no_secret_that_was_shown_stands_in_the_database(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    reset, device = link(), Shown("eph_dev_" + "x" * 43, bytes(32))
    await ledger.people.links.ask_reset("ada@example.org", reset)
    await ledger.people.persons.remember_device(begun.person_id, device)
    await ledger.people.factors.propose(begun.person_id, b"a seed of 20 bytes..")
    await ledger.people.factors.confirm(
        begun.person_id, b"a seed of 20 bytes..", 1, ["aaaabbbbccccdddd"], begun.session_id
    )
    everything = await texts(books, ("people", "mail", "accounts", "audit"))
    for secret in (begun.secret, reset.shown.text, device.text, "aaaabbbbccccdddd"):
        assert secret not in everything
        assert secret.encode().hex() not in everything
    assert b"a seed of 20 bytes..".hex() not in everything


async def test_a_person_who_is_deleted_takes_everything_along(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    await ledger.people.links.ask_reset("ada@example.org", link())
    await ledger.people.staff.give(begun.person_id, StaffRole.OPS)
    await ledger.people.persons.remember_device(begun.person_id, new_link())
    await books.execute("delete from people.person where id = $1", begun.person_id)
    for table in ("session", "device", "link", "staff", "member", "recovery_code"):
        assert await books.fetchval(f"select count(*) from people.{table}") == 0, table  # noqa: S608
    assert await ledger.people.sessions.authenticate(begun.secret) is None


async def test_a_session_of_a_closed_account_acts_for_none(ledger: Ledger) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    assert begun.account_id is not None
    await ledger.accounts.set_status(begun.account_id, "frozen")
    session = await ledger.people.sessions.authenticate(begun.secret)
    assert session is not None
    assert session.role is Role.OWNER
    await ledger.accounts.set_status(begun.account_id, "closed")
    session = await ledger.people.sessions.authenticate(begun.secret)
    assert session is not None
    assert session.role is None
    assert await ledger.people.persons.memberships(begun.person_id) == []


async def test_being_seen_is_written_once_a_minute(ledger: Ledger, clock: Clock) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    for seconds, seen_s in ((59, 0), (60, 0), (61, 60), (119, 60), (121, 60), (122, 121)):
        clock.now = START + timedelta(seconds=seconds)
        session = await ledger.people.sessions.authenticate(begun.secret)
        assert session is not None
        assert session.seen_at == START + timedelta(seconds=seen_s)


async def test_a_clock_that_is_behind_makes_no_session_older(ledger: Ledger, clock: Clock) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    clock.now = START + timedelta(hours=1)
    await ledger.people.sessions.authenticate(begun.secret)
    # Another gateway, whose clock is wrong.
    clock.now = START - timedelta(minutes=5)
    session = await ledger.people.sessions.authenticate(begun.secret)
    assert session is not None
    assert session.seen_at == START + timedelta(hours=1)


async def test_what_is_over_is_deleted(
    ledger: Ledger, clock: Clock, books: asyncpg.Connection
) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    assert begun.account_id is not None
    await ledger.people.links.ask_reset("ada@example.org", link())
    await ledger.people.persons.remember_device(begun.person_id, new_link())
    await ledger.people.members.invite(
        begun.account_id, "bob@example.org", Role.VIEWER, link(), by=begun.person_id
    )

    async def left() -> dict[str, int]:
        await ledger.people.sweeper.sweep()
        tables = ("link", "session", "invitation", "device")
        return {
            one: await books.fetchval(f"select count(*) from people.{one}")  # noqa: S608
            for one in tables
        }

    assert await left() == {"link": 1, "session": 1, "invitation": 1, "device": 1}
    clock.now = START + timedelta(minutes=30)
    assert await left() == {"link": 0, "session": 1, "invitation": 1, "device": 1}
    clock.now = START + timedelta(hours=12)
    assert await left() == {"link": 0, "session": 0, "invitation": 1, "device": 1}
    clock.now = START + timedelta(days=7)
    assert await left() == {"link": 0, "session": 0, "invitation": 0, "device": 1}
    clock.now = START + timedelta(days=180)
    assert (await left())["device"] == 0


async def test_an_address_has_three_links_of_one_kind_at_most(
    ledger: Ledger, clock: Clock, books: asyncpg.Connection
) -> None:
    await signed_up(ledger, "ada@example.org")
    links = []
    for number in range(5):
        clock.now = START + timedelta(seconds=number)
        links.append(link())
        await ledger.people.links.ask_reset("ADA@example.org", links[-1])
    assert await books.fetchval("select count(*) from people.link") == 3
    with pytest.raises(LinkUnknown):
        await ledger.people.links.reset(links[1].shown.text, HASHED)
    await ledger.people.links.reset(links[2].shown.text, HASHED)
    assert await books.fetchval("select count(*) from people.link") == 0


async def test_an_account_is_as_large_as_may_be_and_no_larger(ledger: Ledger) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    account = begun.account_id
    assert account is not None
    people = ledger.people
    made = [link() for _ in range(members_module.INVITATIONS_MAX + 1)]
    for number, one in enumerate(made[:-1]):
        await people.members.invite(account, f"{number}@example.org", Role.VIEWER, one, by=None)
    with pytest.raises(MembersExceeded):
        await people.members.invite(account, "x@example.org", Role.VIEWER, made[-1], by=None)
    # The last one is known here by now: the invitation waits until somebody signs in.
    await signed_up(ledger, "49@example.org")
    with pytest.raises(AddressKnown):
        await people.members.accept_as_new(made[49].shown.text, HASHED, "", CLIENT)
    assert len(await people.members.invitations(account)) == members_module.INVITATIONS_MAX
    async with ledger._database.session() as connection, connection.transaction():
        for number in range(members_module.MEMBERS_MAX - 1):
            address = f"member{number}@example.org"
            person = await people.persons.create(connection, address, "", HASHED)
            await people.persons.join(connection, account, person, Role.VIEWER)
    with pytest.raises(MembersExceeded):
        await people.members.accept_as_new(made[0].shown.text, HASHED, "", CLIENT)


async def test_a_password_that_changes_while_another_is_checked_begins_no_session(
    ledger: Ledger,
) -> None:
    begun = await signed_up(ledger, "ada@example.org")
    checked = await ledger.people.persons.credentials("ada@example.org")
    assert checked is not None
    other = Hashed(HASHED.text.replace("AAAA", "BBBB"), "p")
    await ledger.people.persons.set_password(begun.person_id, other, kept=None)
    with pytest.raises(PersonUnknown):
        await ledger.people.persons.sign_in(
            checked, CLIENT, mfa=False, device=new_link(), device_known=False
        )
    assert await ledger.people.sessions.list(begun.person_id) == []
