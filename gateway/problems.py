"""Errors as RFC 9457 problem documents: the only place that knows both an error and its status.

`KINDS` maps every error of the engine, the ledger and the gateway to a status and a code. What is
not in it is a 500 with a request id and nothing else. No problem was ever charged: whatever is
raised inside `ledger.debit` refunds on its way out.
"""

import math
from collections.abc import Mapping
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import UNSET, UnsetType, field

from engine import errors as engine
from gateway import errors as gateway
from gateway.limits import headers
from ledger import errors as ledger

MEDIA_TYPE = "application/problem+json"


class Kind(msgspec.Struct, frozen=True):
    """What all problems of one code have in common."""

    code: str
    status: int
    title: str
    # The same request, sent again later, can succeed.
    retryable: bool = False
    # Replaces the error's own sentence where that one is not the customer's business.
    detail: str | None = None
    # Seconds, where the error does not know better.
    retry_after_s: float | None = None
    # Where somebody else has given the code a meaning; otherwise it is a page of ours.
    type: str | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An RFC 9457 problem document."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    charged: bool
    retryable: bool
    # The policies whose quota was reached.
    violated_policies: tuple[str, ...] | UnsetType = field(default=UNSET, name="violated-policies")


# Where an error does not know how long: long enough for a restart, short enough for a person.
BUSY_S = 2.0
# A service that stops is usually replaced within seconds.
DRAIN_S = 5.0

UNFORESEEN = Kind(
    "internal",
    500,
    "Something went wrong here",
    detail="the service failed in a way nobody foresaw; nothing was charged, and the request id "
    "helps the operator to find out why",
    retryable=True,
)

