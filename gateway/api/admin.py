"""`/admin/…`: operators' orders over HTTP. Small typed JSON bodies in, what was done out.

Of several gateways of one service whoever hears an order hands it on to the others, unless the
address says `?only=this`. What is done in the ledger is done once.
"""

import msgspec
from aiohttp import web

from gateway import state
from gateway.api.answers import answer
from gateway.endpoint import Handler
from gateway.errors import RequestMalformed
from gateway.operations import Order, Suspend, Unsuspend
from gateway.processes.asking import BEHALF, ONLY
from gateway.processes.siblings import on_behalf


def order_handler(kind: type[Order]) -> Handler:
    """A handler for one kind of order: each row of a route table has a handler of its own."""

    async def handle(request: web.Request) -> web.StreamResponse:
        order = _parse(kind, await request.read())
        operations, siblings = request.app[state.OPERATIONS], request.app[state.SIBLINGS]
        actor = on_behalf(request[state.OPERATOR], request.headers.get(BEHALF))
        if not siblings.group or ONLY in request.query or isinstance(order, Suspend | Unsuspend):
            return answer(await operations.run(order, actor))
        name = request.path.rpartition("/")[2]
        return answer(
            await siblings.give(name, order, actor, lambda its: operations.run(its, actor))
        )

    return handle


def _parse(kind: type[Order], body: bytes) -> Order:
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise RequestMalformed(f"this order cannot be: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestMalformed("the body is JSON, an object of the order's fields") from error
