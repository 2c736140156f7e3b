"""`ephemera` as it is, but that it counts its function calls between two signals.

SIGUSR2 begins and the next one ends; the number is then in the file that BENCH_GATE_CALLS names.
Counted are the main thread's functions, Python's own and those of C that are called from Python.
"""

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from gateway.cli.command import main

_COUNTED = frozenset({"call", "c_call"})


class Calls:
    """Counts while it is on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._count: int | None = None

    def turn(self, _signal: int, _frame: FrameType | None) -> None:
        """Begin, or end and write."""
        if self._count is None:
            self._count = 0
            sys.setprofile(self._called)
            return
        sys.setprofile(None)
        making = self._file.with_suffix(".making")
        making.write_text(str(self._count))
        making.rename(self._file)
        self._count = None

    def _called(self, _frame: FrameType, event: str, _argument: Any) -> None:
        if event in _COUNTED and self._count is not None:
            self._count += 1


if __name__ == "__main__":
    signal.signal(signal.SIGUSR2, Calls(Path(os.environ["BENCH_GATE_CALLS"])).turn)
    main()
