"""What keys may do: kinds, rights, ends, replacements, last uses, and caps that hold."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import msgspec
import pytest

from ledger.accounts.accounts import Account
from ledger.accounts.caller import Caller
from ledger.accounts.keys import KEYS_MAX
from ledger.accounts.rights import (
    DEFAULT_SCOPES,
    OPERATIONS_MAX,
    KeyKind,
    Rights,
    Scope,
    allows,
    network,
)
from ledger.accounts.secret import new_secret, parse_secret
from ledger.conversion_id import new_conversion_id
from ledger.credits.operation import IdempotencyKey
from ledger.errors import (
    AccountFrozen,
    CapReached,
    InsufficientCredits,
    KeysExceeded,
    KeyUnknown,
)
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.ledger.waiting import eventually


async def _caller(ledger: Ledger, account: Account, rights: Rights) -> Caller:
    key = await ledger.keys.create(account.id, "test", rights)
    caller = await ledger.keys.authenticate(key.secret)
    assert caller is not None
    return caller


async def _convert(ledger: Ledger, caller: Caller, cost: int, key: str | None = None) -> None:
    async with ledger.debit(
        caller.account_id,
        cost,
        conversion_id=new_conversion_id(),
        key=IdempotencyKey(key, bytes(32)) if key else None,
        terms=caller.terms,
    ):
        pass


# What may be said


@pytest.mark.parametrize(
    ("patterns", "allowed"),
    [
        (["jpeg/webp"], True),
        (["*/webp"], True),
        (["jpeg/*"], True),
        (["*/*"], True),
        (["jpeg/webp:convert"], True),
        (["png/webp", "*/*:convert"], True),
        (["jpeg/webp:compress"], False),
        (["png/webp"], False),
        (["webp/jpeg"], False),
        ([], False),
    ],
)
def test_a_pattern_means_what_it_says(patterns: list[str], allowed: bool) -> None:
    assert allows(patterns, "jpeg", "webp", "convert") is allowed


@pytest.mark.parametrize(
    "pattern", ["", "jpeg", "jpeg/", "/webp", "jpeg/webp:", "JPEG/webp", "a/b/c", "**/a", "a /b"]
)
def test_what_is_no_operation_is_said_to_be_none(pattern: str) -> None:
    with pytest.raises(ValueError, match="operation"):
        Rights(operations=(pattern,))


@pytest.mark.parametrize("text", ["", "192.0.2", "192.0.2.1/24", "example.org", "::1/129"])
def test_what_is_no_network_is_said_to_be_none(text: str) -> None:
    with pytest.raises(ValueError, match="network"):
        network(text)


@pytest.mark.parametrize(
    "said",
    [
        {"scopes": frozenset()},
        {"operations": ("a/b",) * (OPERATIONS_MAX + 1)},
        {"day_max": 0},
        {"month_max": -1},
        {"day_max": 2**53},
        {"scopes": frozenset({Scope.KEYS_WRITE}), "month_max": 5},
        {"expires_at": datetime(2100, 1, 1)},  # noqa: DTZ001 (what is to be refused)
    ],
)
def test_rights_that_make_no_key_are_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"key|cap|operations"):
        Rights(**said)  # type: ignore[arg-type]


# Kinds


def test_a_key_says_what_kind_it_is_and_a_signing_key_lets_nobody_in() -> None:
    assert new_secret(KeyKind.TEST).text.startswith("eph_test_")
    assert parse_secret(new_secret(KeyKind.TEST).text) is not None
    assert new_secret(KeyKind.SIGNING).text.startswith("eph_sign_")
    assert parse_secret(new_secret(KeyKind.SIGNING).text) is None


async def test_a_key_of_another_prefix_is_another_key(ledger: Ledger, account: Account) -> None:
    """The prefix is part of what is hashed: a test key cannot be made a live one by its owner."""
    key = await ledger.keys.create(account.id, "test", kind=KeyKind.TEST)
    assert await ledger.keys.authenticate(key.secret) is not None
    assert await ledger.keys.authenticate(key.secret.replace("eph_test_", "eph_live_")) is None


async def test_a_test_key_takes_nothing(ledger: Ledger, account: Account) -> None:
    key = await ledger.keys.create(account.id, "test", kind=KeyKind.TEST)
    caller = await ledger.keys.authenticate(key.secret)
    assert caller is not None
    assert caller.test
    async with ledger.debit(
        account.id, 50, conversion_id=new_conversion_id(), terms=caller.terms
    ) as debit:
        assert (debit.credits, debit.balance, debit.repeat) == (0, 100, False)
    with pytest.raises(KeyError):
        async with ledger.debit(
            account.id, 50, conversion_id=new_conversion_id(), terms=caller.terms
        ):
            raise KeyError
    assert [entry.kind for entry in await ledger.entries(account.id)] == ["adjustment"]
    await ledger.accounts.set_status(account.id, "frozen")
    with pytest.raises(AccountFrozen):
        await _convert(ledger, caller, 1)


@pytest.mark.claim("C-KEY-3")
async def test_the_secret_of_a_signing_key_is_kept_sealed(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    key = await ledger.keys.create(account.id, "test", kind=KeyKind.SIGNING)
    standing = await ledger.tokens.standing(key.id, None)
    assert standing is not None
    assert standing.secret == key.secret.encode()
    assert key.secret not in repr(standing)
    row = await books.fetchrow("select * from accounts.api_key where id = $1", key.id)
    assert key.secret.encode() not in row["sealed"]
    assert key.secret[22:54] not in str(row)


# Rights are kept


async def test_what_was_said_is_what_is_believed_and_listed(
    ledger: Ledger, account: Account
) -> None:
    rights = Rights(
        scopes=frozenset({Scope.CONVERT, Scope.FILES}),
        operations=("jpeg/webp", "*/pdf"),
        addresses=(network("192.0.2.0/24"), network("2001:db8::1")),
        day_max=10,
        month_max=100,
        expires_at=datetime.now(UTC) + timedelta(days=1),
    )
    new = await ledger.keys.create(account.id, "laptop", rights)
    listed = await ledger.keys.get(account.id, new.id)
    assert listed == new.key == (await ledger.keys.list(account.id))[0]
    assert listed.prefix == f"eph_live_{new.id}"
    assert (listed.scopes, listed.operations) == (rights.scopes, rights.operations)
    assert (listed.addresses, listed.day_max) == (rights.addresses, 10)
    caller = await ledger.keys.authenticate(new.secret)
    assert caller is not None
    assert caller.scopes == {"convert", "files"}
    assert caller.terms.operations == (("jpeg/webp", "*/pdf"),)
    assert (caller.addresses, caller.expires_at) == (rights.addresses, rights.expires_at)


async def test_a_key_of_which_nothing_is_said_makes_no_other_keys(
    ledger: Ledger, account: Account
) -> None:
    caller = await _caller(ledger, account, Rights())
    assert caller.scopes == DEFAULT_SCOPES
    assert Scope.KEYS_WRITE not in caller.scopes


async def test_a_key_ends_when_its_time_is_up_even_where_it_is_believed(
    ledger: Ledger, account: Account
) -> None:
    end = datetime.now(UTC) + timedelta(seconds=0.4)
    key = await ledger.keys.create(account.id, "short", Rights(expires_at=end))
    assert await ledger.keys.authenticate(key.secret) is not None
    await eventually(lambda: _is_refused(ledger, key.secret))
    with pytest.raises(ValueError, match="over"):
        await ledger.keys.create(account.id, "late", Rights(expires_at=end))


async def test_an_account_has_so_many_keys_and_no_more(ledger: Ledger, account: Account) -> None:
    made = await asyncio.gather(
        *(ledger.keys.create(account.id, "many") for _ in range(KEYS_MAX + 7)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, KeysExceeded) for one in made) == 7
    await ledger.keys.revoke((await ledger.keys.list(account.id))[0].id)
    await ledger.keys.create(account.id, "room again")


async def test_another_accounts_key_is_unknown(ledger: Ledger, account: Account) -> None:
    other = await ledger.accounts.create("Grace")
    key = await ledger.keys.create(account.id, "mine")
    for asking in (
        ledger.keys.get(other.id, key.id),
        ledger.keys.rotate(other.id, key.id, timedelta()),
        ledger.keys.revoke(key.id, other.id),
    ):
        with pytest.raises(KeyUnknown):
            await asking
    assert await ledger.keys.authenticate(key.secret) is not None


# Replacing


async def test_a_replaced_key_works_on_for_a_while_and_says_so(
    ledger: Ledger, account: Account
) -> None:
    rights = Rights(scopes=frozenset({Scope.CONVERT}), operations=("*/pdf",), day_max=7)
    old = await ledger.keys.create(account.id, "laptop", rights)
    new = await ledger.keys.rotate(account.id, old.id, timedelta(days=7))
    before, after = [await ledger.keys.authenticate(one.secret) for one in (old, new)]
    assert before is not None
    assert after is not None
    assert (after.scopes, after.terms, after.label) == (before.scopes, before.terms, "laptop")
    assert before.deprecated_at is not None
    assert before.expires_at is not None
    assert timedelta(days=6) < before.expires_at - before.deprecated_at <= timedelta(days=7)
    assert (after.deprecated_at, after.expires_at) == (None, None)


async def test_a_key_replaced_without_overlap_ends_at_once(
    ledger: Ledger, account: Account
) -> None:
    old = await ledger.keys.create(account.id, "laptop")
    assert await ledger.keys.authenticate(old.secret) is not None
    new = await ledger.keys.rotate(account.id, old.id, timedelta())
    assert await ledger.keys.authenticate(old.secret) is None
    assert await ledger.keys.authenticate(new.secret) is not None


async def test_replacing_prolongs_nothing(ledger: Ledger, account: Account) -> None:
    end = datetime.now(UTC) + timedelta(hours=1)
    old = await ledger.keys.create(account.id, "laptop", Rights(expires_at=end))
    new = await ledger.keys.rotate(account.id, old.id, timedelta(days=7))
    assert new.key.expires_at == end
    assert (await ledger.keys.get(account.id, old.id)).expires_at == end
    with pytest.raises(ValueError, match="7 days"):
        await ledger.keys.rotate(account.id, new.id, timedelta(days=8))


async def test_a_revoked_key_is_not_replaced(ledger: Ledger, account: Account) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    await ledger.keys.revoke(key.id)
    with pytest.raises(KeyUnknown):
        await ledger.keys.rotate(account.id, key.id, timedelta(days=1))


# Last uses


async def test_a_use_is_written_down_later_and_moves_forward_only(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    assert key.key.last_used_at is None
    begun = datetime.now(UTC) - timedelta(seconds=1)
    await ledger.keys.authenticate(key.secret)
    assert await ledger.keys.uses.write() == 1
    used = (await ledger.keys.get(account.id, key.id)).last_used_at
    assert used is not None
    assert used > begun
    later = used + timedelta(hours=1)
    await books.execute("update accounts.api_key set last_used_at = $1", later)
    await ledger.keys.authenticate(key.secret)
    await ledger.keys.uses.write()
    assert (await ledger.keys.get(account.id, key.id)).last_used_at == later


async def test_writing_uses_down_makes_nobody_forget(ledger: Ledger, account: Account) -> None:
    await eventually(lambda: _is(ledger.keys.hearing.now))
    key = await ledger.keys.create(account.id, "laptop")
    other = await ledger.keys.create(account.id, "other")
    await ledger.keys.authenticate(key.secret)
    generation = ledger.keys.hearing.generation
    await ledger.keys.uses.write()
    # What is announced comes in order: the revocation is heard, and only it.
    await ledger.keys._database.value(
        "update accounts.api_key set revoked_at = now() where id = $1 returning 1", other.id
    )
    await eventually(lambda: _is(ledger.keys.hearing.generation > generation))
    assert ledger.keys.hearing.generation == generation + 1


async def test_a_closing_ledger_leaves_no_use_behind(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    key = await ledger.keys.create(account.id, "laptop")
    async with Ledger.connect(settings) as other:
        await other.keys.authenticate(key.secret)
    assert (await ledger.keys.get(account.id, key.id)).last_used_at is not None


# Caps


@pytest.mark.claim("C-KEY-4")
async def test_a_cap_holds_however_many_ask_at_once_and_wherever(
    ledger: Ledger, account: Account, settings: LedgerSettings
) -> None:
    caller = await _caller(ledger, account, Rights(day_max=10))
    async with Ledger.connect(settings) as other:
        ended = await asyncio.gather(
            *(_convert(ledger if n % 2 else other, caller, 3) for n in range(30)),
            return_exceptions=True,
        )
    refused = [one for one in ended if isinstance(one, CapReached)]
    assert len(refused) == 27
    assert {one.left for one in refused} == {1}
    assert await ledger.balance(account.id) == 91
    await _convert(ledger, caller, 1)
    with pytest.raises(CapReached, match=r"in a day \(UTC\) 0 are left"):
        await _convert(ledger, caller, 1)


async def test_what_fails_is_given_back_to_the_cap(ledger: Ledger, account: Account) -> None:
    caller = await _caller(ledger, account, Rights(day_max=10))
    for _ in range(5):
        with pytest.raises(KeyError):
            async with ledger.debit(
                account.id, 10, conversion_id=new_conversion_id(), terms=caller.terms
            ):
                raise KeyError
    await _convert(ledger, caller, 10)
    with pytest.raises(CapReached):
        await _convert(ledger, caller, 1)


async def test_what_runs_counts_and_what_the_balance_refuses_does_not(
    ledger: Ledger, account: Account
) -> None:
    caller = await _caller(ledger, account, Rights(day_max=1000))
    with pytest.raises(InsufficientCredits):
        await _convert(ledger, caller, 101)
    async with ledger.debit(account.id, 60, conversion_id=new_conversion_id(), terms=caller.terms):
        with pytest.raises(InsufficientCredits):
            await _convert(ledger, caller, 41)
        await _convert(ledger, caller, 40)
    await ledger.accounts.grant(account.id, 2000, "more")
    with pytest.raises(CapReached) as refusal:
        await _convert(ledger, caller, 901)
    assert refusal.value.left == 900


async def test_a_repeat_costs_nothing_of_a_cap_that_is_reached(
    ledger: Ledger, account: Account
) -> None:
    caller = await _caller(ledger, account, Rights(day_max=5))
    await _convert(ledger, caller, 5, key="once")
    await _convert(ledger, caller, 5, key="once")
    with pytest.raises(CapReached):
        await _convert(ledger, caller, 5, key="twice")


async def test_a_month_is_counted_from_its_first_day(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    caller = await _caller(ledger, account, Rights(day_max=50, month_max=60))
    first = datetime.now(UTC).date().replace(day=1)
    await books.executemany(
        "insert into credits.spent (spender, day, amount) values ($1, $2, $3)",
        [(caller.key_id, first - timedelta(days=1), 60)],
    )
    await _convert(ledger, caller, 50)
    await books.execute(
        "insert into credits.spent (spender, day, amount) values ($1, $2, 5)"
        " on conflict (spender, day) do update set amount = spent.amount + 5",
        *(caller.key_id, first),
    )
    with pytest.raises(CapReached) as refusal:
        await _convert(ledger, msgspec.structs.replace(caller, terms=_monthly(caller)), 6)
    assert refusal.value.left == 5


def _monthly(caller: Caller) -> object:
    return msgspec.structs.replace(caller.terms, day_max=None)


async def test_a_rotation_does_not_double_a_cap(ledger: Ledger, account: Account) -> None:
    old = await ledger.keys.create(account.id, "laptop", Rights(day_max=10))
    middle = await ledger.keys.rotate(account.id, old.id, timedelta(days=1))
    new = await ledger.keys.rotate(account.id, middle.id, timedelta(days=1))
    callers = [await ledger.keys.authenticate(one.secret) for one in (old, middle, new)]
    assert all(callers)
    await _convert(ledger, callers[0], 4)  # type: ignore[arg-type]
    await _convert(ledger, callers[1], 4)  # type: ignore[arg-type]
    with pytest.raises(CapReached) as refusal:
        await _convert(ledger, callers[2], 4)  # type: ignore[arg-type]
    assert refusal.value.left == 2


async def test_capped_and_free_spenders_travel_in_one_batch(
    ledger: Ledger, account: Account
) -> None:
    capped = await _caller(ledger, account, Rights(day_max=2))
    other = await _caller(ledger, account, Rights())
    ended = await asyncio.gather(
        *(_convert(ledger, one, 1) for _ in range(8) for one in (capped, other)),
        return_exceptions=True,
    )
    assert sum(one is None for one in ended) == 10
    assert await ledger.balance(account.id) == 90


async def test_what_was_spent_is_forgotten_after_two_months(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    caller = await _caller(ledger, account, Rights(day_max=2))
    await _convert(ledger, caller, 1)
    await books.execute("update credits.spending set day = day - 70")
    await books.execute(
        "insert into credits.spent values ($1, current_date - 70, 1), ($1, current_date, 1)",
        caller.key_id,
    )
    assert await ledger.upkeep.forget_spent() == 2
    assert await books.fetchval("select count(*) from credits.spent") == 1


async def _is_refused(ledger: Ledger, secret: str) -> bool:
    return await ledger.keys.authenticate(secret) is None


async def _is(truth: bool) -> bool:
    return truth
