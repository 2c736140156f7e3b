"""`/privacy` and what people ask for: an export, an end, a rest, an objection, who looked."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime

import msgspec
from aiohttp import hdrs, web

from gateway import downloads, state, storing
from gateway.api.answers import answer, encoded
from gateway.api.files import given_out
from gateway.api.keys import moment
from gateway.errors import RouteUnknown
from gateway.people.sessions import account_of, person_of
from gateway.privacy.export import MEDIA_TYPE, NAME
from gateway.privacy.page import POLICY
from gateway.privacy.policy import Policy
from gateway.receipts import KeySet
from ledger.audit.access import Access
from ledger.errors import ErasureUnknown
from ledger.privacy.erasure import Erasure
from ledger.privacy.privacy import Privacy
from ledger.privacy.wishes import PURPOSES


class PolicyPage(msgspec.Struct, frozen=True, kw_only=True):
    """The privacy page, and the SHA-256 of it in canonical JSON."""

    version: str
    page: Policy


class VersionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One version of the page."""

    version: str
    published_at: str


class VersionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """All versions, the newest first."""

    versions: tuple[VersionItem, ...]


class ErasurePage(msgspec.Struct, frozen=True, kw_only=True):
    """An erasure: until `begins_at` it can be called off, at `finish_by` it is done."""

    id: str
    state: str
    requested_at: str
    begins_at: str
    finish_by: str


class RestrictionPage(msgspec.Struct, frozen=True, kw_only=True):
    """Since when nothing is done with the account's data; null: it is used."""

    since: str | None


class ObjectionItem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that can be objected to, and since when it is."""

    purpose: str
    says: str
    effect: str
    since: str | None


class ObjectionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be objected to."""

    objections: tuple[ObjectionItem, ...]


