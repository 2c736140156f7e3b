"""Every refusal as ConvertAPI tells it: an HTTP status, a code of its table, a sentence.

Keyed by our own problem codes (`gateway/problems.py`), so that what a task has on record can be
told as well as an exception; a test walks all of them. Where ConvertAPI's table has no code, the
code is the HTTP status. A damaged file is 500 here, as its clients expect; the native surface says
422.
"""

import math
import re
from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from gateway import problems
from gateway.errors import MethodNotAllowed, ParametersInvalid, RangeUnsatisfiable, SurfaceRefused

MEDIA_TYPE = "application/json"

PARAMETERS_INVALID = 4000
BAD_SECRET, BAD_TOKEN, BAD_JWT, NO_CREDENTIALS = 4010, 4011, 4012, 4013
NO_BALANCE, INACTIVE, BAD_BASIC = 4014, 4015, 4017
TIMEOUT, FAILED, DAMAGED, PROTECTED = 5000, 5001, 5002, 5003
NO_TABLES, NO_PAGES_LEFT, UNICODE_PASSWORD, WRONG_PASSWORD = 5004, 5005, 5006, 5007
INACCESSIBLE, BAD_FILE_ID, BAD_LINK = 5008, 5009, 50010
NO_IMAGES, NOTHING_INSIDE, UNEXPECTED = 50013, 50020, 50050
VALIDATION = "Parameter validation error."


