"""The addresses of the ConvertAPI surface: what each accepts, answers and can refuse."""

from typing import Annotated, Literal

from msgspec import Meta

from engine import errors as engine
from gateway import errors as gateway
from gateway import storing
from gateway.api.account import CSV
from gateway.compat.convertapi import account, converting, stored, uploading
from gateway.compat.convertapi.answering import ConvertAnswer, FileAnswer
from gateway.compat.convertapi.dialect import ConvertApi
from gateway.compat.convertapi.discovery_routes import DISCOVERY_ROUTES
from gateway.conversion_routes import BINARY, CONVERSION_PROBLEMS
from gateway.endpoint import Access, Answer, Content, Endpoint, Handler, Parameter
from gateway.file_routes import STORE_PROBLEMS
from gateway.permissions import Permission
from ledger import errors as ledger

TAG = "convertapi"
# An empty one is none.
_DAY = Annotated[str, Meta(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")]
DIALECT = ConvertApi()

FETCH_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.FetchOff,
    gateway.FetchRefused,
    gateway.FetchFailed,
    gateway.FetchUnusable,
    gateway.FetchTooLarge,
    gateway.FetchTooSlow,
    gateway.FetchCrowded,
)
FORMATS = (
    Parameter(
        name="source",
        place="path",
        description="A format; `any` and `*` look at the file, `web` and `url` take `Url`.",
    ),
    Parameter(
        name="target", place="path", description="A format, or what is to be done: `merge`, `zip`."
    ),
)
_CONVERTER = Parameter(
    name="converter", place="path", description="One of ConvertAPI's engines, where it has several."
)
GENERAL = (
    Parameter(
        name="StoreFile",
        place="query",
        description="`true`: results are stored, and told by `FileId` and `Url`.",
    ),
    Parameter(
        name="Timeout", place="query", description="Seconds for the whole conversion: 10 to 1200."
    ),
    Parameter(name="FileName", place="query", description="What the result is to be called."),
    Parameter(
        name="download",
        place="query",
        description="The first result itself, to be saved or to be looked at.",
    ),
    Parameter(name="File", place="query", description="The id of an upload, or a URL."),
)
_CONVERTED = Answer(
    status=200,
    description="The results: JSON, or their bytes where Accept names them.",
    content=(
        Content(type=ConvertAnswer),
        Content(media_type="application/octet-stream", schema=BINARY),
        Content(media_type="multipart/mixed", schema=BINARY),
    ),
    headers=(
        ("X-Request-Id", "Names this request, its conversion and its entries."),
        ("X-Credits-Used", "What this request was charged."),
        ("X-Credits-Remaining", "The account's balance after it."),
        ("X-Isolation-Policy", "Whose files the worker converted: `per-conversion`, ..."),
        ("X-Conversion-Warnings", "RFC 8941 list of what the result lacks."),
        (converting.IGNORED, "Parameters that mean nothing here."),
    ),
)
CONVERT_PROBLEMS = tuple(
    dict.fromkeys(
        (
            gateway.ParametersInvalid,
            gateway.SurfaceRefused,
            *CONVERSION_PROBLEMS,
            *STORE_PROBLEMS,
            *FETCH_PROBLEMS,
        )
    )
)
BODIES = (
    Content(media_type="application/x-www-form-urlencoded", schema={"type": "object"}),
    Content(media_type="multipart/form-data", schema={"type": "object"}),
    Content(media_type="application/json", schema={"type": "object"}),
    Content(media_type="application/octet-stream", schema=BINARY),
)
_ABOUT = (
    "ConvertAPI's protocol, for its own clients: parameters in any case, in the query, a form, JSON"
    " or beside a raw body; files as bytes, base64, ids of uploads or URLs. docs/convertapi.md has"
    " every parameter. Charged and refunded as any conversion is."
)


def _convert(
    method: Literal["GET", "POST"], name: str, handler: Handler, *, engine_named: bool
) -> Endpoint:
    path = "/convert/{source}/to/{target}"
    return Endpoint(
        method=method,
        path=f"{path}/converter/{{converter}}" if engine_named else path,
        handler=handler,
        access=Access.CUSTOMER,
        permission=Permission.CONVERT,
        name=name,
        tag=TAG,
        summary="Convert files, as ConvertAPI does",
        description=_ABOUT,
        uploads=True,
        check=converting.check,
        parameters=(*FORMATS, *((_CONVERTER,) if engine_named else ()), *GENERAL),
        body=BODIES if method == "POST" else (),
        bodyless=True,
        answers=(_CONVERTED,),
        dialect=DIALECT,
        problems=CONVERT_PROBLEMS,
    )


def _from_url(path: str, name: str) -> Endpoint:
    return Endpoint(
        method="POST",
        path=path,
        handler=uploading.upload_from_url,
        access=Access.VISITOR,
        permission=Permission.CONVERT,
        name=name,
        tag=TAG,
        summary="Store the file at a URL for a while, to convert it later",
        description="For customers only, and where the operator lets files be fetched.",
        uploads=True,
        check=uploading.check_from_url,
        parameters=(
            Parameter(name="url", place="query", description="http or https.", required=True),
            Parameter(name="FileName", place="query", description="What the file is called."),
            Parameter(name="HeaderName", place="query", description="A header to send along."),
            Parameter(name="HeaderValue", place="query", description="Its value."),
        ),
        bodyless=True,
        answers=(_UPLOADED,),
        dialect=DIALECT,
        problems=(
            *(gateway.KeyMissing, gateway.ParametersInvalid),
            *_UPLOAD_PROBLEMS,
            *FETCH_PROBLEMS,
        ),
    )


_UPLOADED = Answer(
    status=200,
    description="The file is stored, for an hour where the operator did not decide otherwise. "
    "Without Accept, and for `text/plain`, its id is all there is.",
    content=(
        Content(type=FileAnswer),
        Content(media_type="text/plain", schema={"type": "string"}),
    ),
    headers=((storing.EXPIRES, "When it stops being there (RFC 3339)."),),
)
_UPLOAD_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.SurfaceRefused,
    gateway.UploadCut,
    gateway.UploadTooSlow,
    gateway.UploadTooLarge,
    gateway.MediaTypeUnsupported,
    gateway.ExpectationUnknown,
    gateway.MemoryFull,
    gateway.ServiceDraining,
    gateway.VisitorQuotaExceeded,
    gateway.VisitorsCrowded,
    engine.SourceEmpty,
    ledger.AccountFrozen,
    ledger.LedgerUnavailable,
    *STORE_PROBLEMS,
)
_ID = Parameter(name="id", place="path", description="`FileId` of an upload or a result.")
_NAME = Parameter(name="name", place="path", description="Whatever the file is to be called.")
_DOWNLOAD = Parameter(
    name="download",
    place="query",
    description="Whether a browser saves it, as it does without this, or shows it.",
    type=Literal["attachment", "inline"],
)


