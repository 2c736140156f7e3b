"""Every way a request can be refused before the engine or the ledger is asked.

The message is shown to the customer: the thing, the reason, the next step. `gateway/problems.py`
gives each its status; a test walks the subclasses and fails for a gap.
"""

from collections.abc import Mapping, Sequence


class GatewayError(Exception):
    """Root of the package."""


class RequestMalformed(GatewayError):
    """The request is not well formed: a bad header, a broken multipart body, a bad cursor."""


class RouteUnknown(GatewayError):
    """No such address."""


class MethodNotAllowed(GatewayError):
    """The address exists and takes other methods."""

    def __init__(self, message: str, *, allowed: frozenset[str]) -> None:
        super().__init__(message)
        self.allowed = allowed


class KeyMissing(GatewayError):
    """The request carries no API key."""


class KeyRefused(GatewayError):
    """The API key is unknown or revoked. The answer does not say which."""


class KeyInQuery(GatewayError):
    """An API key in the address, where logs keep it."""


class ScopeMissing(GatewayError):
    """The API key or token is good, and not for this."""


class AddressRefused(GatewayError):
    """The API key or token is good, and not from this address."""


class OperationRefused(GatewayError):
    """The API key or token is good, and not for this conversion."""


class PowersExceeded(GatewayError):
    """A key or token was asked for that could do more than the key that asks for it."""


class Suspended(GatewayError):
    """The account, or the key, was suspended by the operator; its owner was told why."""


