"""`ephemera ops`: look at a running service and give it orders, over its socket or its address."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Annotated, Any

import msgspec
from cyclopts import App, Parameter
from msgspec import UNSET, UnsetType

from engine.engine import FamilyStatus
from gateway.api.health import ServiceStatus
from gateway.cli.gateways import ORDER_S, TARGET, Target, chosen, found
from gateway.cli.terminal import Exit, complain, run, table
from gateway.errors import NobodyAnswers, OrderRefused
from gateway.operations import (
    ORDERS,
    Drain,
    Order,
    Pause,
    Recycle,
    Resize,
    RestartZygote,
    Resume,
    SetLimit,
)
from gateway.processes.asking import ONLY, Gateway
from gateway.processes.summary import together

app = App(
    name="ops",
    help="Look at a running service, and give it orders. It is found by its socket in "
    "EPHEMERA_HOME, or asked at --url. Every order leaves an audit record: ephemera audit list.",
)

# Slow enough to read, fast enough to see a line move.
WATCH_S = 1.0
CLEAR = "\x1b[H\x1b[2J"

Family = Annotated[str | None, Parameter(help="Only this family. [all]")]


class Answerer(msgspec.Struct, frozen=True):
    """The process that carried an order out."""

    pid: int


class Answer(msgspec.Struct, frozen=True):
    """What a gateway says of an order, as far as the terminal prints it; or all of a service."""

    process: Answerer | None = None
    recorded: bool = True
    result: dict[str, Any] = msgspec.field(default_factory=dict)
    processes: tuple["Answer", ...] = ()
    failed: tuple[str, ...] = ()


@app.command
def status(
    *,
    json: Annotated[bool, Parameter(help="Print the service's own JSON.", negative="")] = False,
    watch: Annotated[
        bool, Parameter(help="Again every second, until Ctrl-C.", negative="")
    ] = False,
    target: Target = TARGET,
) -> int:
    """Show slots, spares, the waiting line and what stands against readiness.

    Exits 0 when every service that was asked is ready, 69 when one is not or does not answer.
    """
    return run(_watch(target, json=json) if watch else _look(target, json=json))


@app.command
def pause(*, target: Target = TARGET) -> int:
    """Start no conversion until `resume`; requests wait in line, within its bounds."""
    return _order(target, Pause)


@app.command
def resume(*, target: Target = TARGET) -> int:
    """Undo `pause` and `drain`."""
    return _order(target, Resume)


@app.command
def drain(
    *,
    timeout_s: Annotated[float, Parameter(help="How long to wait for what runs.")] = 60.0,
    target: Target = TARGET,
) -> int:
    """Refuse new conversions and wait for those under way; the process stays. `resume` undoes it.

    Exits 0 when all were finished, 75 when some still run.
    """
    return _order(target, Drain, wait_s=timeout_s + ORDER_S, timeout_s=timeout_s)


@app.command
def recycle(*, family: Family = None, target: Target = TARGET) -> int:
    """Replace zygotes, the new one first: what runs finishes, no request fails."""
    return _order(target, Recycle, family=family)


@app.command
def restart_zygote(*, family: Family = None, target: Target = TARGET) -> int:
    """End zygotes that are not trusted any more, with their spares; what runs may finish."""
    return _order(target, RestartZygote, family=family)


@app.command
def resize(
    *,
    slots: Annotated[int, Parameter(help="How many conversions run at once.")],
    target: Target = TARGET,
) -> int:
    """Set how many conversions run at once. What runs above that number finishes."""
    return _order(target, Resize, slots=slots)


@app.command
def set_limit(
    *,
    family: Annotated[str, Parameter(help="The family whose workers are meant.")],
    wall_s: Annotated[float | None, Parameter(help="Deadline of one conversion.")] = None,
    cpu_s: Annotated[int | None, Parameter(help="CPU seconds of one conversion.")] = None,
    address_space_bytes: Annotated[int | None, Parameter(help="Memory of one worker.")] = None,
    input_bytes_max: Annotated[int | None, Parameter(help="Largest upload.")] = None,
    output_bytes_max: Annotated[int | None, Parameter(help="Largest result.")] = None,
    target: Target = TARGET,
) -> int:
    """Change limits of a family's workers until the service stops; what runs keeps the old ones."""
    return _order(
        target,
        SetLimit,
        family=family,
        wall_s=_unset(wall_s),
        cpu_s=_unset(cpu_s),
        address_space_bytes=_unset(address_space_bytes),
        input_bytes_max=_unset(input_bytes_max),
        output_bytes_max=_unset(output_bytes_max),
    )


def _unset(value: float | None) -> float | UnsetType:
    return UNSET if value is None else value