KINDS: Mapping[type[Exception], Kind] = {
    gateway.RequestMalformed: Kind("malformed-request", 400, "Malformed request"),
    gateway.RouteUnknown: Kind("not-found", 404, "No such address"),
    gateway.MethodNotAllowed: Kind("method-not-allowed", 405, "Method not allowed"),
    gateway.KeyMissing: Kind("key-missing", 401, "API key missing"),
    gateway.KeyRefused: Kind("key-refused", 401, "API key refused"),
    gateway.KeyInQuery: Kind("key-in-query", 400, "API key in the address"),
    gateway.ScopeMissing: Kind("scope-missing", 403, "Scope missing"),
    gateway.AddressRefused: Kind("address-refused", 403, "Not from this address"),
    gateway.OperationRefused: Kind("operation-refused", 403, "Not for this conversion"),
    gateway.PowersExceeded: Kind("powers-exceeded", 403, "More than your key may do"),
    gateway.Suspended: Kind("suspended", 403, "Suspended"),
    gateway.QuotaExceeded: Kind(
        "quota-exceeded", 429, "Quota exceeded", retryable=True, type=headers.PROBLEM_TYPE
    ),
    gateway.OperatorOnly: Kind("operator-only", 403, "For the operator only"),
    gateway.ExpectationUnknown: Kind("expectation-unknown", 417, "Unknown expectation"),
    gateway.UploadTooLarge: Kind("upload-too-large", 413, "Upload too large"),
    gateway.UploadTooSlow: Kind("upload-too-slow", 408, "Upload too slow", retryable=True),
    gateway.UploadCut: Kind("upload-cut", 400, "Upload cut short", retryable=True),
    gateway.UploadPartsExceeded: Kind("too-many-files", 413, "Too many files"),
    gateway.MediaTypeUnsupported: Kind("media-type-unsupported", 415, "Unsupported body"),
    gateway.MemoryFull: Kind("busy", 503, "Busy", retryable=True, retry_after_s=BUSY_S),
    gateway.DownloadStalled: Kind("download-stalled", 408, "Download stalled", retryable=True),
    gateway.ServiceDraining: Kind(
        "draining", 503, "Service stopping", retryable=True, retry_after_s=DRAIN_S
    ),
    gateway.RangeUnsatisfiable: Kind("range-unsatisfiable", 416, "No such part"),
    gateway.ParametersInvalid: Kind("parameters-invalid", 400, "Invalid parameters"),
    gateway.SurfaceRefused: Kind("surface-refused", 400, "Refused by a compatible surface"),
    gateway.FetchOff: Kind("fetch-off", 501, "Nothing is fetched here"),
    gateway.HooksOff: Kind("hooks-off", 501, "No webhook is called here"),
    gateway.FetchError: Kind("fetch-failed", 502, "Fetching failed", retryable=True),
    gateway.FetchRefused: Kind("fetch-refused", 422, "URL refused"),
    gateway.FetchFailed: Kind("fetch-failed", 502, "Fetching failed", retryable=True),
    gateway.FetchUnusable: Kind("fetch-unusable", 422, "No file at that URL"),
    gateway.FetchTooLarge: Kind("fetch-too-large", 413, "File at that URL too large"),
    gateway.FetchTooSlow: Kind("fetch-timeout", 504, "Fetching took too long", retryable=True),
    gateway.FetchCrowded: Kind("busy", 503, "Busy", retryable=True, retry_after_s=BUSY_S),
    gateway.ConnectionsOff: Kind("connections-off", 501, "No storage is connected here"),
    gateway.StorageError: Kind("storage-failed", 502, "Storage failed", retryable=True),
    gateway.StorageRefused: Kind("storage-refused", 422, "Storage refused"),
    gateway.StorageFailed: Kind("storage-failed", 502, "Storage failed", retryable=True),
    gateway.StorageTooSlow: Kind("storage-timeout", 504, "Storage took too long", retryable=True),
    gateway.VisitorQuotaExceeded: Kind(
        "visitor-quota-exceeded", 429, "Too much without a key", retryable=True
    ),
    gateway.TaskTimedOut: Kind("task-timeout", 504, "Task timed out"),
    gateway.TaskInstanceLost: Kind("lost-instance", 503, "Instance lost", retryable=True),
    gateway.TaskExpired: Kind("task-expired", 503, "Task expired", retryable=True),
    gateway.TaskCancelled: Kind("task-cancelled", 409, "Task cancelled"),
    gateway.TaskUnfinished: Kind("task-unfinished", 409, "No result yet", retryable=True),
    gateway.TaskElsewhere: Kind("task-elsewhere", 421, "Result elsewhere", retryable=True),
    gateway.StreamsExceeded: Kind("too-many-streams", 429, "Too many streams", retryable=True),
    gateway.VisitorsCrowded: Kind("busy", 503, "Busy", retryable=True, retry_after_s=BUSY_S),
    gateway.SessionMissing: Kind("session-missing", 401, "Sign in first"),
    gateway.SessionRefused: Kind("session-refused", 401, "Session over"),
    gateway.PermissionMissing: Kind("permission-missing", 403, "Permission missing"),
    gateway.SecondFactorWanted: Kind("second-factor-wanted", 403, "Second factor wanted"),
    gateway.StepUpWanted: Kind("step-up-wanted", 403, "Password wanted once more"),
    gateway.SignInRefused: Kind("sign-in-refused", 401, "Sign-in refused"),
    gateway.CodeWanted: Kind("code-wanted", 401, "One-time code wanted"),
    gateway.CodeRefused: Kind("code-refused", 401, "Code refused"),
    gateway.PasswordRefused: Kind("password-refused", 422, "Password refused"),
    gateway.PriceAboveLimit: Kind("price-above-limit", 402, "More than your limit"),
    gateway.BillingOff: Kind("billing-off", 501, "Nothing is sold here"),
    gateway.PackUnknown: Kind("pack-unknown", 404, "No such pack"),
    gateway.WebhookRefused: Kind("webhook-refused", 401, "Webhook refused"),
    gateway.ProviderFailed: Kind(
        "payment-provider-failed", 502, "Payment provider failed", retryable=True
    ),
    gateway.SignUpClosed: Kind("sign-up-closed", 403, "Sign-up closed"),
    gateway.TooManyTries: Kind("too-many-tries", 429, "Too many tries", retryable=True),
    gateway.HashingBusy: Kind("busy", 503, "Busy", retryable=True, retry_after_s=BUSY_S),
    engine.FormatUnknown: Kind("format-unknown", 404, "Unknown format"),
    engine.ConversionUnsupported: Kind("conversion-unsupported", 422, "Unsupported conversion"),
    engine.OptionInvalid: Kind("option-invalid", 422, "Invalid option"),
    engine.SourceCountInvalid: Kind("file-count-invalid", 422, "Wrong number of files"),
    engine.SourceEmpty: Kind("file-empty", 422, "Empty file"),
    engine.SourceTooLarge: Kind("file-too-large", 413, "File too large"),
    engine.SourceUnrecognised: Kind("file-unrecognised", 422, "Unrecognised file"),
    engine.SourceMismatch: Kind("file-mismatch", 422, "Not the format it claims to be"),
    engine.SourceUnreadable: Kind("file-unreadable", 422, "Unreadable file"),
    engine.SourceTooComplex: Kind("file-too-complex", 422, "File too complex"),
    engine.PasswordRequired: Kind("password-required", 422, "Password required"),
    engine.TargetTooLarge: Kind("result-too-large", 422, "Result too large"),
    engine.TargetImpossible: Kind("result-impossible", 422, "No such result"),
    engine.ConversionCrashed: Kind("conversion-crashed", 422, "Conversion crashed"),
    engine.ConversionOutOfMemory: Kind("conversion-memory", 422, "Conversion out of memory"),
    engine.ConversionTimedOut: Kind("conversion-timeout", 504, "Conversion timed out"),
    engine.EngineBusy: Kind("busy", 503, "Busy", retryable=True, retry_after_s=BUSY_S),
    engine.EngineDraining: Kind(
        "draining", 503, "Service stopping", retryable=True, retry_after_s=DRAIN_S
    ),
    engine.EngineUnavailable: Kind(
        "engine-unavailable", 503, "Engine unavailable", retryable=True, retry_after_s=BUSY_S
    ),
    ledger.InsufficientCredits: Kind("insufficient-credits", 402, "Not enough credits"),
    ledger.AccountUnknown: Kind("account-unknown", 403, "Unknown account"),
    ledger.AccountFrozen: Kind("account-frozen", 403, "Account frozen"),
    ledger.SuspensionKnown: Kind("suspended-already", 409, "Suspended already"),
    ledger.SuspensionUnknown: Kind("not-suspended", 409, "Not suspended"),
    ledger.NameTaken: Kind("name-taken", 409, "Name taken"),
    ledger.KeyUnknown: Kind("key-unknown", 404, "Unknown key"),
    ledger.KeysExceeded: Kind("too-many-keys", 409, "Too many keys"),
    ledger.CapReached: Kind("key-cap-reached", 402, "The key's cap is reached"),
    ledger.ReferenceUsed: Kind("reference-used", 409, "Reference used"),
    ledger.KeyInFlight: Kind(
        "idempotency-key-in-flight", 409, "First request still running", retryable=True
    ),
    ledger.KeyMismatch: Kind("idempotency-key-mismatch", 422, "Idempotency key used before"),
    ledger.RefundRefused: Kind("refund-refused", 409, "Nothing to refund"),
    ledger.DebitLapsed: Kind("debit-lapsed", 503, "Debit lapsed", retryable=True, retry_after_s=1),
    ledger.LedgerUnavailable: Kind(
        "ledger-unavailable", 503, "Ledger unavailable", retryable=True, retry_after_s=BUSY_S
    ),
    ledger.LedgerFault: UNFORESEEN,
    ledger.DamagedEnvelope: UNFORESEEN,
    ledger.EnvelopeMissing: UNFORESEEN,
    ledger.FileUnknown: Kind("file-unknown", 404, "No such stored file"),
    ledger.FileDamaged: UNFORESEEN,
    ledger.FileLapsed: Kind("file-lapsed", 503, "File came too slowly", retryable=True),
    # Files expire by the minute; a retry sooner is not worth its bytes.
    ledger.StoreFull: Kind("store-full", 507, "Store full", retryable=True, retry_after_s=60),
    ledger.StoreQuotaExceeded: Kind("store-quota-exceeded", 507, "Store quota exceeded"),
    ledger.StoreOff: Kind("store-off", 501, "Nothing is stored here"),
    ledger.TaskUnknown: Kind("task-unknown", 404, "No such task"),
    ledger.TaskQuotaExceeded: Kind(
        "too-many-tasks", 429, "Too many tasks", retryable=True, retry_after_s=BUSY_S
    ),
    ledger.TaskQueueFull: Kind("busy", 503, "Busy", retryable=True, retry_after_s=BUSY_S),
    ledger.HookUnknown: Kind("webhook-unknown", 404, "No such webhook"),
    ledger.HooksExceeded: Kind("too-many-webhooks", 409, "Too many webhooks"),
    ledger.ConnectionUnknown: Kind("connection-unknown", 404, "No such connection"),
    ledger.ConnectionsExceeded: Kind("too-many-connections", 409, "Too many connections"),
    ledger.DeliveryUnknown: Kind("delivery-unknown", 404, "No such delivery"),
    ledger.PersonUnknown: Kind("person-unknown", 404, "No such person"),
    ledger.SessionUnknown: Kind("session-unknown", 404, "No such session"),
    ledger.LinkUnknown: Kind("link-unknown", 404, "No such link"),
    ledger.AddressKnown: Kind("address-known", 409, "Sign in first"),
    ledger.FactorUnknown: Kind("factor-unknown", 409, "No second factor"),
    ledger.FactorWanted: Kind("factor-wanted", 409, "Second factor wanted"),
    ledger.MemberUnknown: Kind("member-unknown", 404, "No such member"),
    ledger.MemberKnown: Kind("member-known", 409, "A member already"),
    ledger.MembersExceeded: Kind("too-many-members", 409, "Too many members"),
    ledger.OwnerWanted: Kind("owner-wanted", 409, "An owner is wanted"),
    ledger.RoleExceeded: Kind("role-exceeded", 403, "More than your role may do"),
    ledger.InvitationUnknown: Kind("invitation-unknown", 404, "No such invitation"),
    ledger.OrderUnknown: Kind("order-unknown", 404, "No such order"),
    ledger.OutboxFull: Kind("busy", 503, "Busy", retryable=True, retry_after_s=BUSY_S),
    ledger.ErasureKnown: Kind("erasure-known", 409, "Asked for before"),
    ledger.ErasureUnknown: Kind("erasure-unknown", 404, "Nothing to call off"),
    ledger.AccessUnknown: Kind("access-unknown", 404, "No such access"),
    ledger.AccessMissing: Kind("access-missing", 403, "Access not granted"),
    ledger.PolicyUnknown: Kind("policy-unknown", 404, "No such version"),
    ledger.LetterUnknown: Kind("letter-unknown", 404, "No such dead letter"),
    ledger.TicketUnknown: Kind("ticket-unknown", 404, "No such ticket"),
    ledger.TicketsExceeded: Kind("too-many-tickets", 409, "Too many tickets"),
    ledger.IncidentUnknown: Kind("incident-unknown", 404, "No such incident"),
    ledger.IncidentRefused: Kind("incident-refused", 409, "Not like this"),
    gateway.ProofRefused: Kind("proof-refused", 403, "Proof of work refused"),
}

