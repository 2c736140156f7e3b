"""What does the gateway itself cost a request, above an aiohttp server that only echoes?

Both on uvloop, both asked the same bytes by the same clients in alternating rounds. The figure is
the CPU of the one process (without zygotes, workers and PostgreSQL), so it is what keys, limits,
debit, pipes, records and metrics add to reading a body and writing one.
"""

import argparse
import asyncio
import statistics
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from bench import corpus, cpu
from bench.load import Client, Kind, closed_loop
from bench.service import Service, running_service

ECHO = """
async def answer(request):
    return web.Response(body=await request.read())
"""
BARE = """
import sys, uvloop
from aiohttp import web
{answer}
async def main():
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/{{tail:.*}}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(runner.addresses[0][1], flush=True)
    import asyncio
    await asyncio.Event().wait()
uvloop.run(main())
"""


@asynccontextmanager
async def serving(answer: str) -> AsyncIterator[Service]:
    """A bare server, in a process of its own. `answer` is the source of its one handler."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BARE.format(answer=answer)), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield Service(url=f"http://127.0.0.1:{port}", key="", pid=process.pid)
    finally:
        process.terminate()
        await process.wait()


async def measure(rounds: int, seconds: float) -> None:
    """Print a row for each size."""
    sizes = {
        "10 KB PNG": Kind("", "/v1/convert/png/jpeg", corpus.png(64, 48)),
        "4 MB JPEG": Kind("", "/v1/convert/jpeg/jpeg?width=64", corpus.jpeg_12mp()),
    }
    async with (
        running_service() as service,
        serving(ECHO) as echo,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        print(f"{'upload':10} {'bytes':>8} {'gateway':>9} {'echo':>9} {'difference':>11}   CPU ms")
        for name, kind in sizes.items():
            used: dict[Service, list[float]] = {service: [], echo: []}
            for _ in range(rounds):
                for server, figures in used.items():
                    send = Client(server, session, kind).send
                    await closed_loop(send, 2, 0.3)
                    before = cpu.own_cpu_s(server.pid)
                    shots = await closed_loop(send, 2, seconds)
                    good = sum(shot.status == 200 for shot in shots)
                    figures.append(1000 * (cpu.own_cpu_s(server.pid) - before) / max(good, 1))
            gateway, bare = (statistics.median(used[server]) for server in (service, echo))
            print(
                f"{name:10} {len(kind.body):8} {gateway:9.2f} {bare:9.2f} {gateway - bare:11.2f}",
                flush=True,
            )


def main(argv: list[str]) -> None:
    """`python -m bench echo [--rounds 3] [--seconds 3]`."""
    parser = argparse.ArgumentParser(prog="python -m bench echo", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args(argv)
    asyncio.run(measure(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
