"""JSON answers: msgspec structs into bytes, with the right media type."""

import msgspec
from aiohttp import web

MEDIA_TYPE = "application/json"


def answer(document: msgspec.Struct, status: int = 200) -> web.Response:
    """A struct as a JSON response."""
    return encoded(msgspec.json.encode(document), status)


def encoded(page: bytes, status: int = 200) -> web.Response:
    """A document that was encoded before."""
    return web.Response(body=page, status=status, content_type=MEDIA_TYPE)
