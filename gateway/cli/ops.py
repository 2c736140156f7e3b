"""`ephemera ops`: what a running service does, asked over its own address."""

import sys
from typing import Annotated

import aiohttp
import msgspec
from cyclopts import App, Parameter

from gateway.api.health import ServiceStatus
from gateway.cli.terminal import CONFIGURED, Configured, Exit, complain, run, table
from gateway.config import Settings

app = App(name="ops", help="Look at a running service.")

# A service that needs longer to say how it is, is not well.
TIMEOUT = aiohttp.ClientTimeout(total=5)


@app.command
def status(
    *,
    url: Annotated[
        str | None, Parameter(help="The service. [http:// and server.host, server.port]")
    ] = None,
    json: Annotated[bool, Parameter(help="Print the service's own JSON.", negative="")] = False,
    source: Configured = CONFIGURED,
) -> int:
    """Show slots, spares, the waiting line and what stands against readiness.

    Exits 0 when the service is ready, 69 when it is not or does not answer.
    """
    settings = source.settings()
    host = settings.server.host
    where = url or f"http://{f'[{host}]' if ':' in host else host}:{settings.server.port}"
    try:
        page = run(_ask(where.rstrip("/"), settings))
        now = msgspec.json.decode(page, type=ServiceStatus)
    except (aiohttp.ClientError, TimeoutError, msgspec.MsgspecError) as error:
        complain(f"no service answers on {where}: {str(error) or type(error).__name__}")
        return Exit.UNAVAILABLE
    if json:
        sys.stdout.write(page.decode() + "\n")
    else:
        _show(now)
    return Exit.OK if now.health.ready else Exit.UNAVAILABLE


async def _ask(where: str, settings: Settings) -> bytes:
    token = settings.server.operator_token
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, headers=headers) as session,
        session.get(f"{where}/status") as response,
    ):
        response.raise_for_status()
        return await response.read()


def _show(now: ServiceStatus) -> None:
    ready = "ready" if now.health.ready else f"not ready: {', '.join(now.health.missing)}"
    rows = [
        ("service", ready),
        ("isolation", now.engine.isolation),
        ("conversions", str(now.conversions)),
        ("slots", f"{now.engine.busy} of {now.engine.slots} busy"),
        ("waiting", str(now.engine.waiting)),
        ("memory", f"{now.in_flight_bytes} of {now.in_flight_bytes_max} bytes in flight"),
    ]
    for one in now.engine.families:
        state = "up" if one.up else "down"
        figures = f"{one.spares} spares, {one.running} running, {one.restarts} restarts"
        rows.append((f"family {one.name}", f"{state}, {figures}"))
    table(("WHAT", "NOW"), rows)
