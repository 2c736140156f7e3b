"""Every way a worker or its zygote can fail, as the kernel and the pipe show it.

No formats, no money, no HTTP: the engine translates these once (`engine/errors.py`).
"""

from signal import SIGABRT, SIGBUS, SIGKILL, SIGSEGV

# What ended a worker that crashed, as a label. Killed: by somebody outside, or because it hung up
# and stayed. No signal: it left without an answer.
_CRASHES: dict[int | None, str] = {
    SIGSEGV: "segfault",
    SIGABRT: "abort",
    SIGBUS: "bus",
    SIGKILL: "killed",
    None: "exit",
}


class SandboxError(Exception):
    """Root of the package. `reason` is the stable label for metrics and logs."""

    reason = "sandbox"


class SandboxUnavailable(SandboxError):
    """The kernel cannot give what the isolation level asks for, or the zygote does not start.

    The message names the missing layer and the switch that accepts its absence.
    """

    reason = "unavailable"


class ZygoteDied(SandboxError):
    """The zygote went away while the caller waited; its workers went with it. A retry can help."""

    reason = "zygote_died"


class WorkerCrashed(SandboxError):
    """The worker ended without a complete reply (a signal, or an exit without answering).

    `reason` says how: segfault, abort, bus, killed, exit; crashed for any other signal.
    """

    reason = "crashed"

    def __init__(
        self, message: str, *, signal: int | None = None, status: int | None = None
    ) -> None:
        super().__init__(message)
        self.signal = signal
        self.status = status
        if type(self) is WorkerCrashed:
            self.reason = _CRASHES.get(signal, self.reason)


class WorkerViolation(WorkerCrashed):
    """The worker was killed by the system-call filter (SIGSYS): a security event."""

    reason = "violation"


class WorkerOutOfMemory(WorkerCrashed):
    """The worker reached its memory limit."""

    reason = "memory"


class WorkerTimedOut(SandboxError):
    """The worker was still busy at its deadline and was killed."""

    reason = "deadline"


class WorkerCpuExceeded(WorkerCrashed):
    """The worker used up its CPU seconds (SIGXCPU)."""

    reason = "cpu"


class ReplyInvalid(SandboxError):
    """The worker's answer is not a well-formed reply: short, or not what the wire format allows."""

    reason = "reply"


class ProgressInvalid(ReplyInvalid):
    """What the worker said of its progress was out of range, went backwards, or was not asked."""

    reason = "progress"


class ReplyTooLarge(SandboxError):
    """The worker announced more output than its limit allows."""

    reason = "output"


class RequestInvalid(SandboxError):
    """What was to be sent up the pipe is beyond the wire format or the worker's limits."""

    reason = "request"


class WorkerGone(WorkerCrashed):
    """The worker had ended before it was given anything: another worker can take the job."""

    reason = "gone"
