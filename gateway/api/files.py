"""`/v1/files`: put a file there for a while, look, fetch it or a part of it, delete it.

Fetching takes the handle and a key of the account that stored it. Every handle that opens nothing
gets the same answer: wrong, guessed, deleted, expired, or another account's.
"""

import re
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import msgspec
from aiohttp import hdrs, web

from engine import formats, sniff
from engine.errors import OptionInvalid, SourceEmpty
from engine.job import Buffer
from gateway import downloads, fetching, state, storing, uploads
from gateway.api.answers import answer
from gateway.asked import LIFETIME, URL, lifetime_of, options_of, whole_of
from gateway.errors import MediaTypeUnsupported, RangeUnsatisfiable, RequestMalformed
from gateway.intake import HEAD_BYTES
from gateway.outbound.client import Fetched
from gateway.stages import Stage
from gateway.uploads import Memory
from gateway.wiping import Gathering
from ledger.files.files import FileWriter, StoredFile

LIMIT = 50
# A page of 200 files is about 30 KB of JSON.
LIMIT_MAX = 200
OCTETS = "application/octet-stream"
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,10}$")


class FileItem(msgspec.Struct, frozen=True, kw_only=True):
    """A stored file as it is listed: without its handle, which is not known here."""

    id: str
    bytes: int
    media_type: str
    created_at: str
    expires_at: str


class FilesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Stored files, the newest first."""

    files: tuple[FileItem, ...]
    # The `cursor` of the next page; null at the end.
    next: str | None


def check_upload(request: web.Request) -> None:
    """Refuse what the head gives away.

    Raises StoreOff, OptionInvalid, MediaTypeUnsupported, RequestMalformed, FetchOff, FetchRefused.
    """
    storing.check_on(request)
    _lifetime(request)
    urls = _urls(request)
    fetching.check(request, urls)
    if len(urls) > 1:
        raise OptionInvalid(f"{URL}: one file is stored at a time")
    if not urls and uploads.is_multipart(request):
        raise MediaTypeUnsupported("one file is stored at a time: send it as the raw body")
    request.app[state.MEMORY].check(storing.HELD_BYTES)


async def upload(request: web.Request) -> web.StreamResponse:
    """`POST /v1/files`: a file goes through one chunk of memory into the store, sent or fetched."""
    app, trail = request.app, request[state.TRAIL]
    files, account_id = app[state.LEDGER].files, request[state.CALLER].account_id
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold:
        hold.take(storing.HELD_BYTES)
        async with (
            _source(request) as source,
            files.write(account_id, expected=source.announced) as writer,
        ):
            media_type = await _written(source, writer)
            trail.reached(Stage.READ)
            kept = await writer.keep(
                media_type=media_type, name=_name(source.name), lifetime_s=_lifetime(request)
            )
            response = web.StreamResponse()
            body = storing.announced(response, kept)
            request[state.RESPONSE] = response
            trail.reached(Stage.RESPONDING)
            # Inside: a client that did not get the handle has no use for the file.
            await downloads.send(request, response, body, app[state.SETTINGS].download)
            trail.reached(Stage.DELIVERED)
    return response


async def fetch(request: web.Request) -> web.StreamResponse:
    """`GET /v1/files/{handle}`: the file or a part of it; `HEAD` tells all but the bytes."""
    app, files = request.app, request.app[state.LEDGER].files
    handle, account_id = request.match_info["handle"], request[state.CALLER].account_id
    with app[state.DOOR].enter(), app[state.MEMORY].hold() as hold:
        hold.take(storing.HELD_BYTES)
        file = await files.open(handle, account_id)
        return await given_out(request, file, downloads.disposition(shown_name(file)))


async def given_out(
    request: web.Request, file: StoredFile, disposition: str, policy: str = ""
) -> web.StreamResponse:
    """Send a stored file, or the part of it that is asked for. Raises RangeUnsatisfiable.

    `policy` tells a browser what it may run of it.
    """
    if _has_it_already(request, file):
        return web.Response(status=web.HTTPNotModified.status_code, headers=_facts(file))
    span = span_of(_wanted_range(request, file), file.bytes)
    response = web.StreamResponse(headers=_facts(file))
    response.headers[hdrs.CONTENT_TYPE] = file.media_type
    response.headers[hdrs.CONTENT_DISPOSITION] = disposition
    if policy:
        response.headers["Content-Security-Policy"] = policy
    if span is not None:
        response.set_status(web.HTTPPartialContent.status_code)
        told = f"bytes {span.start}-{span.stop - 1}/{file.bytes}"
        response.headers[hdrs.CONTENT_RANGE] = told
    request[state.RESPONSE] = response
    body = storing.Part(file, range(file.bytes) if span is None else span)
    if request.method == hdrs.METH_HEAD:
        response.content_length = body.size
        await response.prepare(request)
        return response
    await downloads.send(request, response, body, request.app[state.SETTINGS].download)
    return response


async def delete(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/files/{handle}`: from now on there is no such file of this account."""
    account_id = request[state.CALLER].account_id
    await request.app[state.LEDGER].files.delete(request.match_info["handle"], account_id)
    return web.Response(status=web.HTTPNoContent.status_code)


