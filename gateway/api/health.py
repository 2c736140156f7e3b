"""For orchestrators and operators: is it alive, can it convert, what is it doing."""

import msgspec
from aiohttp import hdrs, web

from engine.engine import EngineStatus
from gateway import state
from gateway.api.answers import answer


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether requests should come here, and what stands against it."""

    ready: bool
    # Of draining, ledger, engine; empty when ready.
    missing: tuple[str, ...] = ()


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `ephemera ops status` shows."""

    health: Health
    conversions: int
    in_flight_bytes: int
    in_flight_bytes_max: int
    engine: EngineStatus


async def livez(_request: web.Request) -> web.StreamResponse:
    """`GET /livez`: the loop turns; nothing else is asked, or a database's hiccup restarts us."""
    return answer(Health(ready=True))


async def readyz(request: web.Request) -> web.StreamResponse:
    """`GET /readyz`: 200 when a conversion would be taken now, 503 otherwise."""
    health = _health(request.app)
    return answer(health, status=200 if health.ready else 503)


async def metrics(request: web.Request) -> web.StreamResponse:
    """`GET /metrics`: Prometheus' text format."""
    figures = request.app[state.METRICS]
    return web.Response(body=figures.page(), headers={hdrs.CONTENT_TYPE: figures.media_type})


async def status(request: web.Request) -> web.StreamResponse:
    """`GET /status`: the figures of this moment."""
    app = request.app
    return answer(
        ServiceStatus(
            health=_health(app),
            conversions=app[state.DOOR].inside,
            in_flight_bytes=app[state.MEMORY].taken,
            in_flight_bytes_max=app[state.MEMORY].bytes_max,
            engine=app[state.ENGINE].status(),
        )
    )


def _health(app: web.Application) -> Health:
    families = app[state.ENGINE].status().families
    missing = {
        "draining": app[state.DOOR].draining,
        "ledger": not app[state.LEDGER].healthy(),
        "engine": not any(family.up for family in families),
    }
    names = tuple(name for name, is_missing in missing.items() if is_missing)
    return Health(ready=not names, missing=names)