class QuotaExceeded(GatewayError):
    """A limit on how often or how much somebody asks was reached. A retry helps later."""

    def __init__(self, message: str, *, policy: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.policies = (policy,)
        self.retry_after_s = retry_after_s


class OperatorOnly(GatewayError):
    """The address is for the operator: from this machine, or with the operator's token."""


class ExpectationUnknown(GatewayError):
    """An `Expect` header other than `100-continue`."""


class UploadTooLarge(GatewayError):
    """The body, announced or counted, is larger than one request may carry."""


class UploadTooSlow(GatewayError):
    """The client stopped sending, or sends too slowly to be worth the memory."""


class UploadCut(GatewayError):
    """The body ended before its announced end."""


class UploadPartsExceeded(GatewayError):
    """A multipart body with more parts than one request may carry."""


class MediaTypeUnsupported(GatewayError):
    """A form or an encoded body where raw bytes or multipart/form-data are taken."""


class MemoryFull(GatewayError):
    """The bytes in flight of all requests together reached their limit."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DownloadStalled(GatewayError):
    """The client stopped reading its result. Nobody is left to answer."""


class ServiceDraining(GatewayError):
    """The service is stopping: it takes no new conversion, or could not finish this one."""


class RangeUnsatisfiable(GatewayError):
    """A part of a file was asked for that the file does not have."""

    def __init__(self, message: str, *, size: int) -> None:
        super().__init__(message)
        self.size = size


class ParametersInvalid(GatewayError):
    """Parameters of a compatible surface that cannot be honoured, each with its reasons."""

    def __init__(self, parameters: Mapping[str, Sequence[str]]) -> None:
        """`parameters`: what is wrong with each, by its name in that surface."""
        super().__init__(
            "; ".join(f"{name}: {', '.join(reasons)}" for name, reasons in parameters.items())
        )
        self.parameters = {name: tuple(reasons) for name, reasons in parameters.items()}


class SurfaceRefused(GatewayError):
    """A refusal that only a compatible surface knows; `code` stands in that surface's table."""

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class FetchOff(GatewayError):
    """The operator lets nothing be fetched by URL."""


class HooksOff(GatewayError):
    """The operator lets no webhook be called."""


class FetchError(GatewayError):
    """A URL that no file came from. `reason` is a label of a closed list, for figures and logs."""

    def __init__(self, message: str, *, reason: str, status: int | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        # What the server answered, where that is why.
        self.status = status


class FetchRefused(FetchError):
    """The URL, or where it redirects to, is not one that is asked. Stays vague about why."""


class FetchFailed(FetchError):
    """The URL's server was not reached, broke off, or is out of order. May work later."""


class FetchUnusable(FetchError):
    """The URL's server answered, and not with a file that can be taken."""


class FetchTooLarge(FetchError):
    """What the URL's server sends is larger than may be fetched."""


class FetchTooSlow(FetchError):
    """The URL's server stopped sending, or sends too slowly."""


class FetchCrowded(FetchError):
    """As many files are being fetched as may be at once."""


class ConnectionsOff(GatewayError):
    """The operator lets no customer's storage be used."""


class StorageError(GatewayError):
    """A customer's own storage that a file did not come from, or go to. Nothing was charged."""


class StorageRefused(StorageError):
    """The storage said no, or is none that may be asked."""


class StorageFailed(StorageError):
    """The storage was not reached, broke off, or is out of order. May work later."""


class StorageTooSlow(StorageError):
    """The storage did not answer in time, or takes or sends too slowly."""


class VisitorQuotaExceeded(GatewayError):
    """An address stored as much without a key as it may. A retry helps when something expired."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class VisitorsCrowded(GatewayError):
    """As many files come and go without a key as may at once. A retry helps."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TaskTimedOut(GatewayError):
    """A task took longer than its client gives it (`timeout_s`). Nothing was charged."""


class TaskInstanceLost(GatewayError):
    """The process that had a task's bytes, or ran it twice, is gone. Nothing was charged."""


class TaskExpired(GatewayError):
    """A task did not begin in time, or nobody fetched its result. Nothing was charged."""


class TaskCancelled(GatewayError):
    """Its owner cancelled the task. Nothing was charged."""


class TaskUnfinished(GatewayError):
    """The task has no result yet, or none at all; its document says which."""


class TaskElsewhere(GatewayError):
    """The task's result is in the memory of another process behind the same address. Ask again."""


class StreamsExceeded(GatewayError):
    """As many streams of events are open as may be. Poll, or ask with `Prefer: wait`."""


class ProofRefused(GatewayError):
    """A form came without the proof of work it takes, or with one that is wrong, old or used."""


class ReceiptInvalid(GatewayError):
    """A receipt that is not ours, was changed, or belongs to other files; or one too long."""


class SessionMissing(GatewayError):
    """The address is for people who have signed in, and nobody is."""


class SessionRefused(GatewayError):
    """The session is unknown or over. The answer does not say which."""


class PermissionMissing(GatewayError):
    """Whoever has signed in may not do this."""


class SecondFactorWanted(GatewayError):
    """Staff ask for something of theirs in a session without a second factor."""


class StepUpWanted(GatewayError):
    """The session has to show its password once more before this."""


class SignInRefused(GatewayError):
    """No such address, a wrong password, a suspended person. The answer does not say which."""


class CodeWanted(GatewayError):
    """The password is right, and a second factor is needed as well."""


class CodeRefused(GatewayError):
    """The one-time or recovery code is wrong, too old, or was used."""


class PasswordRefused(GatewayError):
    """The password is too short, too long, or too easy to think of."""


class SignUpClosed(GatewayError):
    """The operator lets nobody in who was not invited."""


class TooManyTries(GatewayError):
    """As many tries as may be, for now. A retry helps after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class HashingBusy(GatewayError):
    """As many passwords wait to be checked as may. A retry helps."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PriceAboveLimit(GatewayError):
    """The conversion costs more than its client lets it (`X-Max-Credits`). Nothing was charged."""


class BillingOff(GatewayError):
    """Nothing is sold here, or this provider cannot do that."""


class PackUnknown(GatewayError):
    """No such pack of credits."""


class WebhookRefused(GatewayError):
    """A webhook whose signature is missing or wrong. The answer does not say which."""


class ProviderFailed(GatewayError):
    """The payment provider cannot be reached, or does not answer as it should. A retry helps."""


class ConfigError(GatewayError):
    """A setting is unknown or wrong. Names the setting and the place; stops the boot."""


class AddressInUse(GatewayError):
    """Another process listens where this one was told to. Stops the boot."""


class NobodyAnswers(GatewayError):
    """No running service can be reached; says where it was looked for. Only at the terminal."""


class OrderRefused(GatewayError):
    """A running service answered, and did not do what an operator wanted. Only at the terminal."""


class OrderUntimely(OrderRefused):
    """Likewise, and the same order can succeed later."""


class WhichOne(GatewayError):
    """Several services run, and the operator named none. Only at the terminal."""
