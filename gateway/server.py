"""A service from its first breath to its last: bind, start, announce, serve, drain, stop.

Stopping, in order: `/readyz` says 503; nobody new is accepted; conversions under way finish, for
at most `server.drain_s`; what is left is cancelled and refunded; connections close; then the
engine, the ledger and the private PostgreSQL stop. A second SIGINT skips the patience.
"""

import asyncio
import contextlib
import gc
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

import msgspec
import structlog
from aiohttp import web

from gateway import admin, home, listener, state
from gateway.api import health
from gateway.app import compose
from gateway.config import Settings
from gateway.listener import Listener
from gateway.notify import Notifier, Pulse
from gateway.stages import Observer
from ledger.embedded import EmbeddedPostgres
from ledger.ledger import Ledger
from ledger.migrate import migrate

log = structlog.get_logger()

DEMO_ACCOUNT = "demo"


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator is told when the service is ready. The key is shown this once."""

    url: str
    # Where operators are answered, if that is an address and not only the socket.
    admin_url: str | None = None
    demo_key: str | None = None
    demo_credits: int = 0


class Stop:
    """What the signals ask for. Before the service is up, the first one gives the start up."""

    def __init__(self, starting: asyncio.Task[None]) -> None:
        self.asked = asyncio.Event()
        self.hurried = asyncio.Event()
        self._starting: asyncio.Task[None] | None = starting

    def started(self) -> None:
        """From here on a signal asks for a drain."""
        self._starting = None

    def ask(self) -> None:
        """The first call asks to stop, the second one to hurry."""
        if self._starting is not None:
            self._starting.cancel()
        (self.hurried if self.asked.is_set() else self.asked).set()


async def serve(
    settings: Settings,
    announce: Callable[[Announcement], None],
    *,
    observers: Sequence[Observer] = (),
    notifier: Notifier | None = None,
    group: str = "",
) -> None:
    """Run the service until SIGTERM or SIGINT.

    `group` names the service that this is one of several gateways of (`gateway/processes/`). Its
    parent then has the database ready, and the address is shared.

    Raises ConfigError, AddressInUse, or the boot errors of the engine and the ledger.
    """
    task = cast("asyncio.Task[None]", asyncio.current_task())
    stop = Stop(task)
    try:
        with (
            _signals(stop),
            contextlib.closing(listener.bind(settings.server, shared=bool(group))) as public,
            admin.bound(settings, shared=bool(group)) as operators,
        ):
            async with _service(settings, observers, group) as app:
                await _serve(
                    app, settings, announce, notifier or Notifier(), stop, public, operators
                )
    except asyncio.CancelledError:
        if not stop.asked.is_set() or task.uncancel():
            raise
    log.info("stopped")


async def _serve(  # noqa: PLR0917 -- the parts of one service, each named
    app: web.Application,
    settings: Settings,
    announce: Callable[[Announcement], None],
    notifier: Notifier,
    stop: Stop,
    public: socket.socket,
    operators: socket.socket | None,
) -> None:
    door = Listener(public, app, settings.server)
    demo_key = await first_start(app[state.LEDGER], settings)
    async with admin.open_doors(app, settings, operators):
        await door.open()
        # What the service is made of stays for good. A full round of the collector would look at
        # all of it, 60 ms in which nobody is answered, every few thousand files of batches.
        gc.freeze()
        stop.started()
        announce(
            Announcement(
                url=settings.server.public_url.rstrip("/") or listener.url_of(public),
                admin_url=listener.url_of(operators) if operators else None,
                demo_key=demo_key,
                demo_credits=settings.ledger.demo_credits,
            )
        )
        log.info("ready", host=settings.server.host, port=public.getsockname()[1])
        async with notifier.telling(partial(_pulse, app)):
            await stop.asked.wait()
            notifier.stopping()
            await _drain(app, door, stop, settings.server.drain_s)


def _pulse(app: web.Application) -> Pulse:
    """What systemd is told: figures, and whether the engine can ever convert again."""
    now = health.status_of(app)
    condition = "ready" if now.health.ready else f"not ready: {', '.join(now.health.missing)}"
    return Pulse(
        "engine" not in now.health.missing,
        f"{condition}; {now.engine.busy} of {now.engine.slots} slots busy, "
        f"{now.engine.waiting} waiting",
    )


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where the ledger is: for migrations, and for the service, which may do less."""

    owner_dsn: str
    app_dsn: str


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """The operator's PostgreSQL, or the private one, which then runs for the block."""
    if settings.ledger.dsn:
        yield Database(owner_dsn=settings.ledger.dsn, app_dsn=settings.ledger.dsn)
        return
    home.prepare(settings.home)
    async with EmbeddedPostgres(settings.home) as postgres:
        yield Database(owner_dsn=postgres.dsn, app_dsn=postgres.app_dsn)


@asynccontextmanager
async def _service(
    settings: Settings, observers: Sequence[Observer], group: str
) -> AsyncIterator[web.Application]:
    home.prepare(settings.home)
    pepper, keks = home.pepper(settings), home.keks(settings)
    async with database(settings) as found:
        for name in [] if group else await migrate(found.owner_dsn):
            log.info("migrated", migration=name)
        async with compose(
            settings, dsn=found.app_dsn, pepper=pepper, keks=keks, observers=observers, group=group
        ) as app:
            yield app


async def _drain(app: web.Application, door: Listener, stop: Stop, patience_s: float) -> None:
    inside = app[state.DOOR]
    log.info("draining", in_flight=inside.inside)
    inside.close(for_good=True)
    # Whoever waits because of a pause may finish.
    app[state.ENGINE].resume()
    door.stop_accepting()
    hurry = asyncio.create_task(stop.hurried.wait())
    finish = asyncio.create_task(inside.wait_empty(patience_s))
    await asyncio.wait({hurry, finish}, return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    finish.cancel()
    refunded = await inside.show_out()
    await door.close()
    log.info("drained", refunded=refunded)


async def first_start(ledger: Ledger, settings: Settings) -> str | None:
    """Make the demo account where there is no account at all; give its key, which nobody keeps."""
    if not settings.ledger.demo_credits or await ledger.accounts.list():
        return None
    account = await ledger.accounts.create(
        DEMO_ACCOUNT, credits=settings.ledger.demo_credits, reference="first start"
    )
    key = await ledger.keys.create(account.id, "first start")
    return key.secret


@contextmanager
def _signals(stop: Stop) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.ask)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
