"""Every byte of a database, looked through for words: in text, in JSON, and in binary columns."""

import re
from collections import Counter

import asyncpg

_TABLES = """
select quote_ident(schemaname) || '.' || quote_ident(tablename)
  from pg_tables where schemaname not in ('pg_catalog', 'information_schema')
"""
_BINARY = re.compile(r"\\x([0-9a-f]+)")


async def found(connection: asyncpg.Connection, *words: str) -> dict[str, int]:
    """How many rows of each table have one of these words anywhere, in whatever case."""
    wanted = [word.lower() for word in words]
    rows = Counter[str]()
    for (table,) in await connection.fetch(_TABLES):
        for (text,) in await connection.fetch(f"select t::text from {table} t"):  # noqa: S608 (names of the catalogue)
            binary = "\n".join(
                bytes.fromhex(digits).decode("latin-1")
                for digits in _BINARY.findall(text)
                if len(digits) % 2 == 0
            )
            if any(word in (text + binary).lower() for word in wanted):
                rows[table] += 1
    return dict(rows)