async def list_files(request: web.Request) -> web.StreamResponse:
    """`GET /v1/files`: what is stored, without names and handles."""
    before = whole_of(request, "cursor", 0) or None
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    # One more than asked for says whether there is another page.
    found = await request.app[state.LEDGER].files.list(
        request[state.CALLER].account_id, before_seq=before, limit=limit + 1
    )
    page = found[:limit]
    items = tuple(
        FileItem(
            id=one.id,
            bytes=one.bytes,
            media_type=one.media_type,
            created_at=storing.moment(one.created_at),
            expires_at=storing.moment(one.expires_at),
        )
        for one in page
    )
    more = len(found) > limit
    return answer(FilesPage(files=items, next=str(page[-1].seq) if more else None))


def span_of(header: str | None, size: int) -> range | None:
    """The bytes that a Range header asks for; None for all of them (RFC 9110, section 14).

    A header that is not understood, and one with several ranges, counts as none. Raises
    RangeUnsatisfiable.
    """
    match = _RANGE.fullmatch(header or "")
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match[1], match[2]
    if not first:
        span = range(max(size - int(last), 0), size)
    elif last and int(last) < int(first):
        return None
    else:
        span = range(int(first), min(int(last) + 1, size) if last else size)
    if not span:
        raise RangeUnsatisfiable(f"the file has {size} bytes, and none of those", size=size)
    return span


@asynccontextmanager
async def _source(request: web.Request) -> AsyncIterator[Fetched]:
    """The body, or the file that the URL names. Raises the errors of uploads, FetchError."""
    config = request.app[state.SETTINGS].upload
    # Counted for its limit only: what passes through is not kept in memory.
    with Memory(config.bytes_max).hold() as passing:
        for url in _urls(request):
            async with fetching.fetched(request, url, passing) as source:
                yield source
            return
        async with aclosing(uploads.arriving(request, config, passing)) as pieces:
            yield Fetched(
                name=uploads.claimed_name(request),
                media_type=request.content_type.lower(),
                announced=request.content_length,
                pieces=pieces,
            )


async def _written(source: Fetched, writer: FileWriter) -> str:
    """Take the file in; gives its media type. Raises what the source raises, SourceEmpty."""
    head = Gathering(min(source.announced or 0, HEAD_BYTES))
    try:
        async for piece in source.pieces:
            with memoryview(piece) as view, view[: HEAD_BYTES - len(head)] as part:
                head.add(part)
            await writer.add(piece)
        if not len(head):
            raise SourceEmpty("the file is empty: it has zero bytes")
        with head.view() as view:
            return _media_type(source.media_type, view)
    finally:
        head.wipe()


def _media_type(claimed: str | None, head: Buffer) -> str:
    """What the bytes say, where they can; otherwise what the source says, if it is known here."""
    seen = sniff.sniff(head)
    if seen is not None and (sniff.told_by_head(head) or len(head) < HEAD_BYTES):
        return formats.find(seen).media_type
    known = any(row.media_type == claimed for row in formats.FORMATS)
    return claimed if claimed and known else OCTETS


def _urls(request: web.Request) -> tuple[str, ...]:
    return tuple(request.query.getall(URL, ()))


def _name(claimed: str | None) -> str | None:
    """A safe name from the claimed one."""
    if not claimed:
        return None
    suffix = _SUFFIX.search(claimed)
    return downloads.stem(claimed) + (suffix[0] if suffix else "")


def shown_name(file: StoredFile) -> str:
    """What a stored file is called when it is fetched."""
    if file.name:
        return file.name
    rows = (row for row in formats.FORMATS if row.media_type == file.media_type)
    return f"{downloads.NAMELESS}.{next((row.extensions[0] for row in rows), 'bin')}"


def _lifetime(request: web.Request) -> float:
    options = options_of(request, apart=URL)
    for name in options.keys() - {LIFETIME}:
        raise OptionInvalid(f"{name[:40]}: an upload to be stored knows {LIFETIME} and {URL}")
    return lifetime_of(options.get(LIFETIME), request.app[state.LEDGER].files.limits)


def _facts(file: StoredFile) -> dict[str, str]:
    return {
        hdrs.ETAG: _etag(file),
        hdrs.ACCEPT_RANGES: "bytes",
        storing.EXPIRES: storing.moment(file.expires_at),
    }


def _etag(file: StoredFile) -> str:
    """A stored file never changes, so its id is its version."""
    return f'"{file.id}"'


def _has_it_already(request: web.Request, file: StoredFile) -> bool:
    known = request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")
    return any(one.strip().removeprefix("W/") in {_etag(file), "*"} for one in known)


def _wanted_range(request: web.Request, file: StoredFile) -> str | None:
    """The Range header of a GET, unless it goes on with another file (RFC 9110, 13.1.5, 14.2)."""
    if request.method != hdrs.METH_GET:
        return None
    if request.headers.get(hdrs.IF_RANGE, _etag(file)).strip() != _etag(file):
        return None
    return request.headers.get(hdrs.RANGE)
