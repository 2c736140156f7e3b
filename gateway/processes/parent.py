"""The parent of several gateways: it converts nothing, and sees to it that they do.

It takes the address, owns the private PostgreSQL and the migrations, starts the gateways with their
shares (`shares.py`), and says that the service is ready when all are. From then on one that ends is
started again, at once after an orderly end, later and later after others; one that hangs is ended.
The address is shared by SO_REUSEPORT: the kernel gives each new connection to one of those that
listen, so one that died gets none, and the others go on.

A signal is handed on to all. They drain and stop; the parent ends when the last of them has, and
PostgreSQL after that.
"""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Protocol

import structlog
from msgspec.structs import replace

from gateway import admin, home, listener, server
from gateway.app import ledger_settings
from gateway.config import Settings
from gateway.notify import Notifier, Pulse
from gateway.processes.brief import Brief
from gateway.processes.member import START_MAX_S, Member
from gateway.processes.shares import dealt
from gateway.server import Announcement
from ledger.ledger import Ledger
from ledger.migrate import migrate

log = structlog.get_logger()

_GROUP_BYTES = 4
# Without systemd's own figure: a loop that has not turned for so long will not.
WATCHDOG_S = 60.0
# A gateway that cannot start costs seconds of a core each time; half a minute is soon enough for
# one that can again.
PAUSE_MIN_S, PAUSE_MAX_S = 0.5, 30.0
# Whoever lived for this long has not failed to start.
SETTLED_S = 60.0
# After the drain: refunds, the ledger, the zygotes.
STOP_MAX_S = 60.0
FAILED = 1


async def serve(
    settings: Settings, announce: Callable[[Announcement], None], *, notifier: Notifier
) -> int:
    """Run `gateway.processes` gateways until SIGTERM or SIGINT. Gives the exit code.

    Raises ConfigError, AddressInUse, or the boot errors of the ledger. What a gateway complains of
    at its first start it has said itself; its exit code is then this one's.
    """
    # Before anything starts, so that what cannot be is said at once.
    dealt(settings, dsn=settings.ledger.dsn)
    gateways = Gateways(notifier)
    with _taken(settings) as (here, news), _signals(gateways):
        async with _ledger(here) as dsn:
            return await _keep(gateways, here, dsn, news, announce, notifier)


async def _keep(  # noqa: PLR0917 -- the parts of one service, each named
    gateways: "Gateways",
    settings: Settings,
    dsn: str,
    news: Announcement,
    announce: Callable[[Announcement], None],
    notifier: Notifier,
) -> int:
    if settings.limits.store == "memory":
        log.info("limits_shared", count=settings.gateway.processes)
    if gateways.asked.is_set():
        return gateways.failed
    async with gateways.running(dealt(settings, dsn=dsn)):
        if await gateways.all_ready():
            announce(replace(news, **await _first_start(settings, dsn)))
            log.info("all_ready", port=settings.server.port, count=settings.gateway.processes)
            async with notifier.telling(gateways.pulse):
                await gateways.asked.wait()
        gateways.stop()
        await gateways.gone(settings.server.drain_s + STOP_MAX_S)
    log.info("all_stopped")
    return gateways.failed


class Guarded(Protocol):
    """As much of a gateway as can be ended when it hangs."""

    pid: int
    ready: asyncio.Event

    def silent_s(self) -> float:
        """For how long nothing good was heard of it."""

    def send_signal(self, number: int) -> None:
        """Send a signal."""


