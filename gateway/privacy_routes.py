"""The addresses of the privacy page, of what people ask for, and of staff who look."""

from typing import Annotated, Any

from msgspec import Meta

from gateway import errors as gateway
from gateway.api import privacy, staff
from gateway.auth_routes import BODY_PROBLEMS, DONE, page
from gateway.endpoint import Access, Answer, Content, Endpoint, Handler, Parameter
from gateway.permissions import Permission
from gateway.privacy.export import MEDIA_TYPE
from gateway.receipts import KeySet
from gateway.storing import StoredAnswer
from ledger import errors as ledger

TAG = "privacy"
P = Permission
_VERSION = Parameter(
    name="version", place="path", description="The SHA-256 of a version, in hexadecimal."
)
_LIMIT = Parameter(
    name="limit",
    place="query",
    description="How many, the newest first.",
    type=Annotated[int, Meta(ge=1, le=staff.LIMIT_MAX)],
)
_BINARY = {"type": "string", "contentMediaType": MEDIA_TYPE}
_ARCHIVE = Answer(
    status=200,
    description="The archive itself.",
    content=(Content(media_type=MEDIA_TYPE, schema=_BINARY),),
)
_STORED = Answer(
    status=201,
    description="The archive is stored, for 3 hours at the most; its handle is given this once.",
    content=(Content(type=StoredAnswer),),
)
_STORE_PROBLEMS: tuple[type[Exception], ...] = (
    *(ledger.StoreFull, ledger.StoreQuotaExceeded, ledger.FileLapsed),
    *(ledger.AccountFrozen, ledger.AccountUnknown, gateway.MemoryFull),
)


def _public(
    path: str, handler: Handler, name: str, summary: str, answer: Answer, **more: Any
) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        handler=handler,
        access=Access.PUBLIC,
        permission=P.NONE,
        name=name,
        tag=TAG,
        summary=summary,
        answers=(answer,),
        **more,
    )


def _row(
    method: Any,
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    *,
    permission: Permission,
    answers: tuple[Answer, ...] = (DONE,),
    access: Access = Access.PERSON,
    problems: tuple[type[Exception], ...] = (),
    body: Any = None,
    **more: Any,
) -> Endpoint:
    return Endpoint(
        method=method,
        path=path,
        handler=handler,
        access=access,
        permission=permission,
        name=name,
        tag=TAG,
        summary=summary,
        body=() if body is None else (Content(type=body),),
        answers=answers,
        problems=(
            *(BODY_PROBLEMS if body is not None else ()),
            *problems,
            ledger.LedgerUnavailable,
        ),
        **more,
    )


_PAGES: tuple[Endpoint, ...] = (
    _public(
        "/privacy",
        privacy.show,
        "showPrivacy",
        "What is kept, why, for how long, and what you can ask for",
        Answer(
            status=200,
            description="A page without scripts.",
            content=(Content(media_type="text/html", schema={"type": "string"}),),
        ),
    ),
    _public(
        "/privacy.json",
        privacy.show_json,
        "getPrivacy",
        "The same as JSON, each sentence with the claim that tests carry",
        page(privacy.PolicyPage, "The page and its version."),
    ),
    _public(
        "/privacy/versions",
        privacy.list_versions,
        "listPrivacyVersions",
        "Every version that was ever published",
        page(privacy.VersionsPage, "The newest first."),
        problems=(ledger.LedgerUnavailable,),
    ),
    _public(
        "/privacy/versions/{version}",
        privacy.show_version,
        "getPrivacyVersion",
        "One version, byte for byte",
        Answer(
            status=200,
            description="Its canonical JSON.",
            content=(Content(schema={"type": "object"}),),
        ),
        parameters=(_VERSION,),
        problems=(ledger.PolicyUnknown, ledger.LedgerUnavailable),
    ),
    _public(
        "/.well-known/ephemera-audit.json",
        privacy.audit_keys,
        "getAuditKeys",
        "The public keys that heads of the audit records are checked with",
        page(KeySet, "A JSON Web Key Set; the last key signs now."),
    ),
)

