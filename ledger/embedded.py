"""The private PostgreSQL of a service that was given no database: started, watched and stopped.

    async with EmbeddedPostgres(home) as postgres:
        await migrate(postgres.dsn)

It listens on a Unix socket in a folder that only its own account can enter, and nowhere else. It
is our direct child, so that its end is seen at once and it is started again. It outlives a service
that is killed: the next one finds it answering and adopts it. Whoever holds the lock on
`<home>/postgres/lock` supervises; other processes of the host just connect.

    <home>/postgres/data       the cluster: complete, or not there at all
    <home>/postgres/run        the socket (elsewhere when the path would be too long for one)
    <home>/postgres/log        a file for each weekday, and start.log
"""

import asyncio
import fcntl
import hashlib
import logging
import os
import shutil
import signal
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import asyncpg

from ledger.availability import AWAY
from ledger.connection import APP_ROLE
from ledger.errors import EmbeddedUnavailable
from ledger.postgres_binaries import Binaries, ServerAccount, find_binaries, readable_binaries

OWNER = "ephemera"
DATABASE = "ephemera"
_SUPERUSER = "postgres"
# The kernel's limit for the path of a Unix socket is 107 bytes.
_SOCKET_PATH_BYTES_MAX = 107
_SOCKET_NAME = ".s.PGSQL.5432"
# Crash recovery after hours of load takes minutes; while the server lives and recovers, we wait.
_START_TIMEOUT_S = 600.0
# For this long a killed server's backends may hold its shared memory.
_ORPHANS_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 60.0
_POLL_S = 0.02
_RESPAWN_PAUSE_S = 0.1
_ORPHAN_SIGNS = ("shared memory block", "postmaster.pid")
_MEMORY_SHARE = 4
_SHARED_BUFFERS_MIB_MAX = 1024

_log = logging.getLogger(__name__)


