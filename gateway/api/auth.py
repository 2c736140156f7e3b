"""`/v1/auth`: the door. Signing up and in, and what is done with the links of mails.

Nobody has shown yet who they are, so whatever takes an address answers alike whether it is known.
"""

from datetime import timedelta
from typing import Annotated

import msgspec
from aiohttp import hdrs, web
from msgspec import Meta

from gateway import state
from gateway.addresses import client_address
from gateway.api.answers import answer
from gateway.api.keys import moment
from gateway.json_body import body_of
from gateway.people.desk import PeopleDesk, Proof, SignedIn
from gateway.people.texts import Address, Name, address_of, name_of
from gateway.proof_of_work import HARDNESS, PROOF_CHARS_MAX, Challenge
from ledger.people.person import Begun, Client
from ledger.people.secret import network_of
from ledger.people.sessions import CLIENT_CHARS_MAX, LIFETIME, ends_at

# A new password is judged by `gateway/people/rules.py`; this is only what is looked at.
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
# Which form a proof of work is for.
_FORM = "sign-up"
_SIGN_IN = "sign-in"
# A second or two in a browser: a person waits for it once, and a guess is not worth it.
SIGN_IN_HARDNESS = 4 * HARDNESS
LinkText = Annotated[str, Meta(min_length=1, max_length=200)]
Code = Annotated[str, Meta(min_length=6, max_length=20)]
RecoveryCode = Annotated[str, Meta(min_length=16, max_length=40)]


class SignUp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who wants an account. The password is chosen with the link that the mail brings."""

    address: Address
    name: Name = ""
    # Of the challenge of GET /v1/auth/signup, in ALTCHA's protocol; where one is handed out.
    proof: Annotated[str, Meta(max_length=PROOF_CHARS_MAX)] = ""


class SignUpPage(msgspec.Struct, frozen=True, kw_only=True):
    """What the form of a sign-up needs."""

    # To be solved, and sent along as `proof`; null: nothing is asked for.
    challenge: Challenge | None


class SignUpConfirmation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The link of a mail, and the password of whoever read it."""

    link: LinkText
    password: Password
    # What the person is to be called; without it, what was said before.
    name: Name = ""


class SignIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who somebody is, and what shows it."""

    address: Address
    password: Password
    # Of the authenticator, where there is one; or one of the recovery codes.
    code: Code | None = None
    recovery_code: RecoveryCode | None = None
    # `device` of an earlier sign-in from here: strangers' guesses then keep nobody out.
    device: Annotated[str, Meta(max_length=100)] | None = None
    # Of the challenge of GET /v1/auth/signin, where so many guess that one would have to wait.
    proof: Annotated[str, Meta(max_length=PROOF_CHARS_MAX)] = ""


class SignInPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in may bring along when there are too many tries."""

    # To be solved, and sent along as `proof`.
    challenge: Challenge


class AddressAsked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An e-mail address."""

    address: Address


class LinkShown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The link of a mail, which is used up by this."""

    link: LinkText


class PasswordReset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The link of a mail, and the password from now on."""

    link: LinkText
    password: Password


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A mail is on its way, to whom and of what kind only its reader will know."""

    sent: bool = True


class BegunSession(msgspec.Struct, frozen=True, kw_only=True):
    """A session. Its secret is shown this once; it goes into `Authorization: Bearer`."""

    id: str
    secret: str
    # The account that it acts for; null for somebody who is a member of none.
    account_id: int | None
    # When it is over if it is not used; and at the latest, however much it is.
    idle_until: str
    expires_at: str


class SignedInPage(msgspec.Struct, frozen=True, kw_only=True):
    """Who signed in has a session, and a text by which this device will be known again."""

    person_id: int
    session: BegunSession
    device: str


class KnownDevice(msgspec.Struct, frozen=True, kw_only=True):
    """The password is set. Sign in with it, and with this device."""

    device: str


class LinkPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is for: `sign_up`, `reset`, `address` or `invitation`. It is not used up."""

    purpose: str
    # To which it was sent.
    address: str
    expires_at: str


async def begin_sign_up(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/signup`."""
    desk_of(request).demand_open()
    hardness = request.app[state.SETTINGS].accounts.signup_hardness
    work = request.app[state.PROOF_OF_WORK]
    return answer(SignUpPage(challenge=work.challenge(_FORM, hardness) if hardness else None))


async def sign_up(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/signup`."""
    asked = await body_of(request, SignUp)
    address, name = address_of(asked.address), name_of(asked.name)
    desk_of(request).demand_open()
    if request.app[state.SETTINGS].accounts.signup_hardness:
        # One field that a browser fills in: nobody is too fast.
        await request.app[state.PROOF_OF_WORK].check(asked.proof, _FORM, trap=timedelta())
    await desk_of(request).sign_up(address, name, client_of(request))
    return answer(Sent(), 202)


async def confirm_sign_up(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/signup/confirm`."""
    asked = await body_of(request, SignUpConfirmation)
    name, client = name_of(asked.name), client_of(request)
    return _signed_in(
        await desk_of(request).confirm_sign_up(asked.link, asked.password, name, client), 201
    )


async def accept_as_new(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/invitation`."""
    asked = await body_of(request, SignUpConfirmation)
    name, client = name_of(asked.name), client_of(request)
    return _signed_in(
        await desk_of(request).accept_invitation(asked.link, asked.password, name, client), 201
    )


async def begin_sign_in(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/signin`: a challenge, for somebody whom others' guesses keep waiting."""
    work = request.app[state.PROOF_OF_WORK]
    return answer(SignInPage(challenge=work.challenge(_SIGN_IN, SIGN_IN_HARDNESS)))


async def sign_in(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/signin`."""
    asked = await body_of(request, SignIn)
    if asked.proof:
        await request.app[state.PROOF_OF_WORK].check(asked.proof, _SIGN_IN, trap=timedelta())
    proof = Proof(
        password=asked.password,
        code=asked.code,
        recovery_code=asked.recovery_code,
        worked=bool(asked.proof),
    )
    return _signed_in(
        await desk_of(request).sign_in(
            address_of(asked.address), proof, asked.device, client_of(request)
        )
    )


async def ask_reset(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/reset`."""
    asked = await body_of(request, AddressAsked)
    await desk_of(request).ask_reset(address_of(asked.address), client_of(request))
    return answer(Sent(), 202)


async def reset(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/reset/confirm`."""
    asked = await body_of(request, PasswordReset)
    device = await desk_of(request).reset(asked.link, asked.password, client_of(request))
    return answer(KnownDevice(device=device))


async def change_address(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/address/confirm`."""
    asked = await body_of(request, LinkShown)
    await desk_of(request).change_address(asked.link, client_of(request))
    return web.Response(status=204)


async def show_link(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/links/{link}`."""
    found = await desk_of(request).look(request.match_info["link"], client_of(request))
    return answer(
        LinkPage(
            purpose=found.purpose,
            address=found.address,
            expires_at=moment(found.expires_at) or "",
        )
    )


def desk_of(request: web.Request) -> PeopleDesk:
    """Where people are dealt with."""
    return request.app[state.PEOPLE_DESK]


def client_of(request: web.Request) -> Client:
    """From where, and with what program, a request comes."""
    name = "".join(one for one in request.headers.get(hdrs.USER_AGENT, "") if one.isprintable())
    return Client(
        network=network_of(client_address(request)),
        name=name.encode(errors="replace").decode()[:CLIENT_CHARS_MAX],
    )


def begun_page(begun: Begun) -> BegunSession:
    """A session that has just begun, or has just got another secret."""
    return BegunSession(
        id=begun.session_id,
        secret=begun.secret,
        account_id=begun.account_id,
        idle_until=moment(ends_at(begun.created_at, begun.seen_at)) or "",
        expires_at=moment(begun.created_at + LIFETIME) or "",
    )


def _signed_in(done: SignedIn, status: int = 200) -> web.Response:
    return answer(
        SignedInPage(
            person_id=done.begun.person_id, session=begun_page(done.begun), device=done.device
        ),
        status,
    )
