"""The listening socket, and connections that answer even nonsense with a problem document.

aiohttp's site classes are not used: the socket is bound before anything else starts, so that an
occupied port is found out at once, and listens last, so that nobody waits for a service that does
not come up. Closing it leaves the connections that are already open, and lets those in that the
kernel has completed or begun (`callers.py`): their requests are answered like everybody's.
"""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Coroutine, Iterable
from itertools import islice
from typing import cast

import structlog
from aiohttp import web
from aiohttp.http import HttpRequestParser
from aiohttp.web_request import BaseRequest

from gateway import callers
from gateway.config import ServerConfig
from gateway.errors import AddressInUse, ConfigError, RequestMalformed
from gateway.middleware import common_headers
from gateway.problems import response_to
from gateway.receiving import AHEAD_MAX, READ_BYTES, Body, Framer, HeadParser, Receiver, Scratch
from ledger.conversion_id import new_conversion_id

log = structlog.get_logger()

# Connections that the kernel completes for us before we look: as many as it gives (Linux's own
# net.core.somaxconn). In a crowd a turn of the loop takes a second, and whoever finds no place
# tries again after seconds or is reset.
BACKLOG = 4096
# A handshake that is under way ends within one way through the network; longer ways are rare. Much
# less than the second after which those come back who were not let in.
HANDSHAKE_S = 0.25
# A caller's first request is on its way when the connection is there. One who has said nothing for
# so long, or whose answer takes so long although no conversion is under way, is not waited for.
LAST_WORDS_S = 1.0


class Connection(web.RequestHandler):
    """One client connection. Refuses to exist beyond the limit; speaks RFC 9457 when it fails."""

    __slots__ = ("_since_s", "connections_max")
    connections_max: int
    _since_s: float

    @property
    def awaited(self) -> "asyncio.Task[None] | None":
        """What ends with this connection, while it is owed an answer or may be asked its first."""
        if self._waiter is None or self._messages:
            return self._task_handler
        silent_s = self._loop.time() - self._since_s
        return None if self._request_count or silent_s > LAST_WORDS_S else self._task_handler

    def frame_by(self, new_parser: Callable[[], HeadParser]) -> None:
        """Take requests apart with our framing around such parsers, in place of a bare one."""
        self._parser = Framer(self, new_parser, READ_BYTES)  # type: ignore[assignment]

    def room(self) -> int:
        """How many bytes the next read should take at most."""
        return cast("Framer", self._parser).room

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or drop it at once when there are too many."""
        super().connection_made(transport)
        self._since_s = self._loop.time()
        manager = self._manager
        if manager is not None and len(manager.connections) > self.connections_max:
            cast("asyncio.Transport", transport).abort()

    async def finish_response(
        self, request: BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send the end of the answer; what is left of the request is then only to be got rid of."""
        finished = await super().finish_response(request, resp, start_time)
        if isinstance(request.content, Body):
            request.content.leave()
        return finished

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 -- aiohttp's sentence quotes what was sent
    ) -> web.StreamResponse:
        """What is not even HTTP, or failed outside of every handler."""
        if request.writer.output_size > 0:
            raise ConnectionResetError("the answer had begun")
        error: BaseException = exc or RuntimeError("unforeseen")
        if status < web.HTTPInternalServerError.status_code:
            error = RequestMalformed(
                "this is not a request that can be read: broken HTTP, or a header that is too long"
            )
        else:
            log.error("unforeseen", exc_info=exc)
        request_id = new_conversion_id()
        response = response_to(error, request_id)
        common_headers(response, request_id)
        response.force_close()
        return response


