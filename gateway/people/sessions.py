"""Who speaks with a session, and whether they may what they ask for.

A session is sent as an API key is, in `Authorization: Bearer`. Where a member may ask for something
that a key may ask for as well, the handler finds the same `Caller`: of the account, with the powers
of the member's role.
"""

from datetime import datetime

from aiohttp import web

from gateway import state
from gateway.endpoint import Endpoint
from gateway.errors import PermissionMissing, SecondFactorWanted, SessionRefused, StepUpWanted
from gateway.permissions import Permission, of_member, of_staff, scopes_of
from ledger.accounts.caller import Caller
from ledger.people.person import Session
from ledger.people.secret import SESSION_PREFIX
from ledger.people.sessions import STEP_UP

# What stands in the place of a key's id where a member speaks.
SESSION_KEY_ID = "session"


def looks_like_session(secret: str) -> bool:
    """Say whether it is to be looked for among sessions."""
    return secret.startswith(SESSION_PREFIX)


async def session_of(app: web.Application, secret: str) -> Session:
    """The session of a secret. Raises SessionRefused, LedgerUnavailable."""
    session = await app[state.LEDGER].people.sessions.authenticate(secret)
    if session is None:
        raise SessionRefused("this session is over; sign in again")
    return session


def person_of(request: web.Request) -> Session:
    """Who is signed in, for the handlers of addresses that ask for a person."""
    return request[state.PERSON]


def account_of(request: web.Request) -> int:
    """The account that whoever asks speaks for, with a key or as a member."""
    return request[state.CALLER].account_id


def permissions_of(session: Session) -> frozenset[Permission]:
    """Everything that the session may do; as staff only with a second factor."""
    staff = of_staff(session.staff) if session.mfa else frozenset[Permission]()
    return of_member(session.role) | staff | {Permission.SELF}


def check(session: Session, endpoint: Endpoint, now: datetime) -> None:
    """Raise what is missing: PermissionMissing, SecondFactorWanted, StepUpWanted."""
    permission = endpoint.permission
    if permission not in permissions_of(session):
        if permission in of_staff(session.staff):
            raise SecondFactorWanted(
                "staff show a second factor: set one up at POST /v1/auth/totp, or sign in with it"
            )
        raise PermissionMissing(
            f"this needs the permission {permission}, which your role does not have"
            if session.role is not None
            else f"this needs the permission {permission}, and you act for no account; choose one"
            " of yours with POST /v1/auth/session/account"
        )
    if endpoint.step_up and now - session.stepped_up_at > STEP_UP:
        raise StepUpWanted(
            "this needs your password once more, as it was shown too long ago:"
            " POST /v1/auth/step-up"
        )


def caller_of(session: Session) -> Caller | None:
    """The account that the session acts for, as handlers of keys know it; None without one."""
    if session.role is None or session.account_id is None:
        return None
    return Caller(
        account_id=session.account_id,
        key_id=SESSION_KEY_ID,
        label=SESSION_KEY_ID,
        scopes=frozenset(scopes_of(of_member(session.role))),
    )
