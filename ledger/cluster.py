"""The files of the private PostgreSQL: its folders, its data, its settings, its socket.

    <home>/postgres/data       the cluster: complete, or not there at all
    <home>/postgres/run        the socket (elsewhere when the path would be too long for one)
    <home>/postgres/log        a file for each weekday, and start.log

All of it belongs to the account that PostgreSQL runs as and is closed to everybody else.
"""

import hashlib
import os
import secrets
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

from ledger.errors import EmbeddedUnavailable
from ledger.postgres_binaries import Binaries, ServerAccount, find_binaries, readable_binaries

SUPERUSER = "postgres"
# The kernel's limit for the path of a Unix socket is 107 bytes.
_SOCKET_PATH_BYTES_MAX = 107
_SOCKET_NAME = ".s.PGSQL.5432"
_MEMORY_SHARE = 4
_SHARED_BUFFERS_MIB_MAX = 1024
_PRIVATE = 0o700


class Cluster:
    """The folders under `home`, and who owns them."""

    def __init__(self, home: Path, account: ServerAccount, *, durable: bool) -> None:
        self.root = home.absolute() / "postgres"
        self.data = self.root / "data"
        self.log_folder = self.root / "log"
        self.socket_folder = _socket_folder(self.root)
        self._account = account
        self._durable = durable

    def make_folders(self) -> None:
        """Make what has to be there before anything else. Raises EmbeddedUnavailable."""
        home = self.root.parent
        home.mkdir(mode=0o711 if self._account.drop else _PRIVATE, parents=True, exist_ok=True)
        if self._account.drop and home.stat().st_uid == 0:
            # Our own folder: the server's account may pass through it, not look into it.
            home.chmod(stat.S_IMODE(home.stat().st_mode) | 0o011)
        self.root.mkdir(mode=0o711, exist_ok=True)
        if not self._account.can_enter(self.root):
            raise EmbeddedUnavailable(
                f"PostgreSQL does not run as root, and the account it runs as (uid"
                f" {self._account.uid}) cannot reach {self.root}: choose a place that it can"
                " reach with EPHEMERA_HOME, for example /var/lib/ephemera"
            )
        for folder in (self.log_folder, self.socket_folder):
            self._make_private(folder)

    def make_data(self, binaries_folder: Path | None) -> Binaries:
        """Give the binaries that fit the data; where there are none yet, make them.

        initdb writes elsewhere and the result is renamed: an interruption leaves nothing half made.
        """
        version = self.data / "PG_VERSION"
        major = int(version.read_text()) if version.exists() else None
        found = find_binaries(major, binaries_folder)
        binaries = readable_binaries(found, self._account, self.root)
        if major is None:
            for leftover in self.root.glob("data.unfinished.*"):
                shutil.rmtree(leftover, ignore_errors=True)
            # Its own name, because a cancelled start may still be at work on another one.
            unfinished = self.root / f"data.unfinished.{secrets.token_hex(4)}"
            self._make_private(unfinished)
            self._initdb(binaries, unfinished)
            unfinished.rename(self.data)
        return binaries

    def postmaster_pid(self) -> int | None:
        """Give the process that serves the data, as its lock file has it."""
        with suppress(FileNotFoundError, ValueError, IndexError):
            return int((self.data / "postmaster.pid").read_text().splitlines()[0])
        return None

    def is_served_by(self, pid: int) -> bool:
        """Say whether this process is a PostgreSQL on our data, not an heir of the number."""
        with suppress(OSError):
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\x00")
            name = Path(os.fsdecode(arguments[0])).name
            return name == "postgres" and os.fsencode(self.data) in arguments
        return False

    def complaint(self) -> str:
        """Give the last lines that PostgreSQL logged."""
        lines: list[str] = []
        for file in sorted(self.log_folder.iterdir(), key=lambda path: path.stat().st_mtime):
            lines += file.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return " ".join(lines[-10:])

    def _initdb(self, binaries: Binaries, folder: Path) -> None:
        command: list[str | Path] = [
            *(binaries.folder / "initdb", "--pgdata", folder, "--data-checksums"),
            *("--username", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale"),
        ]
        if not self._durable:
            command.append("--no-sync")
        finished = subprocess.run(  # noqa: S603 (a program we located)
            command, check=False, capture_output=True, text=True, **self._account.popen_options()
        )
        if finished.returncode != 0:
            raise EmbeddedUnavailable(f"initdb failed: {finished.stderr.strip()[-500:]}")
        with (folder / "postgresql.conf").open("a", encoding="utf-8") as conf:
            conf.write(_conf(durable=self._durable))
            conf.flush()
            os.fsync(conf.fileno())

    def _make_private(self, folder: Path) -> None:
        """Make a folder of the server's account, or make sure that it is one."""
        with suppress(FileExistsError):
            folder.mkdir(mode=_PRIVATE)
        status = folder.lstat()
        if (
            not stat.S_ISDIR(status.st_mode)
            or status.st_uid not in (self._account.uid, os.geteuid())
            or stat.S_IMODE(status.st_mode) != _PRIVATE
        ):
            raise EmbeddedUnavailable(f"{folder} is not a private folder of ours: remove it")
        if status.st_uid != self._account.uid:
            os.chown(folder, self._account.uid, self._account.gid, follow_symlinks=False)


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
            # Of a few per machine, perhaps in memory; a checkpoint that syncs nothing is cheap.
            "max_wal_size": "256MB",
            "max_wal_senders": "0",
            "shared_buffers": "64MB",
            "logging_collector": "off",
            "max_connections": "100",
        }
    lines = [f"{name} = {value}" for name, value in settings.items()]
    return "\n# Ephemera's settings.\n" + "\n".join(lines) + "\n"