class Refusal(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """The body of every refusal."""

    code: int
    message: str
    # Reasons by parameter.
    invalid_parameters: dict[str, Sequence[str]] = {}


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal with its status."""

    status: int
    document: Refusal


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried: a few failures have one code for each converter."""

    converter: str = ""
    password: str = ""


# Problem code to status and code.
TABLE: Mapping[str, tuple[int, int]] = {
    "malformed-request": (400, PARAMETERS_INVALID),
    "parameters-invalid": (400, PARAMETERS_INVALID),
    "option-invalid": (400, PARAMETERS_INVALID),
    "file-count-invalid": (400, PARAMETERS_INVALID),
    "surface-refused": (400, PARAMETERS_INVALID),
    "upload-cut": (400, PARAMETERS_INVALID),
    "key-missing": (401, NO_CREDENTIALS),
    "key-refused": (401, BAD_SECRET),
    "account-unknown": (401, BAD_SECRET),
    "insufficient-credits": (401, NO_BALANCE),
    "key-cap-reached": (401, NO_BALANCE),
    "account-frozen": (401, INACTIVE),
    "suspended": (401, INACTIVE),
    "conversion-timeout": (500, TIMEOUT),
    "task-timeout": (500, TIMEOUT),
    "conversion-crashed": (500, FAILED),
    "conversion-memory": (500, FAILED),
    "file-too-complex": (500, FAILED),
    "result-too-large": (500, FAILED),
    "result-impossible": (500, FAILED),
    "file-empty": (500, DAMAGED),
    "file-mismatch": (500, DAMAGED),
    "file-unreadable": (500, DAMAGED),
    "password-required": (500, PROTECTED),
    # A URL that cannot be one, and one that gives no file.
    "fetch-refused": (500, BAD_LINK),
    "fetch-off": (500, INACCESSIBLE),
    "fetch-failed": (500, INACCESSIBLE),
    "fetch-unusable": (500, INACCESSIBLE),
    "fetch-timeout": (500, INACCESSIBLE),
    "internal": (500, UNEXPECTED),
}
# The same result that cannot be, by the converter that cannot make it.
IMPOSSIBLE: Mapping[str, int] = {
    "pdf.tables": NO_TABLES,
    "pdf.delete": NO_PAGES_LEFT,
    "pdf.remove_blank": NO_PAGES_LEFT,
    "pdf.extract_images": NO_IMAGES,
    "pdf.extract_attachments": NOTHING_INSIDE,
    "archive.extract": NOTHING_INSIDE,
}
_NOTHING = Attempt()
# How the engine writes a refused option, in a step of several or not.
_OPTION = re.compile(r"(?:step \d+ \([^)]*\): )?([A-Za-z_]+): (.+)", re.DOTALL)
# A range of pages that goes on after the last one says nothing of what is on them.
_BEYOND = re.compile(r"page \d+ does not exist")
_UNAUTHORISED = range(4010, 4020)


def told(error: BaseException, attempt: Attempt = _NOTHING) -> Told:
    """One error as ConvertAPI tells it."""
    if isinstance(error, SurfaceRefused):
        document = Refusal(code=error.code, message=str(error))
        return Told(status=status_of(error.code), document=document)
    if isinstance(error, ParametersInvalid):
        invalid = {name: list(reasons) for name, reasons in error.parameters.items()}
        return told_of("parameters-invalid", VALIDATION, attempt, invalid)
    kind = problems.kind_of(error)
    sentence = kind.detail if kind.detail is not None else str(error) or kind.title
    return told_of(kind.code, sentence, attempt)


def told_of(
    problem: str,
    sentence: str,
    attempt: Attempt = _NOTHING,
    invalid: Mapping[str, Sequence[str]] | None = None,
) -> Told:
    """A problem on record as ConvertAPI tells it, by its code and its sentence."""
    status, code = TABLE.get(problem, (STATUSES[problem], STATUSES[problem]))
    if problem == "result-impossible" and not _BEYOND.search(sentence):
        code = IMPOSSIBLE.get(attempt.converter, code)
    elif problem == "password-required" and attempt.password:
        code = WRONG_PASSWORD if attempt.password.isascii() else UNICODE_PASSWORD
    elif problem == "option-invalid" and (match := _OPTION.fullmatch(sentence)):
        sentence, invalid = VALIDATION, {match[1]: [match[2]]}
    elif problem == "file-count-invalid":
        sentence, invalid = VALIDATION, {"Files": [sentence]}
    document = Refusal(code=code, message=sentence, invalid_parameters=dict(invalid or {}))
    return Told(status=status, document=document)


def status_of(code: int) -> int:
    """The HTTP status of a code of ConvertAPI's table."""
    if code in _UNAUTHORISED:
        return web.HTTPUnauthorized.status_code
    if code < _UNAUTHORISED.start:
        return web.HTTPBadRequest.status_code
    return web.HTTPInternalServerError.status_code


def response_to(error: BaseException, attempt: Attempt = _NOTHING) -> web.Response:
    """The HTTP answer to an error, with the headers that belong to its status."""
    refusal = told(error, attempt)
    response = web.Response(
        status=refusal.status,
        body=msgspec.json.encode(refusal.document),
        content_type=MEDIA_TYPE,
    )
    wait_s = getattr(error, "retry_after_s", None) or problems.kind_of(error).retry_after_s
    if wait_s:
        response.headers["Retry-After"] = str(math.ceil(wait_s))
    if refusal.status == web.HTTPUnauthorized.status_code:
        response.headers["WWW-Authenticate"] = 'Bearer realm="ephemera"'
    if isinstance(error, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(sorted(error.allowed))
    if isinstance(error, RangeUnsatisfiable):
        response.headers["Content-Range"] = f"bytes */{error.size}"
    return response


def _statuses() -> dict[str, int]:
    """What our own problems are, for those that ConvertAPI has no code for."""
    own = {kind.code: kind.status for kind in problems.KINDS.values()}
    own[problems.UNFORESEEN.code] = problems.UNFORESEEN.status
    # Neither pair of formats: ConvertAPI calls it a media type. A full store asks to wait.
    return own | {
        "format-unknown": 415,
        "conversion-unsupported": 415,
        "file-unrecognised": 415,
        "idempotency-key-in-flight": 503,
        "store-full": 503,
        "too-many-tasks": 503,
        "visitor-quota-exceeded": 503,
        "quota-exceeded": 503,
    }


STATUSES: Mapping[str, int] = _statuses()