def _fetch(*, named: bool) -> Endpoint:
    return Endpoint(
        method="GET",
        path="/d/{id}/{name}" if named else "/d/{id}",
        handler=stored.fetch_named if named else stored.fetch,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="convertapiFetchNamed" if named else "convertapiFetch",
        tag=TAG,
        summary="A stored file, or a part of it, for whoever has its id",
        parameters=(
            *((_ID, _NAME) if named else (_ID,)),
            _DOWNLOAD,
            Parameter(
                name="Range", place="header", description="One range of bytes; several are ignored."
            ),
        ),
        answers=(
            Answer(
                status=200,
                description="The file.",
                content=(Content(media_type="*/*", schema=BINARY),),
            ),
            Answer(
                status=206,
                description="A part of it.",
                content=(Content(media_type="*/*", schema=BINARY),),
                headers=(("Content-Range", "Which part."),),
            ),
            Answer(status=304, description="It is known already."),
        ),
        dialect=DIALECT,
        problems=(
            ledger.FileUnknown,
            gateway.ParametersInvalid,
            gateway.RangeUnsatisfiable,
            gateway.VisitorsCrowded,
            gateway.MemoryFull,
            gateway.ServiceDraining,
            ledger.LedgerUnavailable,
        ),
    )


def _delete(*, named: bool) -> Endpoint:
    return Endpoint(
        method="DELETE",
        path="/d/{id}/{name}" if named else "/d/{id}",
        handler=stored.delete_named if named else stored.delete,
        access=Access.PUBLIC,
        permission=Permission.NONE,
        name="convertapiDeleteNamed" if named else "convertapiDelete",
        tag=TAG,
        summary="Delete a stored file",
        parameters=(_ID, _NAME) if named else (_ID,),
        answers=(Answer(status=200, description="From now on nobody can read it."),),
        dialect=DIALECT,
        problems=(ledger.FileUnknown, ledger.LedgerUnavailable),
    )


