"""The guards behind the code: each forged row is refused, or found by the audit."""

from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import pytest

from ledger.accounts.accounts import Account
from ledger.conversion_id import new_conversion_id
from ledger.ledger import Ledger

FORGE = """
insert into credits.entry
       (account_id, seq, amount, balance_after, created_at, kind, conversion_id, reference, reason)
values ($1, $2, $3, $4, now(), $5, $6, $7, 'forged')
"""
CONVERSION = UUID(int=7)


@pytest.fixture
async def forger(
    books: asyncpg.Connection,
) -> AsyncIterator[asyncpg.Connection]:
    """Give the superuser inside a serializable transaction that is rolled back."""
    transaction = books.transaction(isolation="serializable")
    await transaction.start()
    yield books
    await transaction.rollback()


async def forge(
    forger: asyncpg.Connection, account: Account, seq: int, amount: int, balance: int, *rest: object
) -> None:
    """Insert an entry, and make the account agree with it. `rest`: kind, conversion, reference."""
    await forger.execute(
        "update credits.account set balance = $2, seq = $3 where id = $1", account.id, balance, seq
    )
    kind, conversion_id, reference = rest or ("adjustment", None, "forged")
    await forger.execute(FORGE, account.id, seq, amount, balance, kind, conversion_id, reference)


async def test_the_forger_can_write_an_entry_that_is_right(
    forger: asyncpg.Connection, account: Account
) -> None:
    """Otherwise the refusals below would prove nothing."""
    await forge(forger, account, 2, 5, 105)