_OWN: tuple[Endpoint, ...] = (
    _row(
        *("POST", "/v1/account/export", privacy.export_account, "exportAccount"),
        "Everything that is kept of the account and of you, as a signed archive",
        permission=P.ACCOUNT_EXPORT,
        answers=(_STORED, _ARCHIVE),
        problems=(*_STORE_PROBLEMS, ledger.OutboxFull),
        step_up=True,
        description="The archive is stored, and fetched with its handle. Where the account may"
        " store nothing, because it rests or is to be erased, it is the answer itself.",
    ),
    _row(
        *("GET", "/v1/account/export/{handle}", privacy.fetch_export, "fetchExport"),
        "Fetch an archive",
        permission=P.ACCOUNT_EXPORT,
        answers=(
            _ARCHIVE,
            Answer(status=206, description="A part of it.", content=_ARCHIVE.content),
            Answer(status=304, description="The client has it already."),
        ),
        problems=(
            *(ledger.FileUnknown, gateway.RangeUnsatisfiable),
            *(gateway.MemoryFull, gateway.ServiceDraining),
        ),
        parameters=(
            Parameter(name="handle", place="path", description="What the export answered."),
            Parameter(name="Range", place="header", description="A part of it (RFC 9110)."),
            Parameter(name="If-None-Match", place="header", description="An ETag."),
        ),
    ),
    _row(
        *("DELETE", "/v1/account", privacy.erase_account, "eraseAccount"),
        "Delete the account: keys and sessions now, everything that names you within 30 days",
        permission=P.ACCOUNT_DELETE,
        answers=(page(privacy.ErasurePage, "Until `begins_at` it can be called off.", 202),),
        problems=(ledger.AccountUnknown, ledger.ErasureKnown, ledger.OutboxFull),
        step_up=True,
        description="Credits that are left are lost with it. To call it off, sign in again and"
        " DELETE /v1/account/erasure.",
    ),
    _row(
        *("GET", "/v1/account/erasure", privacy.show_erasure, "getErasure"),
        "The erasure that waits or runs",
        permission=P.ACCOUNT_READ,
        answers=(page(privacy.ErasurePage, "The erasure."),),
        problems=(ledger.ErasureUnknown,),
    ),
    _row(
        *("DELETE", "/v1/account/erasure", privacy.call_off_erasure, "callOffErasure"),
        "Keep the account after all; keys that were revoked stay so",
        permission=P.ACCOUNT_DELETE,
        answers=(page(privacy.ErasurePage, "It was called off."),),
        problems=(ledger.ErasureUnknown,),
    ),
    _row(
        *("GET", "/v1/account/restriction", privacy.show_restriction, "getRestriction"),
        "Whether the account rests",
        permission=P.ACCOUNT_READ,
        answers=(page(privacy.RestrictionPage, "Since when."),),
    ),
    _row(
        *("POST", "/v1/account/restriction", privacy.restrict, "restrict"),
        "Have the account rest: nothing is done with what is there",
        permission=P.ACCOUNT_WRITE,
        answers=(page(privacy.RestrictionPage, "Since when."),),
        problems=(ledger.AccountUnknown, ledger.ErasureKnown),
        step_up=True,
    ),
    _row(
        *("DELETE", "/v1/account/restriction", privacy.lift_restriction, "liftRestriction"),
        "Let it be used again",
        permission=P.ACCOUNT_WRITE,
        problems=(ledger.AccountUnknown, ledger.ErasureKnown),
        step_up=True,
    ),
    _row(
        *("GET", "/v1/account/access", privacy.list_access, "listAccess"),
        "Who of the staff could look into the account, why, and how often they did",
        permission=P.ACCOUNT_READ,
        access=Access.MEMBER,
        answers=(page(privacy.AccessPage, "The newest first."),),
    ),
    _row(
        *("POST", "/v1/auth/export", privacy.export_person, "exportPerson"),
        "Everything that is kept of you, without any account, as a signed archive",
        permission=P.SELF,
        answers=(_ARCHIVE,),
        problems=(gateway.MemoryFull,),
        step_up=True,
    ),
    _row(
        *("DELETE", "/v1/auth/person", privacy.erase_person, "erasePerson"),
        "Delete yourself, and leave all accounts",
        permission=P.SELF,
        answers=(page(privacy.ErasurePage, "Until `begins_at` it can be called off.", 202),),
        problems=(ledger.OwnerWanted, ledger.ErasureKnown, ledger.OutboxFull),
        step_up=True,
    ),
    _row(
        *("GET", "/v1/auth/erasure", privacy.show_person_erasure, "getPersonErasure"),
        "The erasure of yourself that waits or runs",
        permission=P.SELF,
        answers=(page(privacy.ErasurePage, "The erasure."),),
        problems=(ledger.ErasureUnknown,),
    ),
    _row(
        *("DELETE", "/v1/auth/erasure", privacy.call_off_person_erasure, "callOffPersonErasure"),
        "Stay after all",
        permission=P.SELF,
        answers=(page(privacy.ErasurePage, "It was called off."),),
        problems=(ledger.ErasureUnknown,),
    ),
    _row(
        *("GET", "/v1/auth/objections", privacy.list_objections, "listObjections"),
        "What you can object to, and since when you do",
        permission=P.SELF,
        answers=(page(privacy.ObjectionsPage, "All of it."),),
    ),
    _row(
        *("POST", "/v1/auth/objections/{purpose}", privacy.object_to, "objectTo"),
        "Object to something, from now on",
        permission=P.SELF,
        problems=(gateway.RouteUnknown,),
        parameters=(Parameter(name="purpose", place="path", description="Its name."),),
    ),
    _row(
        *("DELETE", "/v1/auth/objections/{purpose}", privacy.withdraw_objection),
        "withdrawObjection",
        "Take an objection back",
        permission=P.SELF,
        problems=(gateway.RouteUnknown,),
        parameters=(Parameter(name="purpose", place="path", description="Its name."),),
    ),
)

