"""A small JSON body as a type: capped, timed, and without fields that nobody knows."""

import asyncio
from typing import TypeVar

import msgspec
from aiohttp import web

from gateway.errors import MediaTypeUnsupported, RequestMalformed, UploadTooLarge, UploadTooSlow

T = TypeVar("T")

# A key with full lists of operations and addresses has 12 KB.
BODY_BYTES_MAX = 16 * 1024
# A body of this size is one packet or twelve.
_BODY_TIMEOUT_S = 10.0


async def body_of(request: web.Request, kind: type[T]) -> T:
    """Read it; no body is an empty object.

    Raises RequestMalformed, UploadTooLarge, UploadTooSlow, MediaTypeUnsupported.
    """
    body = await _read(request)
    media_type = request.content_type
    if body and media_type != "application/json" and not media_type.endswith("+json"):
        raise MediaTypeUnsupported("send JSON, with Content-Type: application/json")
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        # ValidationError is one of them; it says where, and never the value.
        raise RequestMalformed(f"the body is not as it should be: {error}") from error
    except ValueError as error:
        raise RequestMalformed(f"the body is not as it should be: {error}") from error


async def _read(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > BODY_BYTES_MAX:
                    raise _too_large()
    except TimeoutError as error:
        raise UploadTooSlow("the body did not come in time") from error
    except web.RequestPayloadError as error:
        raise RequestMalformed("the body ended before its end, or was badly framed") from error
    return bytes(body)


def _too_large() -> UploadTooLarge:
    return UploadTooLarge(f"the body has at most {BODY_BYTES_MAX} bytes here")