@pytest.mark.parametrize(
    ("seq", "amount", "balance"),
    [(2, 5, 106), (2, 5, 104), (3, 5, 105), (4, -100, 0)],
    ids=["too much", "too little", "a gap", "a gap to nothing"],
)
async def test_an_entry_that_does_not_follow_from_the_one_before_is_refused(
    forger: asyncpg.Connection, account: Account, seq: int, amount: int, balance: int
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await forge(forger, account, seq, amount, balance)
    assert refusal.value.sqlstate == "LD900"


async def test_an_entry_that_leaves_the_account_behind_is_refused(
    forger: asyncpg.Connection, account: Account
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await forger.execute(FORGE, account.id, 2, 5, 105, "adjustment", None, "forged")
    assert refusal.value.sqlstate == "LD900"


async def test_an_entry_without_an_account_is_refused(
    forger: asyncpg.Connection, account: Account
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await forger.execute(FORGE, account.id + 1, 1, 5, 5, "adjustment", None, "forged")
    assert refusal.value.sqlstate == "LD900"


async def test_a_second_entry_in_one_place_is_refused(
    forger: asyncpg.Connection, account: Account
) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await forger.execute(FORGE, account.id, 1, 5, 105, "adjustment", None, "forged")


async def test_an_entry_outside_a_serializable_transaction_is_refused(
    books: asyncpg.Connection, account: Account
) -> None:
    with pytest.raises(asyncpg.PostgresError) as refusal:
        async with books.transaction(isolation="repeatable_read"):
            await forge(books, account, 2, 5, 105)
    assert refusal.value.sqlstate == "LD001"


async def test_post_outside_a_serializable_transaction_is_refused(
    books: asyncpg.Connection, account: Account
) -> None:
    """Even for a settle, which writes no entry that would refuse it."""
    with pytest.raises(asyncpg.PostgresError) as refusal:
        await books.execute(
            "select credits.post(1, '1 s', '{settle}', array[$1::bigint], '{0}', array[$2::uuid],"
            " array[null::text], array[null::bytea], array[null::text], array[null::text])",
            account.id,
            CONVERSION,
        )
    assert refusal.value.sqlstate == "LD001"


@pytest.mark.parametrize(
    "row",
    [
        ("purchase", -5, None, "r"),
        ("purchase", 5, None, None),
        ("purchase", 5, CONVERSION, "r"),
        ("consumption", 5, CONVERSION, None),
        ("consumption", -5, None, None),
        ("consumption", -5, CONVERSION, "r"),
        ("refund", -5, CONVERSION, None),
        ("refund", 5, None, None),
        ("adjustment", 5, None, None),
        ("adjustment", 5, CONVERSION, "r"),
    ],
)
async def test_an_entry_of_the_wrong_shape_is_refused(
    forger: asyncpg.Connection, account: Account, row: tuple[str, int, UUID | None, str | None]
) -> None:
    kind, amount, *rest = row
    with pytest.raises(asyncpg.CheckViolationError):
        await forge(forger, account, 2, amount, 100 + amount, kind, *rest)


@pytest.mark.parametrize("kind", ["consumption", "refund"])
async def test_a_second_entry_of_a_kind_for_one_conversion_is_refused(
    forger: asyncpg.Connection, account: Account, kind: str
) -> None:
    amount = -5 if kind == "consumption" else 5
    await forge(forger, account, 2, amount, 100 + amount, kind, CONVERSION, None)
    with pytest.raises(asyncpg.UniqueViolationError):
        await forge(forger, account, 3, amount, 100 + 2 * amount, kind, CONVERSION, None)


async def test_a_second_booking_of_a_reference_is_refused(
    forger: asyncpg.Connection, account: Account
) -> None:
    await forge(forger, account, 2, 5, 105, "purchase", None, "payment")
    with pytest.raises(asyncpg.UniqueViolationError):
        await forge(forger, account, 3, 5, 110, "purchase", None, "payment")


async def test_a_balance_below_zero_is_refused(
    forger: asyncpg.Connection, account: Account
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await forger.execute("update credits.account set balance = -1 where id = $1", account.id)


async def test_an_entry_with_a_balance_below_zero_is_refused(
    forger: asyncpg.Connection, account: Account
) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await forger.execute(FORGE, account.id, 2, -101, -1, "adjustment", None, "forged")


@pytest.mark.parametrize(
    "statement",
    [
        "update credits.entry set amount = 1",
        "delete from credits.entry",
        "delete from credits.entry where seq = 1",
        "truncate credits.entry",
        "delete from credits.account",
        "truncate credits.account cascade",
    ],
)
@pytest.mark.usefixtures("account")
@pytest.mark.claim("C-MONEY-2")
async def test_not_even_the_superuser_rewrites_history(
    forger: asyncpg.Connection, statement: str
) -> None:
    with pytest.raises(asyncpg.RestrictViolationError):
        await forger.execute(statement)


async def test_an_account_cannot_be_opened_with_credits(forger: asyncpg.Connection) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        await forger.execute("insert into credits.account (id, balance) values (1, 5)")


# What each of these does, the triggers and constraints would have refused.
FORGERIES = {
    "broken chain": "update credits.entry set balance_after = balance_after + 1 where seq = 2",
    "balance is not the sum of the entries": "update credits.account set balance = balance + 1",
    "entry without account": "delete from credits.account",
    "debited or refunded twice": """
        insert into credits.entry select account_id, seq + 10, amount, balance_after, created_at,
               kind, conversion_id, reference, reason from credits.entry where kind = 'refund'
    """,
    "refund without its debit": "delete from credits.entry where kind = 'consumption'",
    "open without its debit": """
        insert into credits.open_debit select account_id, gen_random_uuid(), 1, 1, now(), null
          from credits.entry limit 1
    """,
    "open and refunded": """
        insert into credits.open_debit select account_id, conversion_id, 1, 1, now(), null
          from credits.entry where kind = 'refund'
    """,
    "key without a paid or open debit": """
        insert into credits.idempotency_key
        select account_id, 'key', 'f', gen_random_uuid(), now() from credits.entry limit 1
    """,
}


@pytest.mark.parametrize("what", FORGERIES)
async def test_the_audit_finds(
    account: Account, ledger: Ledger, books: asyncpg.Connection, what: str
) -> None:
    """Look for what a superuser did who switched the triggers and indexes off."""
    with pytest.raises(ZeroDivisionError):
        async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
            raise ZeroDivisionError
    assert await ledger.audit() == []
    transaction = books.transaction()
    await transaction.start()
    await books.execute("set local session_replication_role = replica")
    await books.execute("drop index credits.entry_once")
    await books.execute(FORGERIES[what])
    found = await books.fetch("select what from credits.violations")
    await transaction.rollback()
    assert what in {row["what"] for row in found}


async def test_the_audit_reports_through_the_ledger(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    await books.execute("alter table credits.account disable trigger all")
    await books.execute("update credits.account set balance = 101")
    violations = await ledger.audit()
    await books.execute("update credits.account set balance = 100")
    assert {violation.what for violation in violations} == {
        "balance is not the sum of the entries",
        "trial balance",
    }
    assert violations[0].account_id == account.id


async def test_entries_come_newest_first_and_page_by_page(ledger: Ledger, account: Account) -> None:
    for number in range(1, 10):
        await ledger.accounts.grant(account.id, number, "a present")
    pages = []
    before_seq = None
    while page := await ledger.entries(account.id, before_seq, 4):
        pages.append([entry.seq for entry in page])
        before_seq = page[-1].seq
    assert pages == [[10, 9, 8, 7], [6, 5, 4, 3], [2, 1]]


async def test_every_entry_carries_the_balance_after_it(ledger: Ledger, account: Account) -> None:
    await ledger.accounts.purchase(account.id, 11, "payment 1")
    await ledger.accounts.grant(account.id, -1, "mistake")
    newest_first = await ledger.entries(account.id)
    assert [(entry.kind, entry.credits, entry.balance) for entry in newest_first] == [
        ("adjustment", -1, 110),
        ("purchase", 11, 111),
        ("adjustment", 100, 100),
    ]


async def test_the_plan_of_a_batch_made_on_empty_tables_serves_full_ones(
    ledger: Ledger, account: Account, books: asyncpg.Connection
) -> None:
    """Every lookup is one probe of an index: no plan may read an account's whole history."""
    for _ in range(60):
        async with ledger.debit(account.id, 1, conversion_id=new_conversion_id()):
            pass
    await books.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )  # a backend's statistics are complete when it has ended
    await ledger.accounts.grant(account.id, 1, "wait for the writer's new connection")
    scans = await books.fetch(
        "select relname, indexrelname, idx_scan, idx_tup_read from pg_stat_user_indexes"
        " where schemaname = 'credits' and idx_scan > 50"
    )
    assert {row["indexrelname"] for row in scans} >= {"entry_once", "entry_pkey"}
    assert [row for row in scans if row["idx_tup_read"] > 2 * row["idx_scan"]] == []
    assert (
        await books.fetchval("select seq_scan from pg_stat_user_tables where relname = 'entry'")
        == 0
    )
