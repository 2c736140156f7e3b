"""What does the gateway itself cost a request, above an aiohttp server that only echoes?

All on uvloop, all asked the same bytes by the same clients in alternating rounds. The figure is
the CPU of the one process (without zygotes, workers and PostgreSQL), so it is what keys, limits,
debit, pipes, records and metrics add to reading a body and writing one. A third server echoes as
well, and takes a credit for it from the same ledger, nothing else: what no gateway that charges
before it answers can do without.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bench import corpus, cpu
from bench.ledger import open_accounts
from bench.load import Client, Kind, closed_loop
from bench.service import Service, running_service
from ledger.embedded import EmbeddedPostgres
from ledger.migrate import migrate

ECHO = """
async def answer(request):
    return web.Response(body=await request.read())
"""
PAID = """
from ledger.conversion_id import new_conversion_id
async def answer(request):
    body = await request.read()
    async with ledger.debit(account_id, 1, conversion_id=new_conversion_id()):
        response = web.Response(body=body)
        await response.prepare(request)
        await response.write_eof()
    return response
async def prepare(dsn, account):
    global ledger, account_id, kept
    from ledger.ledger import Ledger
    from ledger.settings import LedgerSettings
    account_id = int(account)
    kept = Ledger.connect(LedgerSettings(dsn=dsn, pepper=bytes(32)))
    ledger = await kept.__aenter__()
"""
BARE = """
import sys, uvloop
from aiohttp import web
{answer}
async def main():
    if sys.argv[1:]:
        await prepare(*sys.argv[1:])
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
async def serving(answer: str, *arguments: str) -> AsyncIterator[Service]:
    """A bare server, in a process of its own. `answer` is the source of its one handler.

    With arguments, its `prepare` gets them first.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", BARE.format(answer=answer), *arguments),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    port = int(await process.stdout.readline())
    try:
        yield Service(url=f"http://127.0.0.1:{port}", key="", pid=process.pid)
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def paid() -> AsyncIterator[Service]:
    """A bare server that takes a credit for each request, with a durable database of its own."""
    with tempfile.TemporaryDirectory(prefix="eph-bench-") as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 (the database's account passes through)
        async with EmbeddedPostgres(Path(folder) / "home") as postgres:
            await migrate(postgres.dsn)
            (account_id,) = await open_accounts(postgres.dsn, 1)
            async with serving(PAID, postgres.dsn, str(account_id)) as server:
                yield server


async def measure(rounds: int, seconds: float) -> None:
    """Print a row for each size."""
    sizes = {
        "10 KB PNG": Kind("", "/v1/convert/png/jpeg", corpus.png(64, 48)),
        "4 MB JPEG": Kind("", "/v1/convert/jpeg/jpeg?width=64", corpus.jpeg_12mp()),
    }
    async with (
        running_service() as service,
        serving(ECHO) as echo,
        paid() as charging,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        print("CPU ms a request, of the one process")
        print(
            f"{'upload':10} {'bytes':>8} {'gateway':>9} {'echo':>9} {'above':>9} {'paid echo':>10}"
        )
        for name, kind in sizes.items():
            used: dict[Service, list[float]] = {service: [], echo: [], charging: []}
            for _ in range(rounds):
                for server, figures in used.items():
                    send = Client(server, session, kind).send
                    await closed_loop(send, 2, 0.3)
                    before = cpu.own_cpu_s(server.pid)
                    shots = await closed_loop(send, 2, seconds)
                    good = sum(shot.status == 200 for shot in shots)
                    figures.append(1000 * (cpu.own_cpu_s(server.pid) - before) / max(good, 1))
            gateway, bare, charged = (statistics.median(figures) for figures in used.values())
            print(
                f"{name:10} {len(kind.body):8} {gateway:9.2f} {bare:9.2f} {gateway - bare:9.2f}"
                f" {charged:10.2f}",
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
