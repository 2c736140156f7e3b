"""Does a service that is asked for ten times what it can still do all that it can?

Capacity first, by a closed loop. Then requests arrive at 1, 2 and 10 times that rate, whatever
becomes of them: goodput should stay at capacity, and who is refused should know at once. The
line is short here (a quarter of a second's work), so that an overload is one.

Clients that share the service's cores take from it what they cost, so on a machine of several they
have one for themselves (`--together` is without that), in all rows, that of the capacity too.

Still nobody can refuse for nothing. How much of what is missing
at 10 times is ours is therefore asked as well: the service gets its capacity, and a bare aiohttp
server that does nothing but refuse gets the other nine tenths, from the same clients. The goodput
then is the most that a service could have here whose refusals cost what aiohttp costs, and no more.
"""

import argparse
import asyncio
import os
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable

import aiohttp

from bench import cpu
from bench.echo import serving
from bench.load import Client, Shot, closed_loop, kinds, open_loop, percentile
from bench.service import Service, running_service

# A waiting line of this many keeps two cores busy for about a quarter of a second of small jobs.
WAITING_MAX = 32
MOST = 10
REFUSE = """
async def answer(request):
    return web.Response(status=503)
"""


async def measure(arguments: argparse.Namespace) -> None:
    """Print a row for each multiple of the capacity."""
    settings = {"EPHEMERA__ENGINE__WAITING_MAX": str(WAITING_MAX)}
    every = os.sched_getaffinity(0)
    own = {max(every)} if len(every) > 1 and not arguments.together else every
    # What is started runs where its parent may.
    os.sched_setaffinity(0, every - own or every)
    async with (
        running_service(arguments.url, arguments.key, settings=settings) as service,
        serving(REFUSE) as bare,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
        ) as session,
    ):
        os.sched_setaffinity(0, own)
        kind, seconds = kinds()[arguments.kind], arguments.seconds
        send, refuse = Client(service, session, kind).send, Client(bare, session, kind).send
        await closed_loop(send, 4, 2.0)
        begun = time.perf_counter()
        shots = await closed_loop(send, 16, seconds)
        capacity = sum(shot.status == 200 for shot in shots) / (time.perf_counter() - begun)
        print(
            f"{len(every - own or every)} cores for the service, clients on "
            f"{'the same' if own == every else 'another'}; "
            f"capacity with 16 clients: {capacity:.1f}/s\n"
        )
        for _ in range(arguments.rounds):
            for multiple in (1, 2, MOST):
                asked = open_loop(send, multiple * capacity, seconds)
                await row(f"{multiple:3}x", service, capacity, asked)
            away = asyncio.create_task(open_loop(refuse, (MOST - 1) * capacity, seconds))
            asked = open_loop(send, capacity, seconds)
            await row(f" 1x, {MOST - 1}x at a bare server", service, capacity, asked)
            await away


async def row(label: str, service: Service, capacity: float, asked: Awaitable[list[Shot]]) -> None:
    """Print what came of one rate, and who had the cores meanwhile."""
    before = time.process_time(), cpu.own_cpu_s(service.pid)
    begun = time.perf_counter()
    shots = await asked
    seconds = time.perf_counter() - begun
    clients = (time.process_time() - before[0]) / seconds
    gateway = (cpu.own_cpu_s(service.pid) - before[1]) / seconds
    good = [shot.seconds for shot in shots if shot.status == 200]
    refused = [shot.seconds for shot in shots if shot.status in {429, 503}]
    silent = Counter(shot.code for shot in shots if not shot.status)
    goodput = len(good) / seconds
    print(
        f"{label}  asked {len(shots) / seconds:7.1f}/s  goodput {goodput:7.1f}/s "
        f"= {goodput / capacity:4.2f} of capacity, p50 {ms(good, 0.5)} p99 {ms(good, 0.99)}; "
        f"refused {len(refused) / seconds:7.1f}/s in p50 {ms(refused, 0.5)} "
        f"p99 {ms(refused, 0.99)}; unanswered {dict(silent) or 0}; "
        f"busy: clients {clients:.2f} of a core, gateway {gateway:.2f}",
        flush=True,
    )


def ms(values: list[float], share: float) -> str:
    """Give a percentile in milliseconds."""
    if not values:
        return "-"
    value = statistics.median(values) if share == 0.5 else percentile(values, share)
    return f"{1000 * value:.1f} ms"


def main(argv: list[str]) -> None:
    """`python -m bench overload [--kind icon] [--seconds 6] [--rounds 1] [--together]`."""
    parser = argparse.ArgumentParser(prog="python -m bench overload", description=__doc__)
    parser.add_argument("--kind", default="web")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--together", action="store_true")
    parser.add_argument("--url")
    parser.add_argument("--key")
    asyncio.run(measure(parser.parse_args(argv)))


if __name__ == "__main__":
    main(sys.argv[1:])
