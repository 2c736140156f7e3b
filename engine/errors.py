"""Every way a conversion can be refused or fail, without HTTP and without money.

Sandbox errors are translated into these once, in `engine/translation.py`.
`gateway/problems.py` gives each its status; a test walks the subclasses and fails for a gap.
"""


class EngineError(Exception):
    """Root of the package. The message is shown to the customer: no file content, no file names."""


class FormatUnknown(EngineError):
    """No such format is known by this name."""


class ConversionUnsupported(EngineError):
    """Both formats are known; nothing here turns one into the other."""


class OptionInvalid(EngineError):
    """An option is unknown to this converter, or its value is out of range. Names the option."""


class SourceCountInvalid(EngineError):
    """This converter takes another number of files."""


class SourceEmpty(EngineError):
    """A file of zero bytes."""


class SourceTooLarge(EngineError):
    """The upload is larger than the limit."""


class SourceUnrecognised(EngineError):
    """`auto` was asked for and the bytes look like nothing we know."""


class SourceMismatch(EngineError):
    """The file is not what it claims to be; says what it looks like."""


class SourceUnreadable(EngineError):
    """Truncated or corrupt: the codec could not read it."""


class SourceTooComplex(EngineError):
    """More pixels, frames or pages than the limit (a decompression bomb, or near one)."""


class PasswordRequired(EngineError):
    """The document is encrypted and no password, or a wrong one, was given."""


class TargetTooLarge(EngineError):
    """The result would be larger than the limit."""


class TargetImpossible(EngineError):
    """This particular file has no such result (for example a page range beyond its pages)."""


class ConversionCrashed(EngineError):
    """The codec crashed or was stopped by the sandbox. `reason` is the label for metrics."""

    def __init__(self, message: str, *, reason: str = "crashed") -> None:
        super().__init__(message)
        self.reason = reason


class ConversionOutOfMemory(EngineError):
    """The conversion needed more memory than a worker may have."""


class ConversionTimedOut(EngineError):
    """The conversion reached its deadline, or its CPU seconds."""


class EngineBusy(EngineError):
    """The waiting line is full, or the wait too long. A retry helps after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class EngineDraining(EngineError):
    """The service is stopping and takes no new conversions."""


class EngineUnavailable(EngineError):
    """No worker can be started at present (the zygote is being replaced). A retry helps."""


class IsolationUnavailable(EngineError):
    """The kernel cannot give the isolation level that was asked for; the start is refused."""
