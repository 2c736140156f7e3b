"""Does a service that is asked for ten times what it can still do all that it can?

Capacity first, by a closed loop. Then requests arrive at 1, 2 and 10 times that rate, whatever
becomes of them: goodput should stay at capacity, and who is refused should know at once. The
line is short here (a quarter of a second's work), so that an overload is one.
"""

import argparse
import asyncio
import statistics
import sys
import time

import aiohttp

from bench.load import Client, Shot, closed_loop, kinds, open_loop, percentile
from bench.service import running_service

# A waiting line of this many keeps two cores busy for about a quarter of a second of small jobs.
WAITING_MAX = 32


async def measure(arguments: argparse.Namespace) -> None:
    """Print a row for each multiple of the capacity."""
    settings = {"EPHEMERA__ENGINE__WAITING_MAX": str(WAITING_MAX)}
    async with (
        running_service(arguments.url, arguments.key, settings=settings) as service,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=60)
        ) as session,
    ):
        send = Client(service, session, kinds()[arguments.kind]).send
        await closed_loop(send, 4, 2.0)
        begun = time.perf_counter()
        shots = await closed_loop(send, 16, arguments.seconds)
        capacity = sum(shot.status == 200 for shot in shots) / (time.perf_counter() - begun)
        print(f"capacity with 16 clients: {capacity:.1f}/s\n")
        for multiple in (1, 2, 10):
            begun = time.perf_counter()
            shots = await open_loop(send, multiple * capacity, arguments.seconds)
            row(multiple, shots, capacity, time.perf_counter() - begun)


def row(multiple: int, shots: list[Shot], capacity: float, seconds: float) -> None:
    """Print what came of one rate."""
    good = [shot.seconds for shot in shots if shot.status == 200]
    refused = [shot.seconds for shot in shots if shot.status in {429, 503}]
    silent = len(shots) - len(good) - len(refused)
    goodput = len(good) / seconds
    print(
        f"{multiple:3}x  asked {len(shots) / seconds:7.1f}/s  goodput {goodput:7.1f}/s "
        f"= {goodput / capacity:4.2f} of capacity, p50 {ms(good, 0.5)} p99 {ms(good, 0.99)}; "
        f"refused {len(refused) / seconds:7.1f}/s in p50 {ms(refused, 0.5)} "
        f"p99 {ms(refused, 0.99)}; unanswered {silent}",
        flush=True,
    )


def ms(values: list[float], share: float) -> str:
    """Give a percentile in milliseconds."""
    if not values:
        return "-"
    value = statistics.median(values) if share == 0.5 else percentile(values, share)
    return f"{1000 * value:.1f} ms"


def main(argv: list[str]) -> None:
    """`python -m bench overload [--kind icon] [--seconds 6]`."""
    parser = argparse.ArgumentParser(prog="python -m bench overload", description=__doc__)
    parser.add_argument("--kind", default="web")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--url")
    parser.add_argument("--key")
    asyncio.run(measure(parser.parse_args(argv)))


if __name__ == "__main__":
    main(sys.argv[1:])