def _order(target: Target, kind: type[Order], *, wait_s: float = ORDER_S, **fields: object) -> int:
    """Give an order to the services that are meant, and say what each did."""
    try:
        order = msgspec.convert(
            {name: value for name, value in fields.items() if value is not UNSET}, kind
        )
    except msgspec.ValidationError as error:
        complain(f"this order cannot be: {error}")
        return Exit.USAGE
    name = next(name for name, known in ORDERS.items() if known is kind)
    return run(_give(target, name, order, wait_s))


async def _give(target: Target, name: str, order: Order, wait_s: float) -> int:
    with ExitStack() as stack:
        gateways = chosen(target, found(target, target.settings(), stack))
        # Of a service of several gateways the one that was named, or all.
        only = f"?{ONLY}=this" if target.pid is not None else ""
        codes = [await _give_one(each, name, only, order, wait_s) for each in gateways]
    return max(codes)


async def _give_one(gateway: Gateway, name: str, only: str, order: Order, wait_s: float) -> int:
    page = await gateway.give(f"/admin/{name}{only}", order, wait_s)
    said = msgspec.json.decode(page, type=Answer)
    for sentence in said.failed:
        complain(sentence)
    if said.processes:
        codes = [_print_answer(_name(one), name, one) for one in said.processes]
    else:
        codes = [_print_answer(gateway.name, name, said)]
    return max(*codes, Exit.RETRY if said.failed else Exit.OK)


def _name(said: Answer) -> str:
    return f"pid {said.process.pid}" if said.process else "a gateway"


def _print_answer(who: str, name: str, said: Answer) -> int:
    rows = [(who, name, "done")]
    rows += [(who, key, _words(value)) for key, value in said.result.items()]
    table(("SERVICE", "WHAT", "NOW"), rows)
    if not said.recorded:
        complain(f"{who}: done, but its end is not on record: the ledger went away")
    return Exit.RETRY if said.result.get("finished") is False else Exit.OK


def _words(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value)) or "none"
        case dict():
            return ", ".join(f"{key} = {each}" for key, each in value.items()) or "none"
    return str(value)


async def _watch(target: Target, *, json: bool) -> int:
    code: int = Exit.OK
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            if sys.stdout.isatty():
                sys.stdout.write(CLEAR)
            code = await _look(target, json=json)
            sys.stdout.flush()
            await asyncio.sleep(WATCH_S)
    return code


async def _look(target: Target, *, json: bool) -> int:
    ready = True
    services: dict[str, list[ServiceStatus]] = {}
    with ExitStack() as stack:
        for gateway in found(target, target.settings(), stack):
            try:
                page = await gateway.look("/status")
                now = msgspec.json.decode(page, type=ServiceStatus)
            except (NobodyAnswers, OrderRefused) as error:
                complain(str(error))
                ready = False
                continue
            except msgspec.MsgspecError:
                complain(f"{gateway.name} is no service of this version")
                ready = False
                continue
            if json:
                sys.stdout.write(page.decode() + "\n")
            services.setdefault(gateway.group or gateway.name, []).append(now)
            ready = ready and now.health.ready
    for gateways in services.values() if not json else ():
        _show(gateways)
    return Exit.OK if ready else Exit.UNAVAILABLE


def _show(gateways: Sequence[ServiceStatus]) -> None:
    """Print a service; where it has several gateways, what they are together."""
    now = together(gateways)
    engine, process = now.engine, now.process
    ready = "ready" if now.health.ready else f"not ready: {', '.join(now.health.missing)}"
    started = process.started_at.isoformat(timespec="seconds")
    ledger = "up" if now.ledger.up else "away"
    pids = " and ".join(f"pid {one.process.pid}" for one in gateways)
    rows = [
        ("process", f"{pids} on {process.host}, {process.version}, since {started}"),
        ("service", ready),
        ("isolation", f"{engine.isolation}, {engine.policy}"),
        ("conversions", str(now.conversions)),
        ("slots", f"{engine.busy} of {engine.slots} busy{', paused' if engine.paused else ''}"),
        ("waiting", str(engine.waiting)),
        ("memory", f"{now.in_flight_bytes} of {now.in_flight_bytes_max} bytes in flight"),
        ("ledger", f"{ledger}, {now.ledger.queued} movements queued"),
    ]
    rows += [(f"family {one.name}", _family(one)) for one in engine.families]
    table(("WHAT", "NOW"), rows)


def _family(one: FamilyStatus) -> str:
    figures = (
        f"{one.spares} spares",
        f"{one.running} running",
        f"{one.waiting} waiting",
        f"{one.conversions} done",
        f"{sum(one.failures.values())} failed",
        f"{one.restarts} restarts",
        f"{sum(one.recycles.values())} recycles",
        f"{one.cpu_s:.1f} s CPU",
        f"{one.written_bytes} bytes written",
    )
    return ", ".join(("up" if one.up else "down", *figures))
