"""A service that stops answers whoever had reached it, and nobody else."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway import callers, listener, state
from gateway.app import build
from gateway.listener import Listener
from tests.gateway.samples import picture
from tests.gateway.service import PATIENCE_S, Customer, Service, Wire, with_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

# Of the loop: one hears of the socket, one connects, one has room to be late.
FEW_TURNS = 4
# Enough for connections that were made to be seen to end.
MANY_TURNS = 20
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: test\r\n\r\n"


class Stopping:
    """A service of its own that listens, and is stopped as a signal would stop it."""

    def __init__(self, service: Service, **server: int) -> None:
        settings = with_settings(server=server)
        self._app = build(settings, service.engine, service.ledger)
        self._sock = listener.bind(settings.server)
        self.port: int = self._sock.getsockname()[1]
        self.listener = Listener(self._sock, self._app, settings.server)

    @property
    def connections(self) -> int:
        server = self.listener._runner.server
        return len(server.connections) if server is not None else 0

    def begin(self) -> None:
        """Let nobody in from now on."""
        self._app[state.DOOR].close(for_good=True)
        self.listener.stop_accepting()

    async def end(self) -> None:
        self.begin()
        await self.listener.close()

    def knock(self, sent: bytes) -> socket.socket:
        """Connect and send while the loop stands still: only the kernel knows of it."""
        caller = socket.create_connection(("127.0.0.1", self.port))
        caller.sendall(sent)
        caller.setblocking(False)
        return caller

    async def wire(self) -> Wire:
        return Wire(*await asyncio.open_connection("127.0.0.1", self.port))


@asynccontextmanager
async def opened_to(service: Service, **server: int) -> AsyncIterator[Stopping]:
    stopping = Stopping(service, **server)
    await stopping.listener.open()
    try:
        yield stopping
    finally:
        await stopping.end()


def upload(customer: Customer) -> bytes:
    head = (
        "POST /v1/convert/png/webp HTTP/1.1\r\nHost: test\r\n"
        f"Authorization: Bearer {customer.key}\r\nContent-Length: {len(picture())}\r\n\r\n"
    )
    return head.encode() + picture()


def is_dropped(caller: socket.socket) -> bool:
    try:
        caller.recv(1)
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    return True


async def heard(caller: socket.socket) -> bytes:
    """All that comes until the connection's end. A reset one raises."""
    said = b""
    async with asyncio.timeout(PATIENCE_S):
        while piece := await asyncio.get_running_loop().sock_recv(caller, 2**16):
            said += piece
    caller.close()
    return said


async def test_all_who_wait_in_the_kernel_are_let_in_at_once(service: Service) -> None:
    async with opened_to(service) as stopping:
        crowd = [stopping.knock(LIVEZ) for _ in range(40)]
        for _ in range(FEW_TURNS):
            await asyncio.sleep(0)
        assert stopping.connections == len(crowd)
        await stopping.end()
    for caller in crowd:
        assert (await heard(caller)).startswith(b"HTTP/1.1 200 ")


async def test_who_finds_no_place_is_not_let_in_to_be_dropped(service: Service) -> None:
    async with opened_to(service, connections_max=10) as stopping:
        crowd = [stopping.knock(b"") for _ in range(100)]
        for _ in range(MANY_TURNS):
            await asyncio.sleep(0)
        dropped = sum(is_dropped(caller) for caller in crowd)
    # One a turn is the loop's own doing.
    assert dropped <= MANY_TURNS
    for caller in crowd:
        caller.close()


async def test_requests_that_wait_in_the_kernel_when_it_stops_are_answered(
    service: Service, customer: Customer
) -> None:
    async with opened_to(service) as stopping:
        callers = [stopping.knock(upload(customer)) for _ in range(40)]
        await stopping.end()
    for caller in callers:
        said = await heard(caller)
        assert said.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 5\r\n" in said
        assert b"\r\nConnection: close\r\n" in said
        assert b'"code":"draining"' in said
    assert await service.kinds(customer) == []


async def test_a_request_that_arrives_after_its_connection_was_let_in_is_answered(
    service: Service,
) -> None:
    async with opened_to(service) as stopping:
        caller = stopping.knock(b"")
        stopping.begin()
        ending = asyncio.create_task(stopping.end())
        await asyncio.sleep(0)
        caller.sendall(LIVEZ)
        await ending
    assert (await heard(caller)).startswith(b"HTTP/1.1 200 ")


async def test_an_answer_while_it_stops_says_that_the_connection_ends(service: Service) -> None:
    async with opened_to(service) as stopping, await stopping.wire() as wire:
        await wire.send(LIVEZ)
        assert "connection" not in (await wire.answer()).headers
        stopping.begin()
        await wire.send(LIVEZ)
        reply = await wire.answer()
        assert (reply.status, reply.headers["connection"]) == (200, "close")
        assert await wire.rest() == b""


async def test_a_connection_that_rests_does_not_hold_up_the_end(service: Service) -> None:
    async with opened_to(service) as stopping, await stopping.wire() as wire:
        await wire.send(LIVEZ)
        assert (await wire.answer()).status == 200
        await stopping.end()
        assert await wire.rest() == b""


async def test_whoever_comes_later_finds_the_address_closed(service: Service) -> None:
    async with opened_to(service) as stopping:
        pass
    with pytest.raises(ConnectionRefusedError):
        stopping.knock(LIVEZ)


async def test_a_socket_that_is_to_be_closed_completes_no_new_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock, socket.socket() as late:
        sock.setblocking(False)
        early = socket.create_connection(sock.getsockname())
        callers.let_nobody_new_knock(sock)
        late.setblocking(False)
        with pytest.raises(BlockingIOError):
            late.connect(sock.getsockname())
        found = list(callers.waiting_at(sock))
        assert [one.getpeername() for one in found] == [early.getsockname()]
        # What the early one sends is no handshake.
        early.sendall(b"hello")
        assert await asyncio.get_running_loop().sock_recv(found[0], 5) == b"hello"
        found[0].close()
        early.close()


async def test_a_caller_who_is_gone_again_does_not_cost_the_next_one_his_answer(
    service: Service,
) -> None:
    async with opened_to(service) as stopping:
        with stopping.knock(LIVEZ) as gone:
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stays = stopping.knock(LIVEZ)
        await stopping.end()
    assert (await heard(stays)).startswith(b"HTTP/1.1 200 ")
