"""`/upload` and `/upload-from-url`: a file into the store, for a conversion that follows.

The body is the file, whatever its Content-Type says: Node's client calls its binary a form, PHP's
does too, Python's says nothing. Only what really is a form is refused, by its first bytes, because
its envelope would be stored as the file. Nothing is charged, and nobody has to say who they are
(`visitors.py`); fetching a URL is for customers, as it makes this service ask others.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web
from aiohttp.helpers import parse_mimetype

from engine import formats, sniff
from engine.errors import SourceEmpty
from engine.job import Buffer
from gateway import downloads, state, storing, uploads
from gateway.addresses import client_address
from gateway.compat.convertapi import answering, auth, names
from gateway.compat.convertapi.general import JSON, OCTETS, PLAIN, wants_plain
from gateway.compat.convertapi.request import NO_DISPOSITION
from gateway.compat.convertapi.visitors import network_of
from gateway.errors import (
    MediaTypeUnsupported,
    ParametersInvalid,
    SurfaceRefused,
)
from gateway.intake import HEAD_BYTES
from gateway.stages import Stage
from gateway.uploads import Memory
from gateway.wiping import Gathering
from ledger.errors import AccountFrozen
from ledger.files.files import FileWriter, Stored

# Of one that is fetched with `HeaderName`: what belongs to the connection is not the client's.
_OWN_HEADERS = frozenset(
    {"host", "connection", "content-length", "transfer-encoding", "upgrade", "te", "trailer"}
)

Grow = Callable[[int], None]


def check(asked: web.Request) -> None:
    """Refuse what the head of an upload gives away.

    Raises StoreOff, MemoryFull, SurfaceRefused, ParametersInvalid, FetchOff, FetchRefused.
    """
    storing.check_on(asked)
    asked.app[state.MEMORY].check(storing.HELD_BYTES)
    if _url(asked) is not None:
        check_from_url(asked)
        return
    if state.CALLER not in asked and not asked.app[state.VISITORS].config.visitor_files_max:
        raise auth.missing()
    if names.claimed(asked.query, asked.headers) is None:
        raise SurfaceRefused(
            "the file has no name: send Content-Disposition: attachment; filename=..., or"
            " ?filename=...",
            code=NO_DISPOSITION,
        )


def check_from_url(asked: web.Request) -> None:
    """The same where the file comes from a URL."""
    storing.check_on(asked)
    asked.app[state.MEMORY].check(storing.HELD_BYTES)
    if state.CALLER not in asked:
        raise auth.missing()
    url = _url(asked)
    if url is None:
        raise ParametersInvalid({"Url": ["The field is required."]})
    asked.app[state.OUTBOUND].check(url)


async def upload(asked: web.Request) -> web.StreamResponse:
    """`POST /upload`: the raw body, or with `?url=` what is there."""
    if _url(asked) is not None:
        return await upload_from_url(asked)
    name = names.safe(names.claimed(asked.query, asked.headers))
    app = asked.app
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold:
        hold.take(storing.HELD_BYTES)
        # Counted for its limit only: what passes through is not kept in memory.
        with Memory(app[state.SETTINGS].upload.bytes_max).hold() as passing:
            async with _storing(asked, asked.content_length) as (writer, grow, told):
                pieces = uploads.arriving(asked, app[state.SETTINGS].upload, passing)
                media_type = await _fill(writer, _no_form(asked, pieces), grow, asked.content_type)
                return await told(name, media_type)


async def upload_from_url(asked: web.Request) -> web.StreamResponse:
    """`POST /upload-from-url?url=`: what the URL's server sends."""
    app, url = asked.app, _url(asked) or ""
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold:
        hold.take(storing.HELD_BYTES)
        account_id = asked[state.CALLER].account_id
        fetching = app[state.OUTBOUND].fetch(url, _headers(asked), account_id=account_id)
        async with fetching as fetched, _storing(asked, fetched.announced) as (writer, grow, told):
            claimed = names.claimed(asked.query, {}) or fetched.name or _last(url)
            media_type = await _fill(writer, fetched.pieces, grow, fetched.media_type or OCTETS)
            return await told(names.safe(claimed), media_type)


@asynccontextmanager
async def _storing(
    asked: web.Request, expected: int | None
) -> AsyncIterator[tuple[FileWriter, Grow, "_Tell"]]:
    """A file of the caller's, or of nobody in particular within the quota of an address.

    Raises VisitorQuotaExceeded, StoreFull, StoreQuotaExceeded, AccountFrozen.
    """
    files, visitors = asked.app[state.LEDGER].files, asked.app[state.VISITORS]
    caller = asked.get(state.CALLER)
    if caller is not None:
        async with files.write(caller.account_id, expected=expected, short=True) as writer:
            yield writer, _unlimited, _Tell(asked, writer, files.limits.lifetime_s)
        return
    lifetime_s = min(visitors.config.visitor_lifetime_s, files.limits.lifetime_s_max)
    address = network_of(client_address(asked))
    with visitors.enter(address), visitors.share(address) as share:
        visitors.check(share.address, expected or 0)
        owner = await visitors.account_id()
        try:
            async with files.write(owner, expected=expected, short=True) as writer:
                yield writer, share.grow, _Tell(asked, writer, lifetime_s)
        except AccountFrozen as error:
            raise auth.missing() from error
        share.keep(writer.file_id, lifetime_s)


