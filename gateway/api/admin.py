"""`/admin/…`: operators' orders over HTTP. Small typed JSON bodies in, what was done out."""

import msgspec
from aiohttp import web

from gateway import state
from gateway.api.answers import answer
from gateway.endpoint import Handler
from gateway.errors import RequestMalformed
from gateway.operations import Order


def order_handler(kind: type[Order]) -> Handler:
    """A handler for one kind of order: each row of a route table has a handler of its own."""

    async def handle(request: web.Request) -> web.StreamResponse:
        order = _parse(kind, await request.read())
        operations = request.app[state.OPERATIONS]
        return answer(await operations.run(order, request[state.OPERATOR]))

    return handle


def _parse(kind: type[Order], body: bytes) -> Order:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise RequestMalformed(f"this order cannot be: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestMalformed("the body is JSON, an object of the order's fields") from error
