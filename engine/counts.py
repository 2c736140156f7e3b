"""What happened since the start, in plain numbers: for status, metrics and the crash guard.

Labels come from closed lists (families, reasons, causes), so that nobody outside can make new ones.
"""

from collections import Counter

from sandbox.host.verdict import WorkerExit


class Counts:
    """The figures of one family since the engine started."""

    def __init__(self) -> None:
        self.conversions = 0
        # Failed conversions, by the reason label of the failure.
        self.failures: Counter[str] = Counter()
        # Zygotes replaced, by cause: asked, limits, crashes, age, restart, died, hangs.
        self.recycles: Counter[str] = Counter()
        # Workers that were forked and have ended; spares count too.
        self.workers = 0
        self.cpu_s = 0.0
        # Bytes that workers caused to be written to storage. Not 0: a leak, and an alarm.
        self.written_bytes = 0

    def note_exit(self, end: WorkerExit) -> None:
        """Add what the kernel counted for one worker."""
        self.workers += 1
        self.cpu_s += end.cpu_s
        self.written_bytes += end.written_bytes
