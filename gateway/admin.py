"""The operators' own listener: a Unix socket in EPHEMERA_HOME, and an address if one is set.

Who may connect to the socket is the file's mode: the service's own user, and root. The address
always asks for the operator's token. Requests here pass the same middlewares as everybody's, so
errors are the same problem documents; none of it is in the public OpenAPI.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any

import msgspec
import structlog
from aiohttp import web

from gateway import admin_socket, listener, middleware, state
from gateway.api import admin, health
from gateway.config import Settings
from gateway.endpoint import Access, Endpoint
from gateway.errors import AddressInUse, ConfigError
from gateway.listener import BACKLOG, Listener
from gateway.operations import ORDERS
from gateway.permissions import Permission
from gateway.processes.siblings import FIGURES

log = structlog.get_logger()

# An order is a line of JSON.
BODY_BYTES_MAX = 16 * 1024

ADMIN_ROUTES: tuple[Endpoint, ...] = (
    *(
        Endpoint(
            method="GET",
            path=path,
            handler=handler,
            access=Access.ADMIN,
            permission=Permission.OPERATE,
            name=name,
            tag="admin",
            summary=summary,
        )
        for path, handler, name, summary in (
            ("/admin/status", health.admin_status, "adminStatus", "What this process does"),
            ("/status", health.status, "status", "The same, where it is elsewhere"),
            ("/metrics", health.metrics, "metrics", "Prometheus figures"),
            (FIGURES, health.own_figures, "adminFigures", "The same of this process, as JSON"),
        )
    ),
    *(
        Endpoint(
            method="POST",
            path=f"/admin/{name}",
            handler=admin.order_handler(kind),
            access=Access.ADMIN,
            permission=Permission.OPERATE,
            name=name,
            tag="admin",
            summary=(kind.__doc__ or "").partition("\n")[0],
        )
        for name, kind in ORDERS.items()
    ),
)


@asynccontextmanager
async def open_doors(
    app: web.Application, settings: Settings, address: socket.socket | None
) -> AsyncIterator[None]:
    """Answer operators for the block: on the Unix socket, and on `address` if there is one."""
    async with AsyncExitStack() as stack:
        group = app[state.SIBLINGS].group
        unix = stack.enter_context(admin_socket.listening(settings.home, BACKLOG, group))
        doors: list[Listener] = [_UnixListener(unix, build(app), settings.server)]
        if address is not None:
            doors.append(Listener(address, build(app), settings.server))
        for door in doors:
            stack.push_async_callback(door.close)
            await door.open()
        if address is not None:
            host, port = address.getsockname()[:2]
            log.info("admin_ready", host=host, port=port)
        yield


def build(app: web.Application) -> web.Application:
    """The operators' application, over the same parts as the customers'."""
    own = web.Application(
        middlewares=[middleware.identify, middleware.problems, middleware.admission],
        client_max_size=BODY_BYTES_MAX,
    )
    shared: tuple[web.AppKey[Any], ...] = (
        *(state.SETTINGS, state.ENGINE, state.LEDGER, state.MEMORY, state.METRICS, state.DOOR),
        *(state.OBSERVERS, state.OPERATIONS, state.PROCESS, state.SIBLINGS),
    )
    for key in shared:
        own[key] = app[key]
    own[state.ENDPOINTS] = {row.handler: row for row in ADMIN_ROUTES}
    own.on_response_prepare.append(middleware.prepared)
    for row in ADMIN_ROUTES:
        own.router.add_route(
            row.method, row.path, row.handler, expect_handler=middleware.expectation
        )
    return own


@contextmanager
def bound(settings: Settings, *, shared: bool = False) -> Iterator[socket.socket | None]:
    """Take the operators' address, if one is set, for the block. Raises AddressInUse.

    `shared`: with the other gateways of this service.
    """
    config = settings.admin
    if not config.host:
        yield None
        return
    where = msgspec.structs.replace(settings.server, host=config.host, port=config.port)
    try:
        sock = listener.bind(where, shared=shared)
    except AddressInUse as error:
        raise AddressInUse(
            f"port {config.port} on {config.host} is in use by another process; choose another one "
            "with admin.port (EPHEMERA__ADMIN__PORT), 0 for any free one"
        ) from error
    except ConfigError as error:
        raise ConfigError(
            f"cannot listen on admin.host {config.host!r}, admin.port {config.port}: "
            f"{error.__cause__}"
        ) from error
    with contextlib.closing(sock):
        yield sock


class _UnixListener(Listener):
    """The same over a Unix socket, which the loops open in another way."""

    async def open(self) -> None:
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_unix_server(
            self._taken, sock=self._sock, backlog=BACKLOG
        )
        self._waiting = self._sock.dup()