class Listener:
    """Accepts connections for one application until it is closed."""

    def __init__(self, sock: socket.socket, app: web.Application, config: ServerConfig) -> None:
        self._sock = sock
        self._config = config
        self._runner = web.AppRunner(app, handler_cancellation=True)
        self._server: asyncio.Server | None = None
        # The listening socket once more, for those whom the loop leaves waiting.
        self._waiting: socket.socket | None = None
        self._letting_in: set[asyncio.Task[None]] = set()
        # Of those who were let in, how many are no connections yet.
        self._coming = 0
        self._leaving = asyncio.Event()
        self._scratch = Scratch()

    async def open(self) -> None:
        """Begin to accept. Raises AddressInUse when somebody else was faster."""
        await self._runner.setup()
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._taken, sock=self._sock, backlog=BACKLOG
            )
        except OSError as error:
            raise _refused(self._config, error) from error
        self._waiting = self._sock.dup()

    def stop_accepting(self) -> None:
        """Close the listening socket to all but those who have knocked; open connections go on."""
        if self._server is None or self._waiting is None:
            return
        callers.let_nobody_new_knock(self._waiting)
        self._server.close()
        self._server = None
        self._begin(self._let_last_in(self._waiting))

    async def close(self) -> None:
        """Close every connection. Whoever still works there should have been shown out before."""
        self.stop_accepting()
        self._leaving.set()
        await asyncio.gather(*self._letting_in)
        if (manager := self._runner.server) is not None:
            await self._hear_out(manager)
            manager.pre_shutdown()
            await manager.shutdown(timeout=1.0)
        await self._runner.cleanup()

    def _taken(self) -> Receiver:
        """A connection that the loop took; it takes one a turn (libuv), so the others come here.

        As many as there are places for: the kernel's queue is better than being let in and dropped.
        """
        if self._waiting is not None:
            places = islice(callers.waiting_at(self._waiting), self._places())
            if waiting := list(places):
                self._begin(self._let_in(waiting))
        return self._connection()

    def _places(self) -> int:
        """How many more connections there may be beside the one that is being made."""
        manager = cast("web.Server", self._runner.server)
        here = len(manager.connections) + self._coming + 1
        return max(0, self._config.connections_max - here)

    def _begin(self, letting_in: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(letting_in)
        self._letting_in.add(task)
        task.add_done_callback(self._letting_in.discard)

    async def _let_last_in(self, sock: socket.socket) -> None:
        """Let in who has knocked, now and when the last handshakes are over; close the socket."""
        with sock:
            await self._let_in(callers.waiting_at(sock))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HANDSHAKE_S):
                    await self._leaving.wait()
            await self._let_in(callers.waiting_at(sock))

    async def _let_in(self, these: Iterable[socket.socket]) -> None:
        coming = list(these)
        self._coming += len(coming)
        await asyncio.gather(*map(self._connect, coming))

    async def _connect(self, caller: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._connection, caller)
        except OSError:
            caller.close()
        finally:
            self._coming -= 1

    async def _hear_out(self, manager: web.Server) -> None:
        """Let everybody have an answer whose request is here, or on its way."""
        # One turn, in which the loop reads what has arrived on connections that rest.
        await asyncio.sleep(0)
        owed = [cast("Connection", one).awaited for one in manager.connections]
        if answering := [task for task in owed if task is not None]:
            await asyncio.wait(answering, timeout=LAST_WORDS_S)

    def _connection(self) -> Receiver:
        connection = Connection(
            cast("web.Server", self._runner.server),
            loop=asyncio.get_running_loop(),
            keepalive_timeout=self._config.keepalive_s,
            lingering_time=self._config.linger_s,
            read_bufsize=READ_BYTES,
        )
        connection.connections_max = self._config.connections_max
        connection.frame_by(lambda: self._parser(connection))
        return Receiver(connection, self._scratch, connection.room)

    def _parser(self, connection: Connection) -> HttpRequestParser:
        return HttpRequestParser(
            connection,
            asyncio.get_running_loop(),
            READ_BYTES,
            max_line_size=self._config.header_bytes_max,
            max_field_size=self._config.header_bytes_max,
            max_headers=self._config.headers_max,
            payload_exception=web.RequestPayloadError,
            # A compressed body would be unpacked here, outside of the sandbox: refused instead.
            auto_decompress=False,
            max_msg_queue_size=AHEAD_MAX,
        )


def bind(config: ServerConfig, *, shared: bool = False) -> socket.socket:
    """Take the address without listening yet. Raises AddressInUse or ConfigError.

    A `shared` one is taken by several processes of this user; the kernel deals connections out
    among those that listen (SO_REUSEPORT, socket(7)).
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ConfigError(
            f"server.host {config.host!r} is no address of this machine: {error.strerror}"
        ) from error
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _refused(config, error) from error
    return sock


def url_of(sock: socket.socket) -> str:
    """The address as a client on this machine would write it."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _refused(config: ServerConfig, error: OSError) -> AddressInUse | ConfigError:
    where = f"port {config.port} on {config.host}"
    if error.errno == errno.EADDRINUSE:
        return AddressInUse(
            f"{where} is in use by another process; choose another one with --port "
            "(or EPHEMERA__SERVER__PORT), 0 for any free one"
        )
    return ConfigError(f"cannot listen on {where}: {error.strerror}; see --host and --port")