_STAFF: tuple[Endpoint, ...] = (
    _row(
        *("POST", "/v1/staff/access", staff.grant_access, "grantAccess"),
        "Look into an account for a while; its owners are told why",
        permission=P.STAFF_ACCESS,
        body=staff.AccessWanted,
        answers=(page(privacy.AccessItem, "From now on.", 201),),
        problems=(ledger.AccountUnknown, ledger.OutboxFull),
    ),
    _row(
        *("DELETE", "/v1/staff/access/{id}", staff.end_access, "endAccess"),
        "Give it back before its time",
        permission=P.STAFF_ACCESS,
        problems=(ledger.AccessUnknown,),
        parameters=(Parameter(name="id", place="path", description="The access's id."),),
    ),
    _row(
        *("GET", "/v1/staff/accounts/{account_id}", staff.show_account, "showAccount"),
        "An account, its members and its keys, under an access that counts",
        permission=P.STAFF_ACCOUNTS_READ,
        answers=(page(staff.AccountSeen, "The account."),),
        problems=(ledger.AccountUnknown, ledger.AccessMissing, gateway.RequestMalformed),
        parameters=(Parameter(name="account_id", place="path", description="Its number."),),
    ),
    _row(
        *("GET", "/v1/staff/privacy/erasures", staff.list_erasures, "listErasures"),
        "Erasures and their deadlines",
        permission=P.STAFF_PRIVACY,
        answers=(page(staff.ErasuresPage, "The newest first."),),
        problems=(gateway.RequestMalformed,),
        parameters=(_LIMIT,),
    ),
    _row(
        *("GET", "/v1/staff/privacy/retention", staff.list_runs, "listRetentionRuns"),
        "What retention deleted, round by round",
        permission=P.STAFF_PRIVACY,
        answers=(page(staff.RunsPage, "The newest first."),),
        problems=(gateway.RequestMalformed,),
        parameters=(_LIMIT,),
    ),
    _row(
        *("GET", "/v1/staff/audit", staff.show_audit, "showAudit"),
        "What staff and operators did, and the signed heads of it",
        permission=P.STAFF_AUDIT_READ,
        answers=(page(staff.AuditPage, "The newest first."),),
        problems=(gateway.RequestMalformed,),
        parameters=(_LIMIT,),
    ),
)

PRIVACY_ROUTES: tuple[Endpoint, ...] = (*_PAGES, *_OWN, *_STAFF)
