"""Migrations: plain SQL files, applied in order, each in one transaction, never taken back.

`migrations/NNNN_what.sql` runs whole through the simple protocol (nothing splits it, so function
bodies are safe). An advisory lock makes any number of starting gateways take turns; checksums
refuse a file that was changed after it was applied; a database that knows more than this program
is refused. A file whose first line is `-- no-transaction` holds one statement that may not run in
one (CREATE INDEX CONCURRENTLY). Afterwards `grants.sql` says again what the service may do.
"""

import hashlib
import logging
import re
from pathlib import Path

import asyncpg
import msgspec

from ledger.connection import APP_ROLE, NO_CONNECTION, no_connection
from ledger.errors import SchemaBehind, SchemaChanged, SchemaNewer

# "eph" as a number; shared with nothing else in the database.
_LOCK = 0x657068
# A migration that waits for a lock makes all the traffic behind it wait as well.
_LOCK_TIMEOUT = "5s"
# A gateway that runs may make a table at this moment, which changes the row of the catalogue that a
# grant changes: PostgreSQL refuses the later one. That is over in milliseconds, and once a day.
_GRANT_TRIES = 5
_NO_TRANSACTION = "-- no-transaction\n"
_FOLDER = Path(__file__).parent / "migrations"
_GRANTS = Path(__file__).parent / "grants.sql"
_PREPARE = """
create schema if not exists ephemera;
create table if not exists ephemera.migration (
    version    text        primary key,
    name       text        not null,
    sha256     text        not null,
    applied_at timestamptz not null default now()
);
"""
_RECORD = "insert into ephemera.migration (version, name, sha256) values ($1, $2, $3)"
_APPLIED = "select version, sha256 from ephemera.migration"

_log = logging.getLogger(__name__)


class Migration(msgspec.Struct, frozen=True):
    """One file."""

    version: str
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Give the checksum of the content."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def read_migrations(folder: Path = _FOLDER) -> list[Migration]:
    """Read the files in order."""
    return [
        Migration(path.name[:4], path.stem, path.read_text(encoding="utf-8"))
        for path in sorted(folder.iterdir())
        if re.fullmatch(r"\d{4}_[a-z0-9_]+\.sql", path.name)
    ]


async def migrate(dsn: str, folder: Path = _FOLDER) -> list[str]:
    """Bring the database to this version's schema; gives the names of what was applied.

    `dsn` must be of the owner of the database. Raises LedgerUnavailable, DatabaseRefused,
    SchemaNewer, SchemaChanged, SchemaBehind (a file appeared below the newest one applied), and
    what asyncpg raises for a file that fails.
    """
    try:
        connection = await asyncpg.connect(dsn=dsn, timeout=10)
    except NO_CONNECTION as error:
        raise no_connection(error) from error
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_PREPARE)
        migrations = read_migrations(folder)
        applied = dict(await connection.fetch(_APPLIED))
        _check(migrations, applied)
        pending = [each for each in migrations if each.version not in applied]
        if pending and applied and pending[0].version < max(applied):
            raise SchemaBehind(f"{pending[0].name} is older than what was applied already")
        for each in pending:
            await _apply(connection, each)
        await _grant(connection)
        return [each.name for each in pending]
    finally:
        await connection.close()  # and with it the lock


async def demand_schema(connection: asyncpg.Connection) -> None:
    """Raise SchemaBehind or SchemaNewer unless the database has exactly our migrations."""
    migrations = read_migrations()
    try:
        applied = dict(await connection.fetch(_APPLIED))
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        applied = {}
    _check(migrations, applied)
    missing = [each.name for each in migrations if each.version not in applied]
    if missing:
        raise SchemaBehind(
            f"the database lacks {', '.join(missing)}: run `ephemera migrate` and start again"
        )


def _check(migrations: list[Migration], applied: dict[str, str]) -> None:
    newer = sorted(applied.keys() - {each.version for each in migrations})
    if newer:
        raise SchemaNewer(
            f"the database has migrations {', '.join(newer)} which this version does not know:"
            " install the newer version again"
        )
    for each in migrations:
        if applied.get(each.version, each.sha256) != each.sha256:
            raise SchemaChanged(
                f"{each.name} differs from what was applied under its number: restore the file"
                " and put the change into a new migration"
            )


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    record = (migration.version, migration.name, migration.sha256)
    if migration.sql.startswith(_NO_TRANSACTION):
        await connection.execute(migration.sql)
        await connection.execute(_RECORD, *record)
        return
    async with connection.transaction():
        await connection.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
        await connection.execute(migration.sql)
        await connection.execute(_RECORD, *record)


async def _grant(connection: asyncpg.Connection) -> None:
    """Say what the service may do; make its role where that is allowed."""
    if not await connection.fetchval("select 1 from pg_roles where rolname = $1", APP_ROLE):
        try:
            # Other databases of this server may be migrated at this moment: they share the roles.
            async with connection.transaction():
                await connection.execute(f"create role {APP_ROLE} nologin")
                await connection.execute(f"grant {APP_ROLE} to current_user")
        except (asyncpg.DuplicateObjectError, asyncpg.UniqueViolationError):
            pass
        except asyncpg.InsufficientPrivilegeError:
            _log.warning(
                "the login may not create the role %s: without it the service works with all the"
                " rights of its login; create it as a superuser and migrate again",
                APP_ROLE,
            )
            return
    for left in reversed(range(_GRANT_TRIES)):
        try:
            async with connection.transaction():
                await connection.execute(_GRANTS.read_text(encoding="utf-8"))
        except asyncpg.InternalServerError as error:
            if not left or "tuple concurrently" not in str(error):
                raise
        else:
            return