class Gateways:
    """All gateways of one service: started, kept, and stopped together."""

    def __init__(self, notifier: Notifier) -> None:
        # A signal came, or a gateway did not come up at the start.
        self.asked = asyncio.Event()
        self.failed = 0
        self._notifier = notifier
        self._group = secrets.token_hex(_GROUP_BYTES)
        self._members: dict[int, Member] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._ready: list[asyncio.Event] = []
        self._settled = False
        self._stopping = False

    @asynccontextmanager
    async def running(self, shares: list[Settings]) -> AsyncIterator[None]:
        """Start one for each share, and keep it; what is left at the end is killed."""
        self._ready = [asyncio.Event() for _ in shares]
        self._keepers = [
            asyncio.create_task(self._keep(number, share)) for number, share in enumerate(shares)
        ]
        try:
            yield
        finally:
            for keeper in self._keepers:
                keeper.cancel()
            await asyncio.gather(*self._keepers, return_exceptions=True)

    def signalled(self) -> None:
        """The first signal asks to stop; a further one is handed on, and hurries."""
        if self._stopping:
            self._tell_all(signal.SIGINT)
        self.asked.set()

    async def all_ready(self) -> bool:
        """Wait until all are; False where a signal or a failure came first."""
        ready = asyncio.create_task(self._each_ready())
        asked = asyncio.create_task(self.asked.wait())
        await asyncio.wait({ready, asked}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        asked.cancel()
        self._settled = not self.asked.is_set()
        return self._settled

    def stop(self) -> None:
        """Let all drain; nobody is started again."""
        self._stopping = True
        self._notifier.stopping()
        log.info("all_draining", count=len(self._members))
        self._tell_all(signal.SIGTERM)

    async def gone(self, timeout_s: float) -> None:
        """Wait until the last one has ended, at most so long."""
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=timeout_s)

    def pulse(self) -> Pulse:
        """What systemd is told: the parent's loop turns, and it sees to the others."""
        ready = sum(ready.is_set() for ready in self._ready)
        return Pulse(True, f"{ready} of {len(self._ready)} gateways ready")

    async def guard(self, member: Guarded, watchdog_s: float) -> None:
        """End a gateway that does not come up, or hangs. One that drains has other things to do."""
        while not self._stopping:
            patience_s = watchdog_s if member.ready.is_set() else START_MAX_S
            left_s = patience_s - member.silent_s()
            if left_s <= 0:
                log.error("gateway_hangs", pid=member.pid, seconds=round(patience_s))
                member.send_signal(signal.SIGKILL)
                return
            await asyncio.sleep(left_s)

    async def _each_ready(self) -> None:
        for ready in self._ready:
            await ready.wait()

    async def _keep(self, number: int, share: Settings) -> None:
        """Have a gateway with this share until all stop."""
        clock = asyncio.get_running_loop().time
        told = Brief(
            group=self._group,
            watchdog_s=self._notifier.watchdog_s or WATCHDOG_S,
            settings=share,
        )
        pause_s = PAUSE_MIN_S
        while True:
            begun_s = clock()
            status = await self._live(number, told)
            if self._stopping:
                return
            log.error("gateway_ended", exit_status=status)
            if not self._settled:
                self.failed = status if status > 0 else FAILED
                self.asked.set()
                return
            if clock() - begun_s > SETTLED_S:
                pause_s = PAUSE_MIN_S
            if status:
                await self._pause(pause_s)
                pause_s = min(2 * pause_s, PAUSE_MAX_S)

    async def _live(self, number: int, told: Brief) -> int:
        """One gateway from its start to its end, whose exit status this gives."""
        member = self._members[number] = await Member.start(told, self._ready[number])
        if self._stopping:
            member.send_signal(signal.SIGTERM)
        guard = asyncio.create_task(self.guard(member, told.watchdog_s))
        try:
            return await member.ended()
        except asyncio.CancelledError:
            member.send_signal(signal.SIGKILL)
            await member.ended()
            raise
        finally:
            guard.cancel()

    async def _pause(self, pause_s: float) -> None:
        """Wait so long, or until all stop."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self.asked.wait()

    def _tell_all(self, number: int) -> None:
        for member in self._members.values():
            if member.running:
                member.send_signal(number)


@contextmanager
def _taken(settings: Settings) -> Iterator[tuple[Settings, Announcement]]:
    """Hold the addresses for the gateways, without listening there. Raises AddressInUse.

    A socket that shares its address would also share it with another service of this user, which
    then gets half of our customers: so we ask for it alone first.
    """
    with (
        contextlib.closing(listener.bind(settings.server)) as alone,
        admin.bound(settings) as operators,
    ):
        server_config = replace(settings.server, port=alone.getsockname()[1])
        news = Announcement(
            url=settings.server.public_url.rstrip("/") or listener.url_of(alone),
            admin_url=listener.url_of(operators) if operators else None,
            demo_credits=settings.ledger.demo_credits,
        )
        port = operators.getsockname()[1] if operators else settings.admin.port
    settings = replace(settings, server=server_config, admin=replace(settings.admin, port=port))
    with (
        contextlib.closing(listener.bind(settings.server, shared=True)),
        admin.bound(settings, shared=True),
    ):
        yield settings, news


@asynccontextmanager
async def _ledger(settings: Settings) -> AsyncIterator[str]:
    """The database for the block, migrated; gives where a gateway finds it."""
    home.prepare(settings.home)
    async with server.database(settings) as found:
        for name in await migrate(found.owner_dsn):
            log.info("migrated", migration=name)
        yield found.app_dsn


async def _first_start(settings: Settings, dsn: str) -> dict[str, str | None]:
    """Make the demo account where there is none at all, once for all gateways."""
    pepper, keks = home.pepper(settings), home.keks(settings)
    async with Ledger.connect(
        ledger_settings(settings, dsn=dsn, pepper=pepper, keks=keks)
    ) as ledger:
        return {"demo_key": await server.first_start(ledger, settings)}


@contextmanager
def _signals(gateways: Gateways) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, gateways.signalled)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
