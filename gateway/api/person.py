"""`/v1/auth`: what people change of themselves: name, address, password, second factor."""

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway.api.answers import answer
from gateway.api.auth import (
    AddressAsked,
    BegunSession,
    Code,
    LinkShown,
    Password,
    Sent,
    begun_page,
    desk_of,
)
from gateway.api.sessions import secret_of
from gateway.json_body import body_of
from gateway.people import codes
from gateway.people.sessions import person_of
from gateway.people.texts import Name, address_of, name_of


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The password from now on."""

    password: Password


class PersonName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the person is called; empty for nothing."""

    name: Name


class CodeShown(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code that the authenticator shows now."""

    code: Code


class FactorPage(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a second factor is asked for, and how many recovery codes are left."""

    totp: bool
    recovery_codes: Annotated[int, Meta(ge=0)]


class SeedPage(msgspec.Struct, frozen=True, kw_only=True):
    """A seed for an authenticator, as text, as an address and as a picture of it (SVG).

    It counts when POST /v1/auth/totp/confirm has been told a code of it.
    """

    secret: str
    uri: str
    svg: str


class RecoveryCodesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Recovery codes, shown this once. Each of them is good once, in the place of a code."""

    recovery_codes: tuple[str, ...]


class ConfirmedPage(RecoveryCodesPage, frozen=True, kw_only=True):
    """The second factor counts from now on; the session has another secret."""

    session: BegunSession


class JoinedPage(msgspec.Struct, frozen=True, kw_only=True):
    """The account that the person is a member of from now on."""

    account_id: int


async def change_password(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/password`."""
    asked = await body_of(request, NewPassword)
    await desk_of(request).change_password(person_of(request), asked.password)
    return web.Response(status=204)


async def ask_address(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/address`."""
    asked = await body_of(request, AddressAsked)
    await desk_of(request).ask_address(person_of(request), address_of(asked.address))
    return answer(Sent(), 202)


async def rename(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/name`."""
    asked = await body_of(request, PersonName)
    name = name_of(asked.name)
    await desk_of(request).people.persons.rename(person_of(request).person_id, name)
    return web.Response(status=204)


async def show_factor(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/totp`."""
    session = person_of(request)
    left = await desk_of(request).people.factors.codes_left(session.person_id)
    return answer(FactorPage(totp=session.totp, recovery_codes=left))


async def propose_totp(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/totp`."""
    session = person_of(request)
    seed = await desk_of(request).propose_totp(session)
    uri = codes.seed_uri(seed, session.address)
    return answer(SeedPage(secret=codes.seed_text(seed), uri=uri, svg=codes.seed_picture(uri)), 201)


async def confirm_totp(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/totp/confirm`."""
    asked = await body_of(request, CodeShown)
    made, begun = await desk_of(request).confirm_totp(
        person_of(request), secret_of(request), asked.code
    )
    return answer(ConfirmedPage(recovery_codes=tuple(made), session=begun_page(begun)))


async def drop_totp(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/totp`."""
    await desk_of(request).people.factors.drop(person_of(request).person_id)
    return web.Response(status=204)


async def renew_recovery_codes(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/recovery-codes`."""
    made = await desk_of(request).renew_recovery_codes(person_of(request))
    return answer(RecoveryCodesPage(recovery_codes=tuple(made)), 201)


async def accept_invitation(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/invitations`: as somebody who is here already."""
    asked = await body_of(request, LinkShown)
    account_id = await desk_of(request).people.members.accept(
        asked.link, person_of(request).person_id
    )
    return answer(JoinedPage(account_id=account_id), 201)


async def leave(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/accounts/{account_id}`."""
    session = person_of(request)
    text = request.match_info["account_id"]
    account_id = int(text) if text.isdecimal() and len(text) <= 16 else 0  # noqa: PLR2004 (2^53)
    await desk_of(request).people.members.remove(
        account_id, session.person_id, by=session.person_id
    )
    return web.Response(status=204)