class _Tell:
    """Keeps the file and sends its answer: a client that did not get the id has no use for it."""

    def __init__(self, asked: web.Request, writer: FileWriter, lifetime_s: float) -> None:
        self._asked = asked
        self._writer = writer
        self._lifetime_s = lifetime_s

    async def __call__(self, name: str, media_type: str) -> web.StreamResponse:
        """Raises FileLapsed, and what sending an answer ends in."""
        asked, trail = self._asked, self._asked[state.TRAIL]
        trail.reached(Stage.READ)
        stored = await self._writer.keep(
            media_type=media_type, name=name, lifetime_s=self._lifetime_s
        )
        response, body = told(asked, name, stored)
        asked[state.RESPONSE] = response
        trail.reached(Stage.RESPONDING)
        await downloads.send(asked, response, body, asked.app[state.SETTINGS].download)
        trail.reached(Stage.DELIVERED)
        return response


def told(
    asked: web.Request, name: str, stored: Stored
) -> tuple[web.StreamResponse, downloads.Body]:
    """The answer to an upload: its id alone, or all about it."""
    response = web.StreamResponse()
    response.headers[storing.EXPIRES] = storing.moment(stored.expires_at)
    if wants_plain(asked.headers.get(hdrs.ACCEPT)):
        response.headers[hdrs.CONTENT_TYPE] = PLAIN
        return response, downloads.Kept([stored.handle.encode()])
    response.headers[hdrs.CONTENT_TYPE] = JSON
    base = answering.base_url(asked.app[state.SETTINGS], asked)
    document = answering.upload_answer(name, stored, base)
    return response, downloads.Kept([msgspec.json.encode(document)])


async def _fill(
    writer: FileWriter, pieces: AsyncGenerator[Buffer, None], grow: Grow, claimed: str
) -> str:
    """Take the pieces in; gives the file's media type. Raises SourceEmpty, ..."""
    head = Gathering(HEAD_BYTES)
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                grow(len(piece))
                with memoryview(piece) as view, view[: HEAD_BYTES - len(head)] as part:
                    head.add(part)
                await writer.add(piece)
        if not len(head):
            raise SourceEmpty("the file is empty: it has zero bytes")
        with head.view() as view:
            return _media_type(view, claimed)
    finally:
        head.wipe()


async def _no_form(
    asked: web.Request, pieces: AsyncGenerator[Buffer, None]
) -> AsyncGenerator[Buffer, None]:
    """The body, unless it is the form that it claims to be. Raises MediaTypeUnsupported."""
    boundary = ""
    if uploads.is_multipart(asked):
        kind = parse_mimetype(asked.headers[hdrs.CONTENT_TYPE])
        boundary = kind.parameters.get("boundary", "")
    first = b"--" + boundary.encode(errors="replace") if boundary else b""
    async with aclosing(pieces):
        async for piece in pieces:
            if first and bytes(piece[: len(first)]) == first:
                raise MediaTypeUnsupported(
                    "an upload is the file's own bytes as the body, not a form around them"
                )
            first = b""
            yield piece


def _media_type(head: Buffer, claimed: str) -> str:
    """What the bytes say, where they can; otherwise what the client says, if it is known here."""
    seen = sniff.sniff(head)
    if seen is not None and (sniff.told_by_head(head) or len(head) < HEAD_BYTES):
        return formats.find(seen).media_type
    kind = claimed.lower()
    return kind if any(row.media_type == kind for row in formats.FORMATS) else OCTETS


def _unlimited(more: int) -> None:
    """An account's own limits are the ledger's."""


def _url(asked: web.Request) -> str | None:
    return _given(asked, "url")


def _given(asked: web.Request, wanted: str) -> str | None:
    found = (value.strip() for name, value in asked.query.items() if name.lower() == wanted)
    return next((one for one in found if one), None)


def _headers(asked: web.Request) -> dict[str, str]:
    """The one header that a client may have sent along. Raises ParametersInvalid."""
    name, value = _given(asked, "headername"), _given(asked, "headervalue")
    if name is None:
        return {}
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise ParametersInvalid({"HeaderName": ["The value must be the name of a header."]})
    if name.lower() in _OWN_HEADERS:
        raise ParametersInvalid({"HeaderName": ["This header belongs to the connection."]})
    if value is None or not value.isprintable():
        raise ParametersInvalid({"HeaderValue": ["The value must be one line of text."]})
    return {name: value}


def _last(url: str) -> str:
    """The end of a URL's path, as a name."""
    return urlsplit(url).path.rpartition("/")[2]