class EmbeddedPostgres:
    """A PostgreSQL under `home`, running while this context is entered.

    `durable=False` is for tests: it loses data when the machine (not the server) crashes.
    """

    def __init__(
        self, home: Path, *, binaries_folder: Path | None = None, durable: bool = True
    ) -> None:
        self._root = home.absolute() / "postgres"
        self._data = self._root / "data"
        self._log_folder = self._root / "log"
        self._socket_folder = _socket_folder(self._root)
        self._binaries_folder = binaries_folder
        self._durable = durable
        self._account = ServerAccount.choose()
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
        return self._dsn(_SUPERUSER, "postgres")

    @property
    def pid(self) -> int | None:
        """The server's process, None where another process of the host supervises it."""
        return None if self._lock < 0 else _postmaster_pid(self._data)

    async def __aenter__(self) -> Self:
        """Start, adopt or find the server. Raises EmbeddedUnavailable."""
        await asyncio.to_thread(self._make_folders)
        while not self._take_lock():
            # Another process supervises; if it ends before the server answers, we do.
            if await self._answers():
                return self
            await asyncio.sleep(_POLL_S)
        try:
            await asyncio.to_thread(self._make_cluster)
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

    def _make_folders(self) -> None:
        home = self._root.parent
        home.mkdir(mode=0o711 if self._account.drop else 0o700, parents=True, exist_ok=True)
        if self._account.drop and home.stat().st_uid == 0:
            # Our own folder: the server's account may pass through it, not look into it.
            home.chmod(stat.S_IMODE(home.stat().st_mode) | 0o011)
        self._root.mkdir(mode=0o711, exist_ok=True)
        if not self._account.can_enter(self._root):
            raise EmbeddedUnavailable(
                f"PostgreSQL does not run as root, and the account it runs as (uid"
                f" {self._account.uid}) cannot reach {self._root}: choose a place that it can"
                " reach with EPHEMERA_HOME, for example /var/lib/ephemera"
            )
        for folder in (self._log_folder, self._socket_folder):
            self._make_private(folder)

    def _make_private(self, folder: Path) -> None:
        """Make a folder of the server's account, or make sure that it is one."""
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            os.chown(folder, self._account.uid, self._account.gid)
        status = folder.lstat()
        if (
            not stat.S_ISDIR(status.st_mode)
            or status.st_uid not in (self._account.uid, os.geteuid())
            or stat.S_IMODE(status.st_mode) != 0o700  # noqa: PLR2004 (what mkdir was given)
        ):
            raise EmbeddedUnavailable(f"{folder} is not a private folder of ours: remove it")
        if status.st_uid != self._account.uid:  # interrupted between mkdir and chown
            os.chown(folder, self._account.uid, self._account.gid)

    def _take_lock(self) -> bool:
        descriptor = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def _make_cluster(self) -> None:
        """Run initdb elsewhere and rename: an interruption leaves nothing half made."""
        version = self._data / "PG_VERSION"
        major = int(version.read_text()) if version.exists() else None
        binaries = find_binaries(major, self._binaries_folder)
        self._binaries = readable_binaries(binaries, self._account, self._root)
        if major is not None:
            return
        unfinished = self._root / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._make_private(unfinished)
        command: list[str | Path] = [
            *(self._binaries.folder / "initdb", "--pgdata", unfinished, "--data-checksums"),
            *("--username", _SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale"),
        ]
        if not self._durable:
            command.append("--no-sync")
        finished = subprocess.run(  # noqa: S603 (a program we located)
            command, check=False, capture_output=True, text=True, **self._account.popen_options()
        )
        if finished.returncode != 0:
            raise EmbeddedUnavailable(f"initdb failed: {finished.stderr.strip()[-500:]}")
        with (unfinished / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(_conf(durable=self._durable))
            conf.flush()
            os.fsync(conf.fileno())
        unfinished.rename(self._data)

    async def _adopt(self) -> bool:
        """Take over a server that a killed service left running."""
        pid = _postmaster_pid(self._data)
        if pid is None or not _is_ours(pid, self._data) or not await self._answers():
            return False
        self._pidfd = os.pidfd_open(pid)
        _log.info("adopted the PostgreSQL that runs as process %d", pid)
        return True

    async def _start(self) -> None:
        """Start the server and wait until it answers."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        while True:
            self._spawn()
            assert self._child is not None  # noqa: S101 (what _spawn does)
            while self._child.poll() is None:
                if await self._answers():
                    return
                if loop.time() > started + _START_TIMEOUT_S:
                    raise EmbeddedUnavailable(
                        f"PostgreSQL does not come up; see {self._log_folder}"
                    )
                await asyncio.sleep(_POLL_S)
            self._forget_process()
            complaint = self._complaint()
            # The backends of a server that was killed hold its shared memory until they notice.
            orphans = any(sign in complaint for sign in _ORPHAN_SIGNS)
            if not orphans or loop.time() > started + _ORPHANS_TIMEOUT_S:
                raise EmbeddedUnavailable(f"PostgreSQL does not start: {complaint}")
            await asyncio.sleep(_RESPAWN_PAUSE_S)

    def _spawn(self) -> None:
        assert self._binaries is not None  # noqa: S101 (what _make_cluster does)
        with (self._log_folder / "start.log").open("wb") as log:
            self._child = subprocess.Popen(  # noqa: S603 (a program we located)
                [
                    *(self._binaries.folder / "postgres", "-D", self._data),
                    *("-c", "listen_addresses="),
                    *("-c", f"unix_socket_directories={self._socket_folder}"),
                    *("-c", "unix_socket_permissions=0700"),
                    *("-c", f"log_directory={self._log_folder}"),
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

    def _complaint(self) -> str:
        lines: list[str] = []
        for file in sorted(self._log_folder.iterdir(), key=lambda path: path.stat().st_mtime):
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return " ".join(lines[-10:])

    def _dsn(self, user: str, database: str) -> str:
        return f"postgresql://{user}@/{database}?host={quote(str(self._socket_folder))}"


def _socket_folder(root: Path) -> Path:
    """Give `<root>/run`, or a short path that depends on nothing but `root`."""
    folder = root / "run"
    if len(os.fsencode(folder / _SOCKET_NAME)) < _SOCKET_PATH_BYTES_MAX:
        return folder
    name = "ephemera-" + hashlib.blake2b(os.fsencode(root), digest_size=8).hexdigest()
    runtime = os.environ.get("XDG_RUNTIME_DIR") if os.geteuid() else None
    return Path(runtime or "/tmp") / name  # noqa: S108 - made private, and its owner is checked


def _conf(*, durable: bool) -> str:
    """Give the settings; an operator may change them in postgresql.conf afterwards."""
    memory_mib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    settings = {
        "shared_buffers": f"{min(_SHARED_BUFFERS_MIB_MAX, memory_mib // _MEMORY_SHARE)}MB",
        "max_connections": "50",
        "max_wal_size": "4GB",
        "checkpoint_timeout": "15min",
        "wal_compression": "on",
        "jit": "off",
        # Coarser predicate locks let transactions on different accounts fail each other.
        "max_pred_locks_per_transaction": "1024",
        "max_pred_locks_per_page": "1000",
        "max_pred_locks_per_relation": "100000",
        "idle_in_transaction_session_timeout": "30s",
        "autovacuum_naptime": "10s",
        "timezone": "'UTC'",
        "log_timezone": "'UTC'",
        # Seven files, each overwritten after a week; no statements in them.
        "logging_collector": "on",
        "log_filename": "'postgresql-%u.log'",
        "log_truncate_on_rotation": "on",
        "log_rotation_age": "1d",
        "log_rotation_size": "0",
        "log_min_error_statement": "panic",
    }
    if not durable:
        settings |= {
            "fsync": "off",
            "full_page_writes": "off",
            "wal_compression": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "shared_buffers": "64MB",
            "logging_collector": "off",
            "max_connections": "100",
        }
    lines = [f"{name} = {value}" for name, value in settings.items()]
    return "\n# Ephemera's settings.\n" + "\n".join(lines) + "\n"


def _postmaster_pid(data: Path) -> int | None:
    with suppress(FileNotFoundError, ValueError, IndexError):
        return int((data / "postmaster.pid").read_text().splitlines()[0])
    return None


def _is_ours(pid: int, data: Path) -> bool:
    """Say whether this process is a PostgreSQL on our data, not one that inherited the number."""
    with suppress(OSError):
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\x00")
        return Path(os.fsdecode(arguments[0])).name == "postgres" and os.fsencode(data) in arguments
    return False


async def _ended(pidfd: int) -> None:
    """Wait until the process of this descriptor has ended; it need not be our child."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(pidfd, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(pidfd)
