"""The Unix sockets in EPHEMERA_HOME on which services answer operators: made, found, swept away.

Each process has a socket of its own, `admin-<pid>.sock`. The name appears when the socket already
listens, so one that refuses is what a killed process left. Paths go through a descriptor of the
home, because a socket's path has 107 bytes and a home may be deeper than that.
"""

import contextlib
import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.errors import ConfigError

# Of several gateways of one service each has the service's eight digits in its name. The second
# number tells apart two processes of one pid: containers that share a home.
_NAME = re.compile(r"admin-(\d+)(?:\.([0-9a-f]{8}))?(-\d+)?\.sock")
# Nobody runs a hundred of those.
_NUMBERS_MAX = 100
_MODE = 0o600
_KIND = socket.SOCK_STREAM | socket.SOCK_NONBLOCK


@contextmanager
def listening(home: Path, backlog: int, group: str = "") -> Iterator[socket.socket]:
    """A socket that listens under this process's name until the block ends.

    `group`: eight hexadecimal digits that several gateways of one service share.
    """
    with short_path(home) as folder, socket.socket(socket.AF_UNIX, _KIND) as sock:
        _sweep(home, folder)
        draft = f"{folder}/.admin-{secrets.token_hex(8)}"
        sock.bind(draft)
        try:
            os.chmod(draft, _MODE)  # noqa: PTH101 -- a path through a descriptor
            sock.listen(backlog)
            name = _named(folder, draft, group)
        finally:
            os.unlink(draft)  # noqa: PTH108 -- likewise
        try:
            yield sock
        finally:
            (home / name).unlink(missing_ok=True)


def answering(home: Path) -> list[str]:
    """The names of the sockets behind which a process lives, whether or not it would let us in."""
    with contextlib.suppress(FileNotFoundError), short_path(home) as folder:
        return [name for name in _names(home) if not _is_dead(f"{folder}/{name}")]
    return []


def pid_of(name: str) -> int:
    """The process behind a socket of this name, as it sees itself."""
    found = _NAME.fullmatch(name)
    return int(found[1]) if found else 0


def group_of(name: str) -> str:
    """The service that the process is one of several gateways of; empty where it is all of it."""
    found = _NAME.fullmatch(name)
    return (found[2] or "") if found else ""


@contextmanager
def short_path(home: Path) -> Iterator[str]:
    """A path of the home that is short, however long its own is, for as long as the block runs."""
    descriptor = os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _named(folder: str, draft: str, group: str) -> str:
    """Give the socket its name. The first link to a name wins."""
    for number in range(1, _NUMBERS_MAX):
        again = f"-{number}" if number > 1 else ""
        name = f"admin-{os.getpid()}{group and f'.{group}'}{again}.sock"
        try:
            os.link(draft, f"{folder}/{name}")
        except FileExistsError:
            continue
        return name
    raise ConfigError("too many services share this home; give each its own EPHEMERA_HOME")


def _sweep(home: Path, folder: str) -> None:
    """Remove what killed processes left."""
    for name in _names(home):
        if _is_dead(f"{folder}/{name}"):
            (home / name).unlink(missing_ok=True)


def _names(home: Path) -> list[str]:
    return sorted(path.name for path in home.iterdir() if _NAME.fullmatch(path.name))


def _is_dead(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, _KIND) as probe:
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return True
        except OSError:
            return False  # a full line, or not ours to ask: somebody lives there
    return False
