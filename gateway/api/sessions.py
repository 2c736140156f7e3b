"""`/v1/auth/session` and `/v1/auth/sessions`: who is signed in, where, and for how long."""

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.api.answers import answer
from gateway.api.auth import Code, Password, RecoveryCode, begun_page, desk_of
from gateway.api.keys import moment
from gateway.errors import SessionMissing
from gateway.json_body import body_of
from gateway.operators import bearer
from gateway.people.desk import Proof
from gateway.people.sessions import permissions_of, person_of
from gateway.permissions import Permission
from ledger.people.person import Session, SessionItem
from ledger.people.roles import Role, StaffRole
from ledger.people.sessions import STEP_UP, ends_at


class StepUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What shows once more who somebody is."""

    password: Password
    code: Code | None = None
    recovery_code: RecoveryCode | None = None


class AccountChosen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account to act for, one of the person's own."""

    account_id: Annotated[int, Meta(ge=1, lt=2**53)]


class MembershipItem(msgspec.Struct, frozen=True, kw_only=True):
    """An account of the person, and what the person is in it."""

    account_id: int
    name: str
    role: Role
    # active or frozen.
    status: str


class SessionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed in, for which account, and what that allows."""

    id: str
    person_id: int
    address: str
    name: str
    # The account that the session acts for, and the person's role in it; null for no member.
    account_id: int | None
    role: Role | None
    staff: tuple[StaffRole, ...]
    permissions: tuple[Permission, ...]
    # Whether a second factor was shown in this session, and whether the person has one.
    mfa: bool
    totp: bool
    # Until when the session may do what asks for a password that was shown just now.
    stepped_up_until: str
    idle_until: str
    accounts: tuple[MembershipItem, ...]


class SessionLine(msgspec.Struct, frozen=True, kw_only=True):
    """A session in the list of its person."""

    id: str
    # Whether it is the one that asks.
    this: bool
    created_at: str
    seen_at: str
    idle_until: str
    # Where it began: the first 24 or 64 bits of the address.
    network: str | None
    client: str
    mfa: bool


class SessionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """All sessions of the person, the last used first."""

    sessions: tuple[SessionLine, ...]


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/session`."""
    return answer(await _page(request, person_of(request)))


async def choose_account(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/session/account`."""
    chosen, session = await body_of(request, AccountChosen), person_of(request)
    people = desk_of(request).people
    await people.sessions.switch(session, chosen.account_id)
    again = await people.sessions.authenticate(secret_of(request))
    return answer(await _page(request, again or session))


async def step_up(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/step-up`."""
    asked = await body_of(request, StepUp)
    proof = Proof(password=asked.password, code=asked.code, recovery_code=asked.recovery_code)
    begun = await desk_of(request).step_up(person_of(request), secret_of(request), proof)
    return answer(begun_page(begun))


async def list_sessions(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/sessions`."""
    session = person_of(request)
    found = await desk_of(request).people.sessions.list(session.person_id)
    return answer(SessionsPage(sessions=tuple(_line(one, session.id) for one in found)))


async def end(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/sessions/{id}`."""
    session = person_of(request)
    await desk_of(request).people.sessions.end(session.person_id, request.match_info["id"])
    return web.Response(status=204)


async def end_others(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/sessions`: all but the one that asks."""
    session = person_of(request)
    await desk_of(request).people.sessions.end_others(session.person_id, session.id)
    return web.Response(status=204)


async def sign_out(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/session`."""
    session = person_of(request)
    await desk_of(request).people.sessions.end(session.person_id, session.id)
    return web.Response(status=204)


async def _page(request: web.Request, session: Session) -> SessionPage:
    accounts = await desk_of(request).people.persons.memberships(session.person_id)
    return SessionPage(
        id=session.id,
        person_id=session.person_id,
        address=session.address,
        name=session.name,
        account_id=session.account_id if session.role is not None else None,
        role=session.role,
        staff=tuple(sorted(session.staff)),
        permissions=tuple(sorted(permissions_of(session))),
        mfa=session.mfa,
        totp=session.totp,
        stepped_up_until=moment(session.stepped_up_at + STEP_UP) or "",
        idle_until=moment(ends_at(session.created_at, session.seen_at)) or "",
        accounts=tuple(MembershipItem(**msgspec.structs.asdict(one)) for one in accounts),
    )


def _line(item: SessionItem, own: str) -> SessionLine:
    return SessionLine(
        id=item.id,
        this=item.id == own,
        created_at=moment(item.created_at) or "",
        seen_at=moment(item.seen_at) or "",
        idle_until=moment(ends_at(item.created_at, item.seen_at)) or "",
        network=None if item.network is None else str(item.network),
        client=item.client,
        mfa=item.mfa,
    )


def secret_of(request: web.Request) -> str:
    """What the session was shown with."""
    secret = bearer(request)
    if secret is None:
        raise SessionMissing("sign in first")
    return secret
