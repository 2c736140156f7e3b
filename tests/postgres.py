"""A real PostgreSQL for tests: one server a session, a fresh migrated database a test.

The embedded server is used unless EPHEMERA_TEST_DSN names one whose login may create databases
and roles. A database is made from a migrated template, which takes about 40 ms where the server's
files are in memory, as they are where there is enough of it; on a disk it was a second.
"""

import asyncio
import fcntl
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from ledger.embedded import EmbeddedPostgres
from ledger.migrate import migrate

# Of servers that a whole session shares; see _stop_leftovers.
_SESSION_PREFIX = "eph-session-"

# Where servers may have their files, and the room that must be there: a database of a test takes
# 12 MB, and each process of pytest has a server. A container often has just 64 MB.
_MEMORY = Path("/dev/shm")  # noqa: S108 -- a folder of its own is made in it
_MEMORY_BYTES_MIN = 3 * 2**30
# Since PostgreSQL 18 the kernel may copy a database's files. On a disk that takes an eighth.
_CLONE = "select set_config(name, 'clone', false) from pg_settings where name = 'file_copy_method'"

TEST_DSN = os.environ.get("EPHEMERA_TEST_DSN")

_numbers = itertools.count()


class Server:
    """A running server and its migrated template. `admin_dsn` is of a superuser."""

    def __init__(self, admin_dsn: str, owner: str) -> None:
        self.admin_dsn = admin_dsn
        self._owner = owner
        self._template = f"ephemera_template_{os.getpid()}"

    def dsn(self, database: str, user: str | None = None) -> str:
        """Give the DSN of a database for its owner, or for another user."""
        parts = urlsplit(self.admin_dsn)
        _, _, host = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user or self._owner}@{host}", path=database))

    def admin(self, database: str) -> str:
        """Give the DSN of a database for the superuser."""
        return urlunsplit(urlsplit(self.admin_dsn)._replace(path=database))

    async def make_template(self) -> None:
        """Migrate the database that all others are copies of."""
        await self._execute(f"drop database if exists {self._template}")
        await self._execute(f"create database {self._template} owner {self._owner}")
        await migrate(self.dsn(self._template))

    @asynccontextmanager
    async def database(self, *, migrated: bool = True) -> AsyncIterator[str]:
        """Make a database for the length of the block; gives its name."""
        name = f"ephemera_test_{os.getpid()}_{next(_numbers)}"
        template = self._template if migrated else "template0"
        # Faster than the default, which writes every page of the template into the log.
        await self._execute(
            _CLONE,
            f"create database {name} template {template} owner {self._owner} strategy file_copy",
        )
        try:
            yield name
        finally:
            await self._execute(f"drop database if exists {name} with (force)")

    async def _execute(self, *statements: str) -> None:
        connection = await asyncpg.connect(dsn=self.admin_dsn)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def serving() -> Iterator[Server]:
    """Run a server for the length of the block, from synchronous code (a session fixture)."""
    if TEST_DSN is not None:
        user = urlsplit(TEST_DSN).username or "postgres"
        server = Server(TEST_DSN, user)
        asyncio.run(server.make_template())
        yield server
        return
    _stop_leftovers()
    with private_home(_SESSION_PREFIX) as home, asyncio.Runner() as runner:
        embedded = EmbeddedPostgres(home, durable=False)
        runner.run(embedded.__aenter__())
        try:
            server = Server(embedded.admin_dsn, "ephemera")
            runner.run(server.make_template())
            yield server
        finally:
            runner.run(embedded.__aexit__(None, None, None))


@contextmanager
def private_home(prefix: str = "eph-") -> Iterator[Path]:
    """Give a home for an embedded server: short, and reachable for the account it drops to."""
    home = Path(tempfile.mkdtemp(prefix=prefix, dir=_folder()))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _folder() -> Path:
    """Memory, or the disk where there is not enough of it."""
    try:
        room = shutil.disk_usage(_MEMORY).free
    except OSError:
        room = 0
    return _MEMORY if room >= _MEMORY_BYTES_MIN else Path(tempfile.gettempdir())


def _stop_leftovers() -> None:
    """Stop the servers of sessions that were killed: as designed, theirs ran on."""
    folders = (_MEMORY, Path(tempfile.gettempdir()))
    for home in (home for folder in folders for home in folder.glob(f"{_SESSION_PREFIX}*")):
        root = home / "postgres"
        with suppress(OSError, ValueError), (root / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            pid = int((root / "data/postmaster.pid").read_text().splitlines()[0])
            if str(root / "data") in Path(f"/proc/{pid}/cmdline").read_text():
                os.kill(pid, signal.SIGINT)
            shutil.rmtree(home, ignore_errors=True)
