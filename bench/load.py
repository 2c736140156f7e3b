"""What does the whole service carry over HTTP: conversions a second, latencies, CPU a conversion?

The load harness. Closed loop: so many clients, each sends its next request when the last one is
answered; shows capacity. Open loop: requests arrive at random (Poisson) at a fixed rate whatever
happens to the earlier ones; shows the latency a customer sees, queueing included. CPU is that of
the service's processes (gateway, zygotes, workers, PostgreSQL), read from /proc, so the clients on
the same two cores disturb the times but not the CPU figures.
"""

import argparse
import asyncio
import itertools
import random
import statistics
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable

import aiohttp
import msgspec

from bench import corpus, cpu
from bench.service import Service, running_service


class Shot(msgspec.Struct, frozen=True):
    """One request and what came of it. `status` 0: no answer."""

    status: int
    seconds: float
    # A problem's code, or the name of the error that was met in the place of an answer.
    code: str = ""


class Kind(msgspec.Struct, frozen=True):
    """A request that is sent again and again."""

    name: str
    path: str
    body: bytes


def kinds() -> dict[str, Kind]:
    """By the name on the command line."""
    return {
        "icon": Kind("64 px PNG to JPEG", "/v1/convert/png/jpeg", corpus.png_64px()),
        "web": Kind("1 MP JPEG to 400 px", "/v1/convert/jpeg/jpeg?width=400", corpus.jpeg_1mp()),
        "photo": Kind(
            "12 MP JPEG to 800 px", "/v1/convert/jpeg/jpeg?width=800", corpus.jpeg_12mp()
        ),
    }


class Client:
    """Sends one kind of request, over kept-alive connections."""

    def __init__(self, service: Service, session: aiohttp.ClientSession, kind: Kind) -> None:
        self._url = service.url + kind.path
        self._headers = {
            "Authorization": f"Bearer {service.key}",
            "Content-Type": "application/octet-stream",
        }
        self._session = session
        self._body = kind.body

    async def send(self) -> Shot:
        """One request to its last byte."""
        begun = time.perf_counter()
        try:
            async with self._session.post(
                self._url, data=self._body, headers=self._headers
            ) as answer:
                body = await answer.read()
                seconds = time.perf_counter() - begun
                problem = answer.content_type == "application/problem+json"
                return Shot(
                    answer.status, seconds, msgspec.json.decode(body)["code"] if problem else ""
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            return Shot(0, time.perf_counter() - begun, type(error).__name__)


async def closed_loop(send: Callable[[], Awaitable[Shot]], clients: int, s: float) -> list[Shot]:
    """`clients` at once for `s` seconds."""
    shots: list[Shot] = []
    end = time.perf_counter() + s

    async def client() -> None:
        while time.perf_counter() < end:
            shots.append(await send())

    await asyncio.gather(*(client() for _ in range(clients)))
    return shots


async def open_loop(send: Callable[[], Awaitable[Shot]], rate: float, s: float) -> list[Shot]:
    """Poisson arrivals of `rate` a second for `s` seconds, repeatable."""
    chance = random.Random(1)  # noqa: S311 - repeatable, not secret
    under_way: list[asyncio.Task[Shot]] = []
    due = time.perf_counter()
    end = due + s
    for _ in itertools.count():
        due += chance.expovariate(rate)
        if due > end:
            break
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        under_way.append(asyncio.ensure_future(send()))
    return list(await asyncio.gather(*under_way))


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


async def measure(service: Service, label: str, run: Callable[[], Awaitable[list[Shot]]]) -> float:
    """Run one loop, print its row, return the good answers a second."""
    cpu_before = cpu.cpu_s(service.pid)
    gateway_before = cpu.own_cpu_s(service.pid)
    begun = time.perf_counter()
    shots = await run()
    wall = time.perf_counter() - begun
    good = [shot.seconds for shot in shots if shot.status == 200]
    other = Counter(shot.status for shot in shots if shot.status != 200)
    if not good:
        print(f"{label:44} no conversion succeeded: {dict(other)}", flush=True)
        return 0.0
    all_cpu = (cpu.cpu_s(service.pid) - cpu_before) / len(good)
    gateway_cpu = (cpu.own_cpu_s(service.pid) - gateway_before) / len(good)
    print(
        f"{label:44} {len(good) / wall:8.1f}/s  p50 {1000 * statistics.median(good):8.1f} ms  "
        f"p99 {1000 * percentile(good, 0.99):8.1f} ms  CPU {1000 * all_cpu:7.2f} ms "
        f"(gateway {1000 * gateway_cpu:5.2f})  {dict(other) or ''}",
        flush=True,
    )
    return len(good) / wall


async def harness(arguments: argparse.Namespace) -> None:
    """All kinds asked for, closed at each concurrency, then open at shares of the capacity."""
    chosen = [kinds()[name] for name in arguments.kinds.split(",")]
    async with (
        running_service(arguments.url, arguments.key) as service,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=60),
        ) as session,
    ):
        for kind in chosen:
            send = Client(service, session, kind).send
            await closed_loop(send, 2, 1.0)  # warm connections, caches and statements
            capacity = 0.0
            for clients in (1, 8, 64):
                capacity = max(
                    capacity,
                    await measure(
                        service,
                        f"{kind.name}, {clients} clients",
                        lambda send=send, clients=clients: closed_loop(
                            send, clients, arguments.seconds
                        ),
                    ),
                )
            for share in (0.5, 0.8):
                rate = capacity * share
                await measure(
                    service,
                    f"{kind.name}, {rate:.1f}/s = {share:.0%} of capacity",
                    lambda send=send, rate=rate: open_loop(send, rate, arguments.seconds),
                )


def main(argv: list[str]) -> None:
    """`python -m bench load [--kinds icon,web,photo] [--seconds 5] [--url … --key …]`."""
    parser = argparse.ArgumentParser(prog="python -m bench load", description=__doc__)
    parser.add_argument("--kinds", default="icon,web,photo")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--url", help="a running service instead of one started here")
    parser.add_argument("--key", help="its API key")
    asyncio.run(harness(parser.parse_args(argv)))


if __name__ == "__main__":
    main(sys.argv[1:])
