"""The service that a bench asks over HTTP: one started for it alone, or one that runs already.

A started one is what a customer gets, `ephemera serve` as a process of its own with its private
PostgreSQL, in a temporary directory outside the project that is removed at the end.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from ledger.embedded import EmbeddedPostgres

PROJECT = Path(__file__).parents[1]
SERVE = (str(Path(sys.executable).parent / "ephemera"), "serve", "--port", "0")
# More than any bench converts.
CREDITS = 1_000_000_000
# initdb and two zygotes take about three seconds; a busy machine, ten times that.
START_MAX_S = 60.0
# The drain's 20 s and the database's stop.
STOP_MAX_S = 60.0
# The banner's last line.
END_OF_BANNER = "Ctrl-C stops it"
TCP_LISTEN = "0A"


class Service(msgspec.Struct, frozen=True, kw_only=True):
    """A service that answers. `home` and `process` are None where it was not started here.

    `key` is the demo account's, empty where that account was made by an earlier start.
    """

    url: str
    key: str
    pid: int
    home: Path | None = None
    process: subprocess.Popen[str] | None = None

    @property
    def dsn(self) -> str:
        """The private database of one that was started here."""
        assert self.home is not None
        return EmbeddedPostgres(self.home).app_dsn

    @property
    def log(self) -> str:
        """What it has written to standard error so far."""
        return (self.home / "log").read_text() if self.home else ""


@asynccontextmanager
async def running_service(
    url: str | None = None, key: str | None = None, *, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Service]:
    """The service at `url`, which must be on this machine, or one that lives for the block.

    `settings` are environment variables of one that is started (`EPHEMERA__SECTION__NAME`).
    """
    if url and key:
        yield Service(url=url.rstrip("/"), key=key, pid=_listening_pid(urlsplit(url).port or 80))
        return
    home = Path(tempfile.mkdtemp(prefix="ephemera-bench-"))
    try:
        async with started(home, settings) as service:
            yield service
    finally:
        shutil.rmtree(home, ignore_errors=True)


@asynccontextmanager
async def started(
    home: Path, settings: Mapping[str, str] | None = None, program: Sequence[str] = SERVE
) -> AsyncIterator[Service]:
    """A service with its data in `home`; stopped in order at the end, if it still runs then."""
    process = _start(home, settings or {}, program)
    try:
        async with asyncio.timeout(START_MAX_S):
            banner = await asyncio.to_thread(_banner, process)
        url, key = re.search(r"http://\S+", banner), re.search(r"eph_live_\w+", banner)
        if url is None:
            raise SystemExit(f"the service did not start:\n{(home / 'log').read_text()[-2000:]}")
        yield Service(
            url=url[0], key=key[0] if key else "", pid=process.pid, home=home, process=process
        )
    finally:
        await asyncio.to_thread(_stop, process)


def _start(
    home: Path, settings: Mapping[str, str], program: Sequence[str]
) -> "subprocess.Popen[str]":
    """Start it with nothing of this process's settings."""
    plain = {name: text for name, text in os.environ.items() if not name.startswith("EPHEMERA")}
    own = {
        "EPHEMERA_HOME": str(home),
        "EPHEMERA__LEDGER__DEMO_CREDITS": str(CREDITS),
        "EPHEMERA__LOG__LEVEL": "warning",
    }
    with (home / "log").open("a") as log:
        return subprocess.Popen(
            program,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=PROJECT,
            env=plain | own | dict(settings),
            start_new_session=True,  # Ctrl-C is for the bench, which then stops the service
        )


def _banner(process: "subprocess.Popen[str]") -> str:
    """Everything that is printed before it serves; less where it gave up."""
    assert process.stdout is not None
    banner = ""
    for line in process.stdout:
        banner += line
        if line.startswith(END_OF_BANNER):
            break
    return banner


def _stop(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_MAX_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        if process.stdout is not None:
            process.stdout.close()


def _listening_pid(port: int) -> int:
    """The process that listens on this port of this machine."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for row in Path(table).read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == TCP_LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                inodes.add(f"socket:[{fields[9]}]")
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                descriptors = {str(fd.readlink()) for fd in (entry / "fd").iterdir()}
            except OSError:
                continue
            if descriptors & inodes:
                return int(entry.name)
    raise SystemExit(f"no process of this machine that can be looked at listens on port {port}")
