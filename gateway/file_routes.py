"""The addresses of stored files: what each accepts, answers and can refuse."""

from typing import Annotated

from msgspec import Meta

from engine import errors as engine
from gateway import errors as gateway
from gateway import storing
from gateway.api import files
from gateway.asked import LIFETIME, URL
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger
from ledger.files.limits import LIFETIME_S_MAX

BINARY = {"type": "string", "contentMediaType": "application/octet-stream"}
LIFETIME_PARAMETER = Parameter(
    name=LIFETIME,
    place="query",
    description="For how many seconds the file is stored; an hour without it, where the operator "
    "did not decide otherwise.",
    type=Annotated[int, Meta(ge=1, le=int(LIFETIME_S_MAX))],
)
URL_PARAMETER = Parameter(
    name=URL,
    place="query",
    description="Where the file is fetched, percent-encoded; then there is no body. It is a public "
    "`https` or `http` address without credentials in it. Off where the operator did not turn it "
    "on.",
)
FETCH_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.FetchOff,
    gateway.FetchRefused,
    gateway.FetchFailed,
    gateway.FetchUnusable,
    gateway.FetchTooLarge,
    gateway.FetchTooSlow,
    gateway.FetchCrowded,
)
STORED = Answer(
    status=201,
    description="The file is stored. The handle is given this once; nobody can find it out again, "
    "and without it nobody can read the file.",
    content=(Content(type=storing.StoredAnswer),),
    headers=(
        ("Location", "Where the file is fetched and deleted."),
        (storing.EXPIRES, "When it stops being there (RFC 3339)."),
    ),
)
STORE_PROBLEMS: tuple[type[Exception], ...] = (
    ledger.StoreOff,
    ledger.StoreFull,
    ledger.StoreQuotaExceeded,
    ledger.FileLapsed,
)
_FACTS = (
    ("ETag", "The file's version; it never changes."),
    ("Accept-Ranges", "`bytes`: parts can be asked for."),
    (storing.EXPIRES, "When it stops being there (RFC 3339)."),
    ("Content-Disposition", "Always a download, with the file's name."),
)

FILE_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/files",
        handler=files.upload,
        access=Access.CUSTOMER,
        permission=Permission.FILES,
        name="storeFile",
        tag="files",
        summary="Store a file for a while, to convert it later",
        description="Send one file as the raw body, or say with `url=` where it is fetched. It is "
        "sealed with a key that only the handle in the answer completes, and is gone at the latest "
        "after 3 hours. A conversion takes it with `file=HANDLE`. Nothing is charged.",
        uploads=True,
        check=files.check_upload,
        parameters=(LIFETIME_PARAMETER, URL_PARAMETER),
        body=(Content(media_type="application/octet-stream", schema=BINARY),),
        bodyless=True,
        answers=(STORED,),
        problems=(
            gateway.UploadCut,
            gateway.UploadTooSlow,
            gateway.UploadTooLarge,
            gateway.MediaTypeUnsupported,
            gateway.ExpectationUnknown,
            gateway.MemoryFull,
            gateway.ServiceDraining,
            engine.OptionInvalid,
            engine.SourceEmpty,
            ledger.AccountFrozen,
            ledger.LedgerUnavailable,
            *STORE_PROBLEMS,
            *FETCH_PROBLEMS,
        ),
    ),
    Endpoint(
        method="GET",
        path="/v1/files",
        handler=files.list_files,
        access=Access.CUSTOMER,
        permission=Permission.FILES,
        name="listFiles",
        tag="files",
        summary="The account's stored files, newest first",
        description="Sizes, media types and times. Names are sealed with the files, and handles "
        "are not known here; an `id` is enough to delete a file.",
        parameters=(
            Parameter(
                name="limit",
                place="query",
                description="How many files a page holds.",
                type=Annotated[int, Meta(ge=1, le=files.LIMIT_MAX)],
            ),
            Parameter(name="cursor", place="query", description="`next` of the page before."),
        ),
        answers=(
            Answer(
                status=200, description="A page of files.", content=(Content(type=files.FilesPage),)
            ),
        ),
        problems=(gateway.RequestMalformed, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="GET",
        path="/v1/files/{handle}",
        handler=files.fetch,
        access=Access.CUSTOMER,
        permission=Permission.FILES,
        name="getFile",
        tag="files",
        summary="A stored file, or a part of it",
        description="Whatever opens nothing gets the same answer: a handle that is wrong, guessed, "
        "deleted, expired, or of another account. `HEAD` tells all but the bytes. A file that is "
        "deleted or expires while it is sent ends there, shorter than announced.",
        parameters=(
            Parameter(name="handle", place="path", description="As it was given once."),
            Parameter(
                name="Range", place="header", description="One range of bytes; several are ignored."
            ),
            Parameter(name="If-Range", place="header", description="The ETag to go on with."),
            Parameter(name="If-None-Match", place="header", description="ETags that are known."),
        ),
        answers=(
            Answer(
                status=200,
                description="The file.",
                content=(Content(media_type="*/*", schema=BINARY),),
                headers=_FACTS,
            ),
            Answer(
                status=206,
                description="A part of it.",
                content=(Content(media_type="*/*", schema=BINARY),),
                headers=(("Content-Range", "Which part."), *_FACTS),
            ),
            Answer(status=304, description="It is known already.", headers=_FACTS[:3]),
        ),
        problems=(
            ledger.FileUnknown,
            gateway.RangeUnsatisfiable,
            gateway.MemoryFull,
            gateway.ServiceDraining,
            ledger.LedgerUnavailable,
        ),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/files/{handle}",
        handler=files.delete,
        access=Access.CUSTOMER,
        permission=Permission.FILES,
        name="deleteFile",
        tag="files",
        summary="Delete a stored file",
        description="The server's half of the file's key goes at once, and the file with it. Asked "
        "again, or for a file that never was, the answer is the same.",
        parameters=(
            Parameter(name="handle", place="path", description="The handle, or the `id` of lists."),
        ),
        answers=(
            Answer(status=204, description="From now on there is no such file of this account."),
        ),
        problems=(ledger.LedgerUnavailable,),
    ),
)
