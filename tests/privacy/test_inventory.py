"""The inventory is the schema: no column without a purpose, an end and an owner."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from ledger.privacy.inventory import FILE, Erase, Owner, inventory, read
from tests.postgres import Server

_COLUMNS = """
select table_schema || '.' || table_name || '.' || column_name
  from information_schema.columns
 where table_schema not in ('pg_catalog', 'information_schema')
   and not exists (select from pg_inherits i where i.inhrelid =
        (quote_ident(table_schema) || '.' || quote_ident(table_name))::regclass)
"""


@pytest.fixture
async def schema(server: Server) -> AsyncIterator[asyncpg.Connection]:
    async with server.database() as name:
        connection = await asyncpg.connect(dsn=server.admin(name))
        yield connection
        await connection.close()


async def _drift(connection: asyncpg.Connection) -> tuple[list[str], list[str]]:
    """What the inventory lacks, and what it has too many."""
    there = {row[0] for row in await connection.fetch(_COLUMNS)}
    said = {f"{column.table}.{column.name}" for column in inventory().columns()}
    return sorted(there - said), sorted(said - there)


@pytest.mark.claim("C-PRIV-1")
async def test_every_column_is_in_the_inventory_and_every_one_in_it_exists(
    schema: asyncpg.Connection,
) -> None:
    assert await _drift(schema) == ([], [])


@pytest.mark.claim("C-PRIV-1")
async def test_a_column_that_somebody_adds_is_noticed(schema: asyncpg.Connection) -> None:
    before, _ = await _drift(schema)
    await schema.execute("alter table people.person add column phone text")
    after, _ = await _drift(schema)
    assert set(after) - set(before) == {"people.person.phone"}


def test_whatever_names_somebody_goes_with_its_owner() -> None:
    kept = [
        f"{column.table}.{column.name}"
        for column in inventory().columns()
        if column.naming and column.erase is Erase.KEEP
    ]
    assert kept == []


async def test_what_goes_by_cascade_has_a_foreign_key_that_does_it(
    schema: asyncpg.Connection,
) -> None:
    for table in inventory().tables.values():
        if table.erased_by == "cascade":
            assert await schema.fetchval(
                "select true from pg_constraint where contype = 'f' and confdeltype = 'c'"
                " and conrelid = $1::text::regclass and confrelid = $2::text::regclass",
                table.name,
                table.of[0].table,
            ), table.name


def test_who_owns_a_row_is_found_without_going_in_circles() -> None:
    tables = inventory().tables
    for table in tables.values():
        seen = {table.name}
        ways = list(table.of)
        while ways:
            way = ways.pop()
            if way.owner is Owner.ROW:
                assert way.table not in seen
                seen.add(way.table)
                ways += tables[way.table].of


@pytest.mark.parametrize(
    ("old", "new", "wrong"),
    [
        ('erase = "delete"', 'erase = "forget"', "cannot be read"),
        ('retention = "account"', 'retention = "for ever"', "unknown retention"),
        ('"identifier: the name', '"thing: the name', "unknown category"),
        ('purposes = ["account", "security"]', 'purposes = ["profiling"]', "unknown purpose"),
        ('of = ["account:account_id"]', 'of = ["account:who"]', "a column it has not"),
        ('erase = "delete"', 'erase = "keep"', "is kept and does not say"),
        ('erase = "delete"', 'erase = "keep"\nbecause = "we like it"', "names somebody"),
    ],
)
def test_an_entry_that_makes_no_sense_is_refused(old: str, new: str, wrong: str) -> None:
    text = FILE.read_text()
    assert old in text
    with pytest.raises(ValueError, match=wrong):
        read(text.replace(old, new, 1))
