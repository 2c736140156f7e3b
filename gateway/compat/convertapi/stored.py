"""`/d/{id}`: a stored file for whoever has its id. Fetch it or a part of it, look, delete it.

The id is all the right that is needed, as with ConvertAPI: half of its clients fetch without
credentials. It is 165 random bits, opens nothing after the file was deleted or has expired, and
stands in no log here. Files of the native surface have handles of another kind and are not opened:
they were promised to their account alone. What a browser would run (a page, a drawing with scripts)
is shut into a sandbox of its own where it is to be looked at.
"""

from aiohttp import web

from gateway import state, storing
from gateway.addresses import client_address
from gateway.api import files as native
from gateway.compat.convertapi import answering
from gateway.compat.convertapi.visitors import network_of
from gateway.errors import ParametersInvalid
from ledger.errors import FileUnknown
from ledger.files.handle import parse_short_handle

# A browser shows these and runs nothing of them.
_QUIET = ("image/png", "image/jpeg", "image/gif", "image/webp", "application/pdf", "text/plain")

_SHUT = "sandbox; default-src 'none'"


async def fetch(asked: web.Request) -> web.StreamResponse:
    """`GET|HEAD /d/{id}`: the file or a part of it."""
    app, kind = asked.app, _disposition(asked)
    address = network_of(client_address(asked))
    with (
        app[state.DOOR].enter(),
        app[state.VISITORS].enter(address),
        app[state.MEMORY].hold() as hold,
    ):
        hold.take(storing.HELD_BYTES)
        file = await app[state.LEDGER].files.open(_handle(asked))
        shown = answering.disposition(native.shown_name(file), kind)
        quiet = kind == "attachment" or file.media_type in _QUIET
        return await native.given_out(asked, file, shown, "" if quiet else _SHUT)


async def delete(asked: web.Request) -> web.StreamResponse:
    """`DELETE /d/{id}`: from now on nobody can read it."""
    app, handle = asked.app, _handle(asked)
    await app[state.LEDGER].files.delete_by_handle(handle)
    short = parse_short_handle(handle)
    if short is not None:
        app[state.VISITORS].deleted(short.file_id)
    return web.Response(status=web.HTTPOk.status_code)


async def fetch_named(asked: web.Request) -> web.StreamResponse:
    """`GET|HEAD /d/{id}/{name}`: the same; the name is for those who read addresses."""
    return await fetch(asked)


async def delete_named(asked: web.Request) -> web.StreamResponse:
    """`DELETE /d/{id}/{name}`."""
    return await delete(asked)


def _handle(asked: web.Request) -> str:
    """The id of the address. Raises FileUnknown."""
    text = asked.match_info["id"]
    if parse_short_handle(text) is None:
        raise FileUnknown("there is no such file: it never was, was deleted, or has expired")
    return text


def _disposition(asked: web.Request) -> str:
    """Raises ParametersInvalid."""
    wanted = [value for name, value in asked.query.items() if name.lower() == "download"]
    kind = wanted[-1].lower() if wanted and wanted[-1] else "attachment"
    if kind not in {"attachment", "inline"}:
        raise ParametersInvalid({"download": ["The value must be attachment or inline."]})
    return kind
