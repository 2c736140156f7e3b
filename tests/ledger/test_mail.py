"""The outbox: sent if and only if the transaction was, by one at a time, and then forgotten."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.errors import LetterUnknown, OutboxFull
from ledger.ledger import Ledger
from ledger.mail.limits import MailLimits
from ledger.mail.outbox import Letter
from ledger.settings import LedgerSettings

ADA = "ada@example.org"
LINK = {"link": "https://convert.example/confirm#eph_link_x"}
AT = {"at": "2026-11-20T12:00+00:00"}


class Clock:
    """A clock that tests turn."""

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


async def claimed(ledger: Ledger) -> Letter:
    (letter,) = await ledger.mail.claim(10)
    return letter


async def test_a_mail_is_sent_if_and_only_if_its_transaction_is_committed(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    undone = books.transaction()
    await undone.start()
    await ledger.mail.queue(books, "verify", ADA, LINK)
    await undone.rollback()
    assert await ledger.mail.claim(10) == []
    async with books.transaction():
        queued = await ledger.mail.queue(books, "verify", ADA, LINK)
        assert await ledger.mail.claim(10) == []
    letter = await claimed(ledger)
    assert (letter.id, letter.to, letter.fields) == (queued, ADA, LINK)


async def test_of_many_who_claim_at_once_each_mail_has_one(ledger: Ledger) -> None:
    for _ in range(20):
        await ledger.mail.queue(None, "password_changed", ADA, AT)
    claims = await asyncio.gather(*(ledger.mail.claim(7) for _ in range(6)))
    ids = [letter.id for claim in claims for letter in claim]
    assert len(ids) == len(set(ids)) == 20


async def test_what_a_mail_says_is_sealed_and_destroyed_when_it_was_delivered(
    ledger: Ledger, books: asyncpg.Connection
) -> None:
    await ledger.mail.queue(None, "verify", ADA, LINK)
    content = await books.fetchval("select content from mail.letter")
    assert b"ada" not in content
    assert b"eph_link" not in content
    assert await ledger.mail.sent(await claimed(ledger))
    row = await books.fetchrow("select state, content from mail.letter")
    assert tuple(row) == ("sent", None)


async def test_a_claimant_that_died_loses_its_mail_to_the_next_one(
    ledger: Ledger, clock: Clock
) -> None:
    await ledger.mail.queue(None, "password_changed", ADA, AT)
    lost = await claimed(ledger)
    assert await ledger.mail.claim(10) == []
    clock.turn(seconds=301)
    found = await claimed(ledger)
    assert (found.id, found.attempts) == (lost.id, 2)
    # The first one comes back, too late to say anything.
    assert not await ledger.mail.sent(lost)
    assert await ledger.mail.sent(found)


async def test_a_mail_that_was_put_off_is_due_again_after_its_pause(
    ledger: Ledger, clock: Clock
) -> None:
    await ledger.mail.queue(None, "password_changed", ADA, AT)
    assert await ledger.mail.put_off(await claimed(ledger), 60, "connection")
    clock.turn(seconds=59)
    assert await ledger.mail.claim(10) == []
    clock.turn(seconds=1)
    assert (await claimed(ledger)).attempts == 2


async def test_a_dead_letter_is_seen_without_its_content_and_can_be_tried_again(
    ledger: Ledger,
) -> None:
    queued = await ledger.mail.queue(None, "password_changed", ADA, AT)
    await ledger.mail.give_up(await claimed(ledger), "refused", 550)
    (dead,) = await ledger.mail.list()
    assert (dead.id, dead.error, dead.status) == (queued, "refused", 550)
    assert ADA not in str(msgspec.to_builtins(dead))
    assert await ledger.mail.retry(dead.id) == 1
    assert (await claimed(ledger)).attempts == 1
    with pytest.raises(LetterUnknown):
        await ledger.mail.retry(dead.id)


async def test_a_link_that_is_over_is_not_worth_sending(ledger: Ledger, clock: Clock) -> None:
    await ledger.mail.queue(None, "reset", ADA, LINK)
    clock.turn(minutes=31)
    letter = await claimed(ledger)
    assert letter.expired
    await ledger.mail.give_up(letter, "expired")
    with pytest.raises(LetterUnknown):
        await ledger.mail.retry(letter.id)
    assert await ledger.mail.retry() == 0


async def test_of_one_name_there_is_one_mail_however_many_queue_it_at_once(ledger: Ledger) -> None:
    once = await asyncio.gather(
        *(ledger.mail.queue(None, "password_changed", ADA, AT, once="a name") for _ in range(5))
    )
    assert len([queued for queued in once if queued]) == 1
    assert len(await ledger.mail.claim(10)) == 1


async def test_an_address_is_not_flooded_with_what_anybody_can_ask_for(
    ledger: Ledger, clock: Clock
) -> None:
    for _ in range(7):
        await ledger.mail.queue(None, "reset", ADA.upper(), LINK)
    await ledger.mail.queue(None, "password_changed", ADA, AT)
    assert len(await ledger.mail.claim(20)) == 5 + 1
    assert [dead.error for dead in await ledger.mail.list()] == ["too-many"] * 2
    clock.turn(minutes=61)
    await ledger.mail.queue(None, "reset", ADA, LINK)
    assert len(await ledger.mail.claim(20)) == 5 + 1 + 1


async def test_a_full_outbox_takes_only_what_people_have_to_hear(settings: LedgerSettings) -> None:
    few = msgspec.structs.replace(settings, mail=MailLimits(waiting_max=2))
    async with Ledger.connect(few) as ledger:
        for name in ("a", "b"):
            await ledger.mail.queue(None, "verify", f"{name}@example.org", LINK)
        with pytest.raises(OutboxFull):
            await ledger.mail.queue(None, "verify", "c@example.org", LINK)
        assert await ledger.mail.queue(None, "password_changed", ADA, AT)


@pytest.mark.parametrize(
    ("kind", "to", "fields"),
    [
        ("no_such_kind", ADA, {}),
        ("verify", ADA, {}),
        ("verify", ADA, {**LINK, "more": "x"}),
        ("verify", ADA, {"link": "x" * 10_001}),
        ("verify", "@", LINK),
        ("verify", "a@" + "b" * 253, LINK),
    ],
)
async def test_a_mail_that_nobody_could_write_is_refused_when_it_is_queued(
    ledger: Ledger, kind: str, to: str, fields: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="mail"):
        await ledger.mail.queue(None, kind, to, fields)


async def test_what_is_over_is_forgotten_in_time(ledger: Ledger, clock: Clock) -> None:
    await ledger.mail.queue(None, "password_changed", ADA, AT)
    await ledger.mail.sent(await claimed(ledger))
    await ledger.mail.queue(None, "password_changed", ADA, AT)
    await ledger.mail.give_up(await claimed(ledger), "refused")
    await ledger.mail.queue(None, "password_changed", ADA, AT)
    seen = []
    for days in (6, 2, 7):
        clock.turn(days=days)
        await ledger.mail_sweeper.sweep()
        everything = ("waiting", "sending", "sent", "dead")
        seen.append({one.state for one in await ledger.mail.list(everything)})
    assert seen == [{"sent", "dead", "waiting"}, {"dead", "waiting"}, {"waiting"}]
    fill = ledger.mail_sweeper.fill
    assert (fill.waiting, fill.dead, fill.lag_s) == (1, 0, 15 * 86_400)


async def test_all_mails_to_an_address_are_forgotten_with_it(ledger: Ledger) -> None:
    for to in (ADA, ADA.title(), "somebody.else@example.org"):
        await ledger.mail.queue(None, "password_changed", to, AT)
    assert await ledger.mail.forget(None, ADA) == 2
    assert (await claimed(ledger)).to == "somebody.else@example.org"


async def member(books: asyncpg.Connection, account: Account, number: int, role: str) -> str:
    address = f"{role}{number}@example.org"
    await books.execute(
        "insert into people.person (id, address, created_at, password, pepper_id, password_at)"
        " values ($1, $2, now(), '$argon2id$', 'x', now())",
        *(number, address),
    )
    await books.execute(
        "insert into people.member (account_id, person_id, role, since) values ($1, $2, $3, now())",
        *(account.id, number, role),
    )
    return address


async def spend(ledger: Ledger, account: Account, credits: int, *, fails: bool = False) -> None:
    with suppress(LookupError):
        async with ledger.debit(account.id, credits, conversion_id=new_conversion_id()):
            if fails:
                raise LookupError


async def told(ledger: Ledger) -> list[tuple[str, str]]:
    await asyncio.gather(*(ledger.low_balances.tell() for _ in range(4)))
    letters = await ledger.mail.claim(100)
    return sorted((letter.to, letter.fields["balance"]) for letter in letters)


async def test_whoever_can_buy_credits_hears_of_a_low_balance_once_for_each_crossing(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await books.execute("insert into people.account values ($1, 'Analytical Engines')", account.id)
    owner = await member(books, account, 1, "owner")
    billing = await member(books, account, 2, "billing")
    await member(books, account, 3, "viewer")
    await ledger.accounts.set_low_balance(account.id, 50)
    await spend(ledger, account, 60)
    assert await told(ledger) == [(billing, "40"), (owner, "40")]
    assert await told(ledger) == []
    # Credits that were given make the next crossing news again.
    await ledger.accounts.grant(account.id, 11, "a gift")
    await spend(ledger, account, 5)
    assert await told(ledger) == [(billing, "46"), (owner, "46")]


async def test_credits_that_come_and_go_with_refunds_are_no_news(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await books.execute("insert into people.account values ($1, 'Analytical Engines')", account.id)
    owner = await member(books, account, 1, "owner")
    await ledger.accounts.set_low_balance(account.id, 99)
    await spend(ledger, account, 2, fails=True)
    assert await told(ledger) == [(owner, "98")]
    await spend(ledger, account, 2, fails=True)
    assert await books.fetchval("select count(*) from mail.crossing") == 1
    assert await told(ledger) == []
    # Another threshold is another wish.
    await ledger.accounts.set_low_balance(account.id, 90)
    await spend(ledger, account, 20)
    assert await told(ledger) == [(owner, "80")]


async def test_a_crossing_of_an_account_without_members_is_told_to_nobody(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await ledger.accounts.set_low_balance(account.id, 50)
    await spend(ledger, account, 60)
    assert await told(ledger) == []
    assert await books.fetchval("select count(*) from mail.crossing") == 0
