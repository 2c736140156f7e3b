"""The `ephemera` command as a person runs it: a process of its own, its output, its exit code."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

EPHEMERA = Path(sys.executable).parent / "ephemera"
SERVE = (str(EPHEMERA), "serve", "--port", "0")
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
) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [EPHEMERA, *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
        env=environment(home, **(environ or {})),
    )


class Serving:
    """A running `ephemera serve`."""

    def __init__(self, process: "subprocess.Popen[str]", banner: str) -> None:
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
    home: Path, *arguments: str, program: Sequence[str] = SERVE, **environ: str
) -> Iterator[Serving]:
    """Start a service on any port; stop it at the end, whatever happened. Its log is in `home`."""
    with (home / "log").open("a") as log:
        process = subprocess.Popen(
            [*program, *arguments],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=Path(__file__).parents[2],
            env=environment(home, **environ),
        )
    hung = threading.Timer(PATIENCE_S, process.kill)
    hung.start()
    try:
        yield Serving(process, _banner(process, home))
    finally:
        hung.cancel()
        process.terminate()
        process.wait(PATIENCE_S)
        if process.stdout:
            process.stdout.close()


def _banner(process: "subprocess.Popen[str]", home: Path) -> str:
    """Everything that the service prints before it serves: one line, and more the first time."""
    assert process.stdout is not None
    banner = process.stdout.readline()
    assert banner, (home / "log").read_text()
    while not banner.endswith(END):
        banner += process.stdout.readline()
    return banner
