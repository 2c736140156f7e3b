"""What do the key check, the rate limits and the request records cost a request, together?

The service's own middlewares around a handler that reads a small body and says nothing, in one
process: four applications that share engine and ledger, of which the first asks nobody for a key
and the last does everything. They are asked in turns by clients in another process, so what the
machine does meanwhile falls on all of them alike. CPU is this process's, user and system, with the
writing of the records; PostgreSQL's own share of that is printed beside it.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import msgspec
import structlog
import uvloop
from aiohttp import web

from bench import cpu
from bench.service import PROJECT
from engine.engine import Engine, EngineConfig
from gateway import config, listener, state
from gateway.app import build
from gateway.endpoint import Access, Endpoint, Handler
from gateway.limits.policies import POLICIES
from gateway.listener import Listener
from gateway.permissions import Permission
from ledger.embedded import EmbeddedPostgres
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.settings import LedgerSettings

PATH = "/bench/nothing"
BODY = b"x" * 1024
# The promise: all three together, in milliseconds of CPU a request.
LIMIT_MS = 0.3
CLIENTS = 4
NO_LIMITS = tuple(f"{policy.name}=off" for policy in POLICIES)
# Quotas that nobody meets, so that every request is counted and none refused.
ROOM = ("key-requests=900000000/60", "account-requests=900000000/60")


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One application."""

    name: str
    key: bool = True
    limits: bool = True
    records: bool = True


VARIANTS = (
    Variant(name="none of them", key=False, limits=False, records=False),
    Variant(name="key check", limits=False, records=False),
    Variant(name="key check, limits", records=False),
    Variant(name="key check, limits, records"),
)


def _handler() -> Handler:
    """A handler of its own for each application: rows of a route table are found by it."""

    async def nothing(request: web.Request) -> web.StreamResponse:
        await request.read()
        return web.Response(status=204)

    return nothing


@asynccontextmanager
async def serving(variant: Variant, engine: Engine, ledger: Ledger) -> AsyncIterator[str]:
    """One application behind a socket; gives its address."""
    settings = config.load(
        {"EPHEMERA_HOME": "/nonexistent"},
        None,
        {
            ("server", "port"): 0,
            ("limits", "quotas"): ROOM if variant.limits else NO_LIMITS,
            ("records", "keep"): variant.records,
        },
    )
    app = build(settings, engine, ledger)
    handler = _handler()
    app[state.ENDPOINTS][handler] = Endpoint(
        method="POST",
        path=PATH,
        handler=handler,
        access=Access.CUSTOMER if variant.key else Access.PUBLIC,
        permission=Permission.CONVERT if variant.key else Permission.NONE,
        name="nothing",
        tag="bench",
        summary="Nothing",
        uploads=True,
    )
    app.router.add_post(PATH, handler)
    # Tasks, mails and webhooks of four applications would only be in the way.
    app.cleanup_ctx.clear()
    sock = listener.bind(settings.server)
    door = Listener(sock, app, settings.server)
    await door.open()
    try:
        yield f"{sock.getsockname()[0]}:{sock.getsockname()[1]}"
    finally:
        await door.close()
        sock.close()


async def main_async(requests: int, rounds: int) -> int:
    """Ask in turns and print the table. 1 where the promise is broken."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(
        wrapper_class=quiet, logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ephemera-bench-")))
        postgres = await stack.enter_async_context(EmbeddedPostgres(home))
        await migrate(postgres.dsn)
        engine = await Engine.start(EngineConfig())
        stack.push_async_callback(engine.close)
        ledger = await stack.enter_async_context(
            Ledger.connect(LedgerSettings(dsn=postgres.app_dsn, pepper=os.urandom(32)))
        )
        account = await ledger.accounts.create("bench")
        secret = (await ledger.keys.create(account.id, "bench")).secret
        addresses = {
            variant.name: await stack.enter_async_context(serving(variant, engine, ledger))
            for variant in VARIANTS
        }
        backends = _postmaster(home)
        own: dict[str, list[float]] = {variant.name: [] for variant in VARIANTS}
        theirs: dict[str, list[float]] = {variant.name: [] for variant in VARIANTS}
        for turn in range(rounds + 1):
            for variant in VARIANTS:
                used, used_there = await _round(
                    addresses[variant.name], secret, requests, ledger, backends
                )
                if turn:  # the first one warms up
                    own[variant.name].append(used / requests * 1000)
                    theirs[variant.name].append(used_there / requests * 1000)
    return _print(own, theirs, requests, rounds)


async def _round(
    address: str, secret: str, requests: int, ledger: Ledger, backends: int
) -> tuple[float, float]:
    """CPU seconds of so many requests: of this process, and of PostgreSQL."""
    clients = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.request_tax", "client"),
        *(address, secret, str(requests // CLIENTS)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=PROJECT,
    )
    assert clients.stdin is not None
    assert clients.stdout is not None
    await clients.stdout.readline()  # its connections stand
    before, there = time.process_time(), cpu.cpu_s(backends)
    clients.stdin.write(b"go\n")
    done = await clients.stdout.readline()
    await ledger.requests.writer.write()
    used, used_there = time.process_time() - before, cpu.cpu_s(backends) - there
    await clients.wait()
    if done != b"done\n":
        raise SystemExit("a request was not answered as it should be")
    return used, used_there


def client(address: str, secret: str, requests: int) -> int:
    """`CLIENTS` kept-alive connections, each with its next request when the last was answered."""
    host, _, port = address.rpartition(":")
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {secret}\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(BODY)}\r\n\r\n"
    )
    request = head.encode() + BODY
    socks = [socket.create_connection((host, int(port))) for _ in range(CLIENTS)]
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(requests):
        for sock in socks:
            sock.sendall(request)
        for sock in socks:
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += sock.recv(65536)
            if not answer.startswith(b"HTTP/1.1 204"):
                print(answer[:200], flush=True)
                return 1
    print("done", flush=True)
    return 0


def _postmaster(home: Path) -> int:
    (pidfile,) = home.rglob("postmaster.pid")
    return int(pidfile.read_text().splitlines()[0])


def _print(
    own: dict[str, list[float]], theirs: dict[str, list[float]], requests: int, rounds: int
) -> int:
    print(f"{rounds} rounds in turns, {requests} requests of 1 KiB each, {CLIENTS} connections")
    print(f"{'':30} {'ms CPU a request':>18} {'more':>8} {'PostgreSQL':>12}")
    base = statistics.median(own[VARIANTS[0].name])
    for variant in VARIANTS:
        median = statistics.median(own[variant.name])
        there = statistics.median(theirs[variant.name])
        print(f"{variant.name:30} {median:18.3f} {median - base:8.3f} {there:12.3f}")
    # Of the same round, so that what the machine did then is in both.
    pairs = zip(own[VARIANTS[-1].name], own[VARIANTS[0].name], strict=True)
    tax = statistics.median(full - none for full, none in pairs)
    verdict = "kept" if tax < LIMIT_MS else "BROKEN"
    print(f"all three together: {tax:.3f} ms; the promise of {LIMIT_MS} ms is {verdict}")
    return 0 if tax < LIMIT_MS else 1


def main(argv: list[str]) -> int:
    """Parse, ask, print."""
    if argv[:1] == ["client"]:
        return client(argv[1], argv[2], int(argv[3]))
    parser = argparse.ArgumentParser(prog="bench request_tax", description=__doc__)
    parser.add_argument("--requests", type=int, default=4000, help="of a round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args(argv)
    with contextlib.suppress(KeyboardInterrupt):
        return uvloop.run(main_async(arguments.requests, arguments.rounds))
    return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
