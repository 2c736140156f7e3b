"""The `ephemera` command as a person runs it: a process of its own, its output, its exit code.

It is forked from a process that has loaded it (`nursery.py`), but for `installed` ones: those are
the script of the installation, from nothing.
"""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tests.gateway import nursery
from tests.gateway.nursery import COMMAND, Child

EPHEMERA = Path(sys.executable).parent / "ephemera"
SERVE = ("serve", "--port", "0")
# Only ever reached when something hangs.
PATIENCE_S = 180.0
# The banner's last line.
END = "Ctrl-C stops it, after what runs is finished.\n"


def environment(home: Path, **more: str) -> dict[str, str]:
    """This process's environment without any setting of ours, but for those given.

    One family starts with the service, the others at their first conversion: a start is then a
    third of the CPU, and there are a hundred of them.
    """
    plain = {name: text for name, text in os.environ.items() if not name.startswith("EPHEMERA")}
    ours = {"EPHEMERA_HOME": str(home), "EPHEMERA__ENGINE__STARTED": "image", "NO_COLOR": "1"}
    return plain | ours | more


def run(
    *arguments: str | Path,
    home: Path,
    stdin: bytes = b"",
    environ: Mapping[str, str] | None = None,
    installed: bool = False,
) -> "subprocess.CompletedProcess[bytes]":
    words, environ = [str(word) for word in arguments], environment(home, **(environ or {}))
    if not installed:
        return nursery.run(COMMAND, words, stdin=stdin, environ=environ, timeout_s=PATIENCE_S)
    return subprocess.run(
        [EPHEMERA, *words],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
        env=environ,
    )


class Serving:
    """A running `ephemera serve`."""

    def __init__(self, process: "Child | subprocess.Popen[bytes]", banner: str) -> None:
        self.process = process
        self.banner = banner
        self.url = re.findall(r"http://\S+", banner)[0]

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def key(self) -> str | None:
        found = re.search(r"eph_live_\w+", self.banner)
        return found[0] if found else None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the signal and wait for the end; gives the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def serving(
    home: Path,
    *arguments: str,
    program: str = COMMAND,
    installed: bool = False,
    **environ: str,
) -> Iterator[Serving]:
    """Start a service on any port; stop it at the end, whatever happened. Its log is in `home`.

    `program` is another one of the nursery's, which serves as well.
    """
    words = [*(SERVE if program == COMMAND else ()), *arguments]
    settings = environment(home, **environ)
    ours, theirs = os.pipe()
    with (home / "log").open("a") as log, open(os.devnull) as nothing, open(ours) as printed:  # noqa: PTH123
        streams = (nothing.fileno(), theirs, log.fileno())
        try:
            process = (
                _installed(words, streams, settings)
                if installed
                else nursery.start(program, words, streams, settings)
            )
        finally:
            os.close(theirs)
        hung = threading.Timer(PATIENCE_S, process.kill)
        hung.start()
        try:
            yield Serving(process, _banner(printed, home))
        finally:
            hung.cancel()
            process.terminate()
            process.wait(PATIENCE_S)


def _installed(
    words: list[str], streams: tuple[int, int, int], settings: dict[str, str]
) -> "subprocess.Popen[bytes]":
    stdin, stdout, stderr = streams
    return subprocess.Popen(
        [EPHEMERA, *words], stdin=stdin, stdout=stdout, stderr=stderr, env=settings
    )


def _banner(printed: TextIO, home: Path) -> str:
    """Everything that the service prints before it serves: one line, and more the first time."""
    banner = printed.readline()
    assert banner, (home / "log").read_text()
    while not banner.endswith(END):
        banner += printed.readline()
    return banner