class AccessItem(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody of the staff who could look into the account: why, when, and how often they did."""

    id: str
    role: str
    reason: str
    granted_at: str
    expires_at: str
    ended_at: str | None
    reads: int
    read_at: str | None


class AccessPage(msgspec.Struct, frozen=True, kw_only=True):
    """All of them, the newest first."""

    access: tuple[AccessItem, ...]


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /privacy`."""
    response = web.Response(
        body=request.app[state.PRIVACY].html, content_type="text/html", charset="utf-8"
    )
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def show_json(request: web.Request) -> web.StreamResponse:
    """`GET /privacy.json`."""
    published = request.app[state.PRIVACY].published
    return answer(PolicyPage(version=published.version, page=published.page))


async def list_versions(request: web.Request) -> web.StreamResponse:
    """`GET /privacy/versions`."""
    found = await _privacy(request).policies.list()
    items = (
        VersionItem(version=one.hash, published_at=moment(one.published_at) or "") for one in found
    )
    return answer(VersionsPage(versions=tuple(items)))


async def show_version(request: web.Request) -> web.StreamResponse:
    """`GET /privacy/versions/{version}`: the canonical JSON of it, as it was published."""
    version = await _privacy(request).policies.get(request.match_info["version"])
    return encoded(version.page.encode())


async def audit_keys(request: web.Request) -> web.StreamResponse:
    """`GET /.well-known/ephemera-audit.json`."""
    return answer(KeySet(request.app[state.PRIVACY].audit_keys.published()))


async def export_account(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/export`."""
    return await _export(request, account_of(request))


async def export_person(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/export`: what is known of a person, without any account's."""
    return await _export(request, None)


async def fetch_export(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/export/{handle}`."""
    app = request.app
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold:
        hold.take(storing.HELD_BYTES)
        file = await app[state.LEDGER].files.open(request.match_info["handle"], account_of(request))
        return await given_out(request, file, downloads.disposition(NAME))


async def erase_account(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/account`."""
    asked = await _privacy(request).erasures.ask(account_of(request), person_of(request).person_id)
    return answer(_erasure(asked), 202)


async def show_erasure(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/erasure`."""
    return answer(_erasure(_found(await _privacy(request).erasures.of(account_of(request), None))))


async def call_off_erasure(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/account/erasure`."""
    called_off = await _privacy(request).erasures.call_off(account_of(request), None)
    return answer(_erasure(called_off))


async def erase_person(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/person`."""
    asked = await _privacy(request).erasures.ask_person(person_of(request).person_id)
    return answer(_erasure(asked), 202)


async def show_person_erasure(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/erasure`."""
    person_id = person_of(request).person_id
    return answer(_erasure(_found(await _privacy(request).erasures.of(None, person_id))))


async def call_off_person_erasure(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/erasure`."""
    person_id = person_of(request).person_id
    return answer(_erasure(await _privacy(request).erasures.call_off(None, person_id)))


async def show_restriction(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/restriction`."""
    since = await _privacy(request).wishes.restricted_since(account_of(request))
    return answer(RestrictionPage(since=moment(since)))


async def restrict(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/restriction`."""
    since = await _privacy(request).wishes.restrict(account_of(request))
    return answer(RestrictionPage(since=moment(since)))


async def lift_restriction(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/account/restriction`."""
    await _privacy(request).wishes.lift(account_of(request))
    return web.Response(status=204)


async def list_objections(request: web.Request) -> web.StreamResponse:
    """`GET /v1/auth/objections`."""
    session = person_of(request)
    found = await _privacy(request).wishes.objections(session.account_id, session.person_id)
    since = {one.purpose: one.since for one in found}
    items = (
        ObjectionItem(purpose=name, says=one.says, effect=one.effect, since=moment(since.get(name)))
        for name, one in PURPOSES.items()
    )
    return answer(ObjectionsPage(objections=tuple(items)))


async def object_to(request: web.Request) -> web.StreamResponse:
    """`POST /v1/auth/objections/{purpose}`."""
    session, purpose = person_of(request), _purpose(request)
    await _privacy(request).wishes.object_to(purpose, session.account_id, session.person_id)
    return web.Response(status=204)


async def withdraw_objection(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/auth/objections/{purpose}`."""
    session, purpose = person_of(request), _purpose(request)
    await _privacy(request).wishes.withdraw(purpose, session.account_id, session.person_id)
    return web.Response(status=204)


async def list_access(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/access`."""
    found = await request.app[state.LEDGER].accesses.of(account_of(request))
    return answer(AccessPage(access=tuple(access_item(one) for one in found)))


def access_item(one: Access) -> AccessItem:
    """An access as the account's owners, and whoever was given it, see it."""
    return AccessItem(
        id=str(one.id),
        role=one.role,
        reason=one.reason,
        granted_at=_moment(one.granted_at),
        expires_at=_moment(one.expires_at),
        ended_at=moment(one.ended_at),
        reads=one.reads,
        read_at=moment(one.read_at),
    )


async def _export(request: web.Request, account_id: int | None) -> web.StreamResponse:
    """Store the archive, where there is an account that may store; else send it at once."""
    ledger, session = request.app[state.LEDGER], person_of(request)
    whose = ledger.privacy.exports.whose(account_id, session.person_id, session.address)
    made = request.app[state.PRIVACY].export(whose)
    if account_id is not None and await _may_store(request, account_id):
        return await _stored(request, account_id, made, session.address)
    return await _sent(request, made)


async def _may_store(request: web.Request, account_id: int) -> bool:
    """An account that rests, or that nothing is stored for, still gets its data."""
    ledger = request.app[state.LEDGER]
    account = await ledger.accounts.get(account_id)
    return bool(ledger.files.limits.bytes_max) and account.status == "active"


async def _stored(
    request: web.Request, account_id: int, made: AsyncGenerator[bytes, None], address: str
) -> web.StreamResponse:
    ledger = request.app[state.LEDGER]
    async with aclosing(made), ledger.files.write(account_id) as writer:
        async for piece in made:
            await writer.add(piece)
        kept = await writer.keep(
            media_type=MEDIA_TYPE, name=NAME, lifetime_s=ledger.files.limits.lifetime_s_max
        )
        told = msgspec.structs.replace(storing.told(kept), url=f"/v1/account/export/{kept.handle}")
        fields = {"account": "", "expires_at": kept.expires_at.isoformat(timespec="minutes")}
        await ledger.mail.queue(None, "export_ready", address, fields)
    return answer(told, 201)


async def _sent(request: web.Request, made: AsyncGenerator[bytes, None]) -> web.StreamResponse:
    # In memory first: nobody's slow network holds a moment of the database still.
    with request.app[state.MEMORY].hold() as hold:
        pieces = []
        async with aclosing(made):
            async for piece in made:
                hold.take(len(piece))
                pieces.append(piece)
        response = web.StreamResponse()
        response.headers[hdrs.CONTENT_TYPE] = MEDIA_TYPE
        response.headers[hdrs.CONTENT_DISPOSITION] = downloads.disposition(NAME)
        request[state.RESPONSE] = response
        body = downloads.Kept(pieces)
        await downloads.send(request, response, body, request.app[state.SETTINGS].download)
    return response


def _privacy(request: web.Request) -> Privacy:
    return request.app[state.LEDGER].privacy


def _purpose(request: web.Request) -> str:
    purpose = request.match_info["purpose"]
    if purpose not in PURPOSES:
        raise RouteUnknown("there is nothing of this name to object to: GET /v1/auth/objections")
    return purpose


def _found(erasure: Erasure | None) -> Erasure:
    if erasure is None:
        raise ErasureUnknown("no erasure was asked for, or it was called off")
    return erasure


def _erasure(erasure: Erasure) -> ErasurePage:
    return ErasurePage(
        id=str(erasure.id),
        state=erasure.state,
        requested_at=_moment(erasure.requested_at),
        begins_at=_moment(erasure.begins_at),
        finish_by=_moment(erasure.finish_by),
    )


def _moment(when: datetime) -> str:
    return moment(when) or ""
