"""The one translation from how a process ended, and what a worker said, to the engine's errors."""

import msgspec

from engine import errors
from engine.job import TaskReply
from engine.workers import ReplyHead
from sandbox.errors import (
    ReplyTooLarge,
    RequestInvalid,
    SandboxError,
    SandboxUnavailable,
    WorkerCpuExceeded,
    WorkerGone,
    WorkerOutOfMemory,
    WorkerTimedOut,
    WorkerViolation,
    ZygoteDied,
)

# The first row whose class fits decides, so special cases stand above their roots.
_TRANSLATIONS: tuple[tuple[type[SandboxError], type[errors.EngineError], str], ...] = (
    (
        WorkerTimedOut,
        errors.ConversionTimedOut,
        "the conversion reached its time limit and was stopped",
    ),
    (
        WorkerCpuExceeded,
        errors.ConversionTimedOut,
        "the conversion used up its CPU time and was stopped",
    ),
    (
        WorkerOutOfMemory,
        errors.ConversionOutOfMemory,
        "the conversion needed more memory than one worker may have; try a smaller file",
    ),
    (
        WorkerViolation,
        errors.ConversionCrashed,
        "the converter did something that the sandbox forbids and was stopped",
    ),
    (
        WorkerGone,
        errors.EngineUnavailable,
        "two workers in a row ended before they were given anything; try again in a few seconds",
    ),
    (
        ReplyTooLarge,
        errors.TargetTooLarge,
        "the result is larger than the limit for one conversion",
    ),
    (
        RequestInvalid,
        errors.SourceTooLarge,
        "the upload is larger than one worker may be given at present",
    ),
    (
        ZygoteDied,
        errors.EngineUnavailable,
        "the worker was lost to a restart; the same request can be sent again",
    ),
    (
        SandboxUnavailable,
        errors.EngineUnavailable,
        "no worker can be started at present; try again in a few seconds",
    ),
    (SandboxError, errors.ConversionCrashed, "the converter crashed on this file"),
)

# What a worker may say went wrong. Anything else from that side of the trust boundary is a crash.
_REFUSALS: dict[str, type[errors.EngineError]] = {
    refusal.__name__: refusal
    for refusal in (
        errors.OptionInvalid,
        errors.SourceUnreadable,
        errors.SourceTooComplex,
        errors.PasswordRequired,
        errors.TargetTooLarge,
        errors.TargetImpossible,
        errors.ConversionOutOfMemory,
        errors.ConversionCrashed,
    )
}

# The label of failures for which the file or its options are to blame.
REFUSED = "refused"
# The reason labels of failures that a worker reported itself.
_REASONS: dict[type[errors.EngineError], str] = {
    errors.ConversionOutOfMemory: "memory",
    errors.TargetTooLarge: "output",
    errors.EngineUnavailable: "unavailable",
}


def translated(error: SandboxError) -> errors.EngineError:
    """What the customer is told of a process that ended without a reply."""
    meaning, sentence = next(row[1:] for row in _TRANSLATIONS if isinstance(error, row[0]))
    if meaning is errors.ConversionCrashed:
        return errors.ConversionCrashed(sentence, reason=error.reason)
    return meaning(sentence)


def checked(reply: ReplyHead) -> TaskReply:
    """What the converter answered. Raises the failure that it reports."""
    try:
        answer = msgspec.msgpack.decode(reply.header, type=TaskReply)
    except msgspec.MsgspecError as error:
        raise errors.ConversionCrashed(
            "the converter gave an answer that cannot be read", reason="reply"
        ) from error
    if answer.error:
        raise _REFUSALS.get(answer.error, errors.ConversionCrashed)(answer.detail)
    if answer.names and len(answer.names) != len(reply.sizes):
        raise errors.ConversionCrashed("the converter lost count of its results", reason="reply")
    if not reply.sizes:
        raise errors.ConversionCrashed("the converter gave no result", reason="reply")
    return answer


def reason(error: errors.EngineError) -> str:
    """The label under which this failure is counted."""
    if isinstance(error, errors.EngineDraining):
        return "draining"
    if isinstance(error.__cause__, SandboxError):
        return error.__cause__.reason
    if isinstance(error, errors.ConversionCrashed):
        return error.reason
    return _REASONS.get(type(error), REFUSED)