CONVERTAPI_ROUTES: tuple[Endpoint, ...] = (
    *DISCOVERY_ROUTES,
    _convert("POST", "convertapiConvert", converting.convert, engine_named=False),
    _convert("GET", "convertapiConvertInQuery", converting.convert_in_query, engine_named=False),
    _convert("POST", "convertapiConvertBy", converting.convert_by, engine_named=True),
    _convert(
        "GET", "convertapiConvertByInQuery", converting.convert_by_in_query, engine_named=True
    ),
    Endpoint(
        method="POST",
        path="/upload",
        handler=uploading.upload,
        access=Access.VISITOR,
        permission=Permission.CONVERT,
        name="convertapiUpload",
        tag=TAG,
        summary="Store a file for a while, to convert it later",
        description="The body is the file, whatever its Content-Type says. Without a key it is "
        "stored within the quota of an address.",
        uploads=True,
        check=uploading.check,
        parameters=(
            Parameter(name="filename", place="query", description="Wins over Content-Disposition."),
            Parameter(name="url", place="query", description="As `/upload-from-url`."),
        ),
        body=(Content(media_type="application/octet-stream", schema=BINARY),),
        bodyless=True,
        answers=(_UPLOADED,),
        dialect=DIALECT,
        problems=(
            *(gateway.KeyMissing, gateway.ParametersInvalid),
            *_UPLOAD_PROBLEMS,
            *FETCH_PROBLEMS,
        ),
    ),
    _from_url("/upload-from-url", "convertapiUploadFromUrl"),
    _fetch(named=False),
    _fetch(named=True),
    _delete(named=False),
    _delete(named=True),
    Endpoint(
        method="GET",
        path="/user",
        handler=account.show,
        access=Access.CUSTOMER,
        permission=Permission.ACCOUNT_READ,
        name="convertapiUser",
        tag=TAG,
        summary="The key's account, in ConvertAPI's words",
        answers=(
            Answer(
                status=200, description="The account.", content=(Content(type=account.UserPage),)
            ),
        ),
        dialect=DIALECT,
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="GET",
        path="/user/statistic",
        handler=account.statistic,
        access=Access.CUSTOMER,
        permission=Permission.ACCOUNT_READ,
        name="convertapiStatistic",
        tag=TAG,
        summary="What was used, day by day",
        parameters=(
            Parameter(
                name="startDate",
                place="query",
                description="The first day (UTC); 30 days up to `endDate` without it.",
                type=_DAY,
            ),
            Parameter(
                name="endDate",
                place="query",
                description="The last day; today.",
                type=_DAY,
            ),
        ),
        answers=(
            Answer(
                status=200,
                description="Days on which something was converted, the oldest first.",
                content=(
                    Content(type=list[account.DayLine]),
                    Content(media_type=CSV, schema={"type": "string"}),
                ),
            ),
        ),
        dialect=DIALECT,
        problems=(gateway.ParametersInvalid, ledger.LedgerUnavailable),
    ),
)
