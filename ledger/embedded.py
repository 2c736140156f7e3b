"""The private PostgreSQL of a service that was given no database: started, watched and stopped.

    async with EmbeddedPostgres(home) as postgres:
        await migrate(postgres.dsn)

It listens on a Unix socket in a folder that only its own account can enter, and nowhere else. It
is our direct child, so that its end is seen at once and it is started again. It outlives a service
that is killed: the next one finds it answering and adopts it. Whoever holds the lock on
`<home>/postgres/lock` supervises; other processes of the host just connect.
"""

import asyncio
import fcntl
import logging
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

from ledger.availability import AWAY
from ledger.cluster import SUPERUSER, Cluster
from ledger.connection import APP_ROLE
from ledger.errors import EmbeddedUnavailable
from ledger.postgres_binaries import Binaries, ServerAccount

OWNER = "ephemera"
DATABASE = "ephemera"
# Crash recovery after hours of load takes minutes; while the server lives and recovers, we wait.
_START_TIMEOUT_S = 600.0
# For this long a killed server's backends may hold its shared memory.
_ORPHANS_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0
_POLL_S = 0.02
_RESPAWN_PAUSE_S = 0.1
_ORPHAN_SIGNS = ("shared memory block", "postmaster.pid")

_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """A PostgreSQL under `home`, running while this context is entered.

    `durable=False` is for tests: it loses data when the machine (not the server) crashes.
    """

    def __init__(
        self, home: Path, *, binaries_folder: Path | None = None, durable: bool = True
    ) -> None:
        self._account = ServerAccount.choose()
        self._cluster = Cluster(home, self._account, durable=durable)
        self._binaries_folder = binaries_folder
        self._binaries: Binaries | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._lock = -1
        self._watcher: asyncio.Task[None] | None = None

    @property
    def dsn(self) -> str:
        """The database as its owner: for migrations; the service takes on a lesser role."""
        return self._dsn(OWNER, DATABASE)

    @property
    def app_dsn(self) -> str:
        """The database as the service's own role, which cannot become the owner."""
        return self._dsn(APP_ROLE, DATABASE)

    @property
    def admin_dsn(self) -> str:
        """The server as its superuser: for back-ups and tests."""
        return self._dsn(SUPERUSER, "postgres")

    @property
    def pid(self) -> int | None:
        """The server's process, None where another process of the host supervises it."""
        return None if self._lock < 0 else self._cluster.postmaster_pid()

    async def __aenter__(self) -> Self:
        """Start, adopt or find the server. Raises EmbeddedUnavailable."""
        await asyncio.to_thread(self._cluster.make_folders)
        while not self._take_lock():
            # Another process supervises; if it ends before the server answers, we do.
            if await self._answers():
                return self
            await asyncio.sleep(_POLL_S)
        try:
            self._binaries = await asyncio.to_thread(self._cluster.make_data, self._binaries_folder)
            if not await self._adopt():
                await self._start()
            await self._make_database()
        except BaseException:
            await self._stop()
            raise
        self._watcher = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server if we supervise it: open transactions are rolled back."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        await self._stop()

    def _take_lock(self) -> bool:
        descriptor = os.open(
            self._cluster.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    async def _adopt(self) -> bool:
        """Take over a server that a killed service left running, even one that still recovers."""
        pid = self._cluster.postmaster_pid()
        if pid is None or not self._cluster.is_served_by(pid):
            return False
        with suppress(ProcessLookupError):
            self._pidfd = os.pidfd_open(pid)
            if await self._comes_up(lambda: self._cluster.is_served_by(pid)):
                _log.info("adopted the PostgreSQL that runs as process %d", pid)
                return True
            self._forget_process()
        return False

    async def _start(self) -> None:
        """Start the server and wait until it answers."""
        loop = asyncio.get_running_loop()
        orphans_until = loop.time() + _ORPHANS_TIMEOUT_S
        while True:
            self._spawn()
            if await self._comes_up(self._child_lives):
                return
            self._forget_process()
            complaint = self._cluster.complaint()
            # The backends of a server that was killed hold its shared memory until they notice.
            orphans = any(sign in complaint for sign in _ORPHAN_SIGNS)
            if not orphans or loop.time() > orphans_until:
                raise EmbeddedUnavailable(f"PostgreSQL does not start: {complaint}")
            await asyncio.sleep(_RESPAWN_PAUSE_S)

    async def _comes_up(self, alive: Callable[[], bool]) -> bool:
        """Wait while the server lives; says whether it came to answer."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + _START_TIMEOUT_S
        while alive():
            if await self._answers():
                return True
            if loop.time() > ends:
                raise EmbeddedUnavailable(
                    f"PostgreSQL does not come up; see {self._cluster.log_folder}"
                )
            await asyncio.sleep(_POLL_S)
        return False

    def _child_lives(self) -> bool:
        return self._child is not None and self._child.poll() is None

    def _spawn(self) -> None:
        assert self._binaries is not None  # noqa: S101 (set before anything starts)
        with (self._cluster.log_folder / "start.log").open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603 (a program we located)
                [
                    *(self._binaries.folder / "postgres", "-D", self._cluster.data),
                    *("-c", "listen_addresses="),
                    *("-c", f"unix_socket_directories={self._cluster.socket_folder}"),
                    *("-c", "unix_socket_permissions=0700"),
                    *("-c", f"log_directory={self._cluster.log_folder}"),
                ],
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal is for the service, which then stops the server in order.
                start_new_session=True,
                **self._account.popen_options(),
            )
        self._pidfd = os.pidfd_open(self._child.pid)

    async def _watch(self) -> None:
        """Start the server again whenever it ends."""
        while True:
            await _ended(self._pidfd)
            status = self._forget_process()
            _log.error("PostgreSQL ended (%s); starting it again", status)
            while self._pidfd < 0:
                try:
                    await self._start()
                except EmbeddedUnavailable:
                    _log.exception("PostgreSQL could not be started again; trying on")
                    await asyncio.sleep(1.0)

    async def _stop(self) -> None:
        """End the server in order, and give up the lock."""
        if self._pidfd >= 0:
            # Fast shutdown; if that hangs, an immediate one, which recovers at the next start.
            for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._pidfd, number)
                try:
                    await asyncio.wait_for(_ended(self._pidfd), _STOP_TIMEOUT_S)
                except TimeoutError:
                    continue
                break
            self._forget_process()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _forget_process(self) -> int | None:
        os.close(self._pidfd)
        self._pidfd = -1
        child, self._child = self._child, None
        return None if child is None else child.wait()

    async def _make_database(self) -> None:
        """Make the roles and the database, where a first start did not come that far."""
        connection = await asyncpg.connect(dsn=self.admin_dsn, timeout=_STOP_TIMEOUT_S)
        try:
            roles = {
                row["rolname"] for row in await connection.fetch("select rolname from pg_roles")
            }
            for role in {OWNER, APP_ROLE} - roles:
                await connection.execute(f"create role {role} login")
            await connection.execute(f"grant {APP_ROLE} to {OWNER}")
            if not await connection.fetchval(
                "select 1 from pg_database where datname = $1", DATABASE
            ):
                await connection.execute(f"create database {DATABASE} owner {OWNER}")
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(dsn=self.admin_dsn, timeout=2)
        except (asyncpg.PostgresError, *AWAY):
            return False
        connection.terminate()
        return True

    def _dsn(self, user: str, database: str) -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self._cluster.socket_folder))}"


async def _ended(pidfd: int) -> None:
    """Wait until the process of this descriptor has ended; it need not be our child."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
