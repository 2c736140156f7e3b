"""`/v1/staff`: looking into an account for a reason, and what shows that the rules were kept."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway import state
from gateway.api.answers import answer
from gateway.api.keys import moment
from gateway.api.privacy import access_item
from gateway.asked import whole_of
from gateway.errors import RequestMalformed
from gateway.json_body import body_of
from gateway.people.sessions import person_of
from gateway.privacy.staff import named_account
from ledger.audit.access import LONGEST, REASON_CHARS_MAX, REASON_CHARS_MIN
from ledger.errors import AccessUnknown

LIMIT, LIMIT_MAX = 100, 1000
_MINUTES_MAX = int(LONGEST.total_seconds() // 60)


class AccessWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which account, why (its owners read this), and for how long."""

    account_id: Annotated[int, Meta(ge=1, le=2**53)]
    reason: Annotated[str, Meta(min_length=REASON_CHARS_MIN, max_length=REASON_CHARS_MAX)]
    minutes: Annotated[int, Meta(ge=1, le=_MINUTES_MAX)] = 60


class MemberSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A member, as support sees one."""

    person_id: int
    address: str
    name: str
    role: str


class KeySeen(msgspec.Struct, frozen=True, kw_only=True):
    """A key, as support sees one."""

    id: str
    label: str
    kind: str
    created_at: str
    last_used_at: str | None
    revoked_at: str | None


class AccountSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An account, as support sees one."""

    account_id: int
    status: str
    balance: int
    created_at: str
    members: tuple[MemberSeen, ...]
    keys: tuple[KeySeen, ...]


class ErasureItem(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure, with its deadline."""

    id: str
    account_id: int | None
    state: str
    requested_at: str
    finish_by: str
    ended_at: str | None
    rows: int


class ErasuresPage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    erasures: tuple[ErasureItem, ...]


class RunItem(msgspec.Struct, frozen=True, kw_only=True):
    """A round of retention."""

    at: str
    table: str
    retention: str
    cutoff: str
    rows: int
    complete: bool


class RunsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The newest first."""

    runs: tuple[RunItem, ...]


class ActionItem(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody did, as it is on record."""

    seq: int
    at: str
    actor: str
    action: str
    parameters: str
    outcome: str | None
    detail: str


class HeadItem(msgspec.Struct, frozen=True, kw_only=True):
    """A signed head of the audit records: bytes are hexadecimal."""

    seq: int
    hash: str
    at: str
    kid: str
    signature: str


class AuditPage(msgspec.Struct, frozen=True, kw_only=True):
    """Actions and signed heads, the newest first."""

    actions: tuple[ActionItem, ...]
    heads: tuple[HeadItem, ...]


async def grant_access(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/access`."""
    asked, session = await body_of(request, AccessWanted), person_of(request)
    granted = await request.app[state.LEDGER].accesses.grant(
        asked.account_id,
        session.person_id,
        role=", ".join(sorted(session.staff)),
        reason=_reason(asked.reason),
        lifetime=timedelta(minutes=asked.minutes),
    )
    return answer(access_item(granted), 201)


async def end_access(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/staff/access/{id}`."""
    try:
        access_id = UUID(request.match_info["id"])
    except ValueError as error:
        raise AccessUnknown("there is no such access of yours, or it is over") from error
    await request.app[state.LEDGER].accesses.end(access_id, person_of(request).person_id)
    return web.Response(status=204)


async def show_account(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/accounts/{account_id}`: under an access that counts."""
    ledger, account_id = request.app[state.LEDGER], named_account(request) or 0
    account = await ledger.accounts.get(account_id)
    members = await ledger.people.members.list(account_id)
    keys = await ledger.keys.list(account_id)
    return answer(
        AccountSeen(
            account_id=account.id,
            status=account.status,
            balance=account.balance,
            created_at=_moment(account.created_at),
            members=tuple(
                MemberSeen(
                    person_id=one.person_id, address=one.address, name=one.name, role=one.role
                )
                for one in members
            ),
            keys=tuple(
                KeySeen(
                    id=one.id,
                    label=one.label,
                    kind=one.kind,
                    created_at=_moment(one.created_at),
                    last_used_at=moment(one.last_used_at),
                    revoked_at=moment(one.revoked_at),
                )
                for one in keys
            ),
        )
    )


async def list_erasures(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/privacy/erasures`."""
    found = await request.app[state.LEDGER].privacy.erasures.list(_limit(request))
    items = (
        ErasureItem(
            id=str(one.id),
            account_id=one.account_id,
            state=one.state,
            requested_at=_moment(one.requested_at),
            finish_by=_moment(one.finish_by),
            ended_at=moment(one.ended_at),
            rows=one.rows,
        )
        for one in found
    )
    return answer(ErasuresPage(erasures=tuple(items)))


async def list_runs(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/privacy/retention`."""
    found = await request.app[state.LEDGER].privacy.retention.list(_limit(request))
    items = (
        RunItem(
            at=_moment(one.at),
            table=one.table,
            retention=one.retention,
            cutoff=_moment(one.cutoff),
            rows=one.rows,
            complete=one.complete,
        )
        for one in found
    )
    return answer(RunsPage(runs=tuple(items)))


async def show_audit(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/audit`."""
    ledger, limit = request.app[state.LEDGER], _limit(request)
    actions = (
        ActionItem(
            seq=one.seq,
            at=_moment(one.at),
            actor=one.actor,
            action=one.action,
            parameters=one.parameters,
            outcome=one.outcome,
            detail=one.detail,
        )
        for one in await ledger.actions.list(limit)
    )
    heads = (
        HeadItem(
            seq=one.seq,
            hash=one.hash.hex(),
            at=_moment(one.at),
            kid=one.kid,
            signature=one.signature.hex(),
        )
        for one in await ledger.heads.list(limit)
    )
    return answer(AuditPage(actions=tuple(actions), heads=tuple(heads)))


def _reason(text: str) -> str:
    """A sentence that a person reads in a mail."""
    reason = " ".join(text.split())
    if len(reason) < REASON_CHARS_MIN or not reason.isprintable():
        raise RequestMalformed(
            f"reason is a sentence of at least {REASON_CHARS_MIN} characters, which the account's"
            " owners read"
        )
    return reason


def _limit(request: web.Request) -> int:
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    return limit


def _moment(when: datetime) -> str:
    return moment(when) or ""