# Raised only while the service starts or by the command line; over HTTP they are a plain 500.
BOOT_ONLY: frozenset[type[Exception]] = frozenset(
    {
        gateway.ConfigError,
        gateway.AddressInUse,
        gateway.NobodyAnswers,
        gateway.OrderRefused,
        gateway.OrderUntimely,
        gateway.WhichOne,
        gateway.ReceiptInvalid,
        engine.IsolationUnavailable,
        ledger.SchemaBehind,
        ledger.SchemaNewer,
        ledger.SchemaChanged,
        ledger.DatabaseRefused,
        ledger.EmbeddedUnavailable,
    }
)
ROOTS: frozenset[type[Exception]] = frozenset(
    {engine.EngineError, gateway.GatewayError, ledger.LedgerError}
)


def kind_of(error: BaseException) -> Kind:
    """The nearest ancestor's entry, so that a subclass made later is never a 500."""
    for ancestor in type(error).__mro__:
        if kind := KINDS.get(ancestor):
            return kind
    return UNFORESEEN


def problem_of(error: BaseException, request_id: UUID) -> Problem:
    """The document for one error of one request."""
    kind = kind_of(error)
    return Problem(
        type=kind.type or f"/problems/{kind.code}",
        title=kind.title,
        status=kind.status,
        detail=kind.detail if kind.detail is not None else str(error) or kind.title,
        instance=f"urn:uuid:{request_id}",
        code=kind.code,
        request_id=str(request_id),
        charged=False,
        retryable=kind.retryable,
        violated_policies=error.policies if isinstance(error, gateway.QuotaExceeded) else UNSET,
    )


