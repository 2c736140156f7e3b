"""Exports: everything that belongs to somebody, table by table, as the inventory says.

    async with exports.opened(whose) as opened:
        for table in opened.tables:
            async for rows in opened.rows(table):
                …               # JSON objects, encoded, a page at a time

All of it is as it was at one moment (REPEATABLE READ), however long it takes to read.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from ledger.database import AUDIT_TIMEOUT_S, Database
from ledger.mail.outbox import Outbox
from ledger.privacy.inventory import Column, Inventory, Table
from ledger.privacy.owner import WITH_OWNER, Whose, condition

# A page of the widest rows is about half a megabyte.
_PAGE_ROWS = 500


class Exports:
    """Opens exports. Raises LedgerUnavailable."""

    def __init__(self, database: Database, inventory: Inventory, mail: Outbox) -> None:
        self._database = database
        self._inventory = inventory
        self._mail = mail

    def whose(self, account_id: int | None, person_id: int, address: str) -> Whose:
        """What one person gets: what is theirs, and what is their account's."""
        return Whose(
            account_id=account_id,
            persons=(person_id,),
            addresses=(address.lower(),),
            mailboxes=(self._mail.mailbox(address),),
        )

    @asynccontextmanager
    async def opened(self, whose: Whose) -> AsyncIterator["Opened"]:
        """Hold one moment of the database still, for the length of the block."""
        async with (
            self._database.session() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Opened(connection, self._inventory, whose)


class Opened:
    """One export while it is read."""

    def __init__(self, connection: asyncpg.Connection, inventory: Inventory, whose: Whose) -> None:
        self.tables = [table for table in inventory.tables.values() if exported(table)]
        self._connection = connection
        self._inventory = inventory
        self._whose = whose

    async def rows(self, table: Table) -> AsyncIterator[list[bytes]]:
        """The owner's rows of a table, a page at a time, each as a JSON object."""
        names = [column.name for column in exported(table)]
        statement = f"""{WITH_OWNER}
            select {", ".join(names)} from {table.name}
             where {condition(self._inventory, table)} order by {", ".join(_order(table))}
        """  # noqa: S608 (names of the inventory)
        cursor = await self._connection.cursor(
            statement, *self._whose.arguments(), timeout=AUDIT_TIMEOUT_S
        )
        while page := await cursor.fetch(_PAGE_ROWS, timeout=AUDIT_TIMEOUT_S):
            yield [_encoded(row) for row in page]


def exported(table: Table) -> list[Column]:
    """The columns of a table that its owner is given; none where the table is nobody's."""
    return [column for column in table.columns if column.export] if table.of else []


def _order(table: Table) -> list[str]:
    """A stable order without knowing the keys: by the first four columns that are exported."""
    return [str(number) for number in range(1, min(4, len(exported(table))) + 1)]


def _encoded(row: asyncpg.Record) -> bytes:
    return msgspec.json.encode(dict(row), enc_hook=_plain)


def _plain(value: Any) -> str:
    """Networks, and whatever else JSON has no form for."""
    return str(value)
