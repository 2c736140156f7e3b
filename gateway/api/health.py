"""For orchestrators and operators: is it alive, can it convert, what is it doing."""

import msgspec
from aiohttp import hdrs, web

from engine.engine import EngineStatus
from gateway import state
from gateway.api.answers import answer, encoded
from gateway.metrics import page_of
from gateway.process import Process
from gateway.processes import figures


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests should come here, and what stands against it."""

    ready: bool
    # Of draining, paused, ledger, engine; empty when ready.
    missing: tuple[str, ...] = ()


class LedgerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The ledger as this process sees it."""

    up: bool
    # Movements of credits that wait to be written.
    queued: int


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `ephemera ops status` shows."""

    process: Process
    health: Health
    conversions: int
    in_flight_bytes: int
    in_flight_bytes_max: int
    ledger: LedgerStatus
    engine: EngineStatus


async def livez(_request: web.Request) -> web.StreamResponse:
    """`GET /livez`: the loop turns; nothing else is asked, or a database's hiccup restarts us."""
    return answer(Health(ready=True))


async def readyz(request: web.Request) -> web.StreamResponse:
    """`GET /readyz`: 200 when a conversion would be taken now, 503 otherwise."""
    health = _health(request.app)
    return answer(health, status=200 if health.ready else 503)


async def metrics(request: web.Request) -> web.StreamResponse:
    """`GET /metrics`: Prometheus' text format, of all gateways of this service."""
    metrics, siblings = request.app[state.METRICS], request.app[state.SIBLINGS]
    page = page_of(await siblings.figures(metrics.own())) if siblings.group else metrics.page()
    return web.Response(body=page, headers={hdrs.CONTENT_TYPE: metrics.media_type})


async def own_figures(request: web.Request) -> web.StreamResponse:
    """`GET /admin/figures`: those of this process, for its siblings."""
    return encoded(figures.encode(request.app[state.METRICS].own()))


async def status(request: web.Request) -> web.StreamResponse:
    """`GET /status`: the figures of this moment."""
    return answer(status_of(request.app))


async def admin_status(request: web.Request) -> web.StreamResponse:
    """`GET /admin/status`: the same."""
    return answer(status_of(request.app))


def status_of(app: web.Application) -> ServiceStatus:
    """The figures of this moment; costs nothing."""
    ledger, memory = app[state.LEDGER], app[state.MEMORY]
    return ServiceStatus(
        process=app[state.PROCESS],
        health=_health(app),
        conversions=app[state.DOOR].inside,
        in_flight_bytes=memory.taken,
        in_flight_bytes_max=memory.bytes_max,
        ledger=LedgerStatus(up=ledger.healthy(), queued=ledger.queued()),
        engine=app[state.ENGINE].status(),
    )


def _health(app: web.Application) -> Health:
    engine = app[state.ENGINE].status()
    missing = {
        "draining": app[state.DOOR].draining,
        "paused": engine.paused,
        "ledger": not app[state.LEDGER].healthy(),
        "engine": not any(family.up for family in engine.families),
    }
    names = tuple(name for name, is_missing in missing.items() if is_missing)
    return Health(ready=not names, missing=names)