def response_to(error: BaseException, request_id: UUID) -> web.Response:
    """The HTTP answer to an error, with the headers that belong to its status."""
    problem = problem_of(error, request_id)
    response = web.Response(
        status=problem.status, body=msgspec.json.encode(problem), content_type=MEDIA_TYPE
    )
    wait_s = getattr(error, "retry_after_s", None) or kind_of(error).retry_after_s
    if wait_s:
        response.headers["Retry-After"] = str(math.ceil(wait_s))
    if problem.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = 'Bearer realm="ephemera"'
    if isinstance(error, gateway.MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, gateway.RangeUnsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    return response


def from_http(error: web.HTTPException) -> Exception:
    """What aiohttp itself refuses, in our own words."""
    match error:
        case web.HTTPNotFound():
            return gateway.RouteUnknown("there is nothing at this address; see /openapi.json")
        case web.HTTPMethodNotAllowed():
            allowed = frozenset(error.allowed_methods)
            return gateway.MethodNotAllowed(
                f"this address takes {', '.join(sorted(allowed))}", allowed=allowed
            )
        case web.HTTPRequestEntityTooLarge():
            return gateway.UploadTooLarge("the body is larger than this address takes")
        case web.HTTPClientError():
            return gateway.RequestMalformed("the request cannot be understood")
    return error
