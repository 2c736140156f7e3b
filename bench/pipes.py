"""Which pieces should cross the pipes, and what does passing a file on save against keeping it?

First the pipes alone: a confined worker that echoes, fed and read in pieces of each size, through
pipes of each capacity. Then the whole service, twice in alternating rounds: once so that uploads
pass into a worker while they arrive, once so that they are gathered first. The conversion is the
same (a bitmap into a bitmap), so the differences are the path's. Ratios: passed on over gathered.
"""

import argparse
import asyncio
import io
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import uvloop
from PIL import Image

from bench import cpu
from bench.load import Client, Kind, closed_loop
from bench.service import Service, running_service
from sandbox.host import pipes
from sandbox.host.forkserver import Forkserver
from sandbox.limits import MIB, Limits
from sandbox.spec import ZygoteSpec

KIB = 1024
SIZES = {"10 KB": 10 * KIB, "1 MB": MIB, "20 MB": 20 * MIB}
PIECES = {"16 KiB": 16 * KIB, "64 KiB": 64 * KIB, "256 KiB": 256 * KIB, "1 MiB": MIB}
CAPACITIES = {"64 KiB": 64 * KIB, "256 KiB": 256 * KIB, "1 MiB": MIB}
# Larger than any upload here.
GATHER_ALL = {"EPHEMERA__UPLOAD__STREAM_OVER_BYTES": str(10**9)}
PASS_ALL = {"EPHEMERA__UPLOAD__STREAM_OVER_BYTES": "0"}


@asynccontextmanager
async def echoing() -> AsyncIterator[Forkserver]:
    """A zygote whose workers echo."""
    spec = ZygoteSpec(
        family="echo",
        preload=(),
        entry="bench.pipe_echo:handle",
        warm="bench.pipe_echo:warm",
        touch="bench.pipe_echo:touch",
        limits=Limits(),
        level="strict",
    )
    server = await Forkserver.start(spec)
    try:
        yield server
    finally:
        await server.close()


async def echo(server: Forkserver, payload: bytes, piece: int) -> tuple[float, float]:
    """Seconds and CPU seconds of this process for one payload, there and back."""
    worker = await server.spawn()
    view, room = memoryview(payload), memoryview(bytearray(piece))
    begun, before = time.perf_counter(), time.process_time()
    worker.open(b"echo", [len(payload)])
    for start in range(0, len(payload), piece):
        await worker.feed(view[start : start + piece])
    worker.end()
    (size,) = (await worker.go(deadline_s=60, output_bytes_max=len(payload))).sizes
    for start in range(0, size, piece):
        await worker.read(room[: size - start])
    took = time.perf_counter() - begun, time.process_time() - before
    worker.release()
    return took


async def measure_pipes(rounds: int) -> None:
    """Print a row for each capacity and size of pieces."""
    print("pipes alone, there and back: ms and this process's CPU ms, medians")
    print(f"{'capacity':>9} {'pieces':>8} " + " ".join(f"{name:>16}" for name in SIZES))
    async with echoing() as server:
        for capacity, capacity_bytes in CAPACITIES.items():
            pipes._PIPE_BYTES = capacity_bytes  # noqa: SLF001 - what is measured
            for piece, piece_bytes in PIECES.items():
                cells = []
                for size in SIZES.values():
                    shots = [await echo(server, bytes(size), piece_bytes) for _ in range(rounds)]
                    wall, used = (
                        1000 * statistics.median(shot[column] for shot in shots)
                        for column in (0, 1)
                    )
                    cells.append(f"{wall:8.2f} {used:7.2f}")
                print(f"{capacity:>9} {piece:>8} " + " ".join(cells), flush=True)


def peak_mib(pid: int) -> float:
    """The most memory the process ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / KIB


def forget_peak(pid: int) -> None:
    """Begin to count the peak anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def bitmap(size: int) -> bytes:
    """A bitmap of about so many bytes."""
    width = 32 if size < MIB else 1024
    file = io.BytesIO()
    Image.effect_noise((width, size // (3 * width)), 80).convert("RGB").save(file, "BMP")
    return file.getvalue()


async def measure_service(rounds: int, seconds: float) -> None:
    """Print a row for each size: passed on, gathered, and their ratio."""
    print("\nthe service: ms a request, gateway's CPU ms, gateway's peak MiB; 4 clients")
    names = [f"{what:>9} {'gathered':>9} {'ratio':>6}" for what in ("ms", "CPU ms", "peak MiB")]
    print(f"{'upload':>8} " + "   ".join(names))
    async with (
        running_service(settings=PASS_ALL) as passing,
        running_service(settings=GATHER_ALL) as gathering,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session,
    ):
        for name, size in SIZES.items():
            kind = Kind("", "/v1/convert/bmp/bmp", bitmap(size))
            rows: dict[int, list[tuple[float, float, float]]] = {}
            for _ in range(rounds):
                for service in (passing, gathering):
                    rows.setdefault(service.pid, []).append(
                        await load(service, session, kind, seconds)
                    )
            cells = []
            for column in range(3):
                a, b = (
                    statistics.median(row[column] for row in rows[service.pid])
                    for service in (passing, gathering)
                )
                cells.append(f"{a:9.2f} {b:9.2f} {a / b:6.2f}")
            print(f"{name:>8} " + "   ".join(cells), flush=True)


async def load(
    service: Service, session: aiohttp.ClientSession, kind: Kind, seconds: float
) -> tuple[float, float, float]:
    """Milliseconds, CPU milliseconds and the peak of one service."""
    send = Client(service, session, kind).send
    await closed_loop(send, 4, 0.3)
    forget_peak(service.pid)
    before = cpu.own_cpu_s(service.pid)
    shots = await closed_loop(send, 4, seconds)
    used = cpu.own_cpu_s(service.pid) - before
    good = [shot.seconds for shot in shots if shot.status == 200]
    return (
        1000 * statistics.median(good),
        1000 * used / len(good),
        peak_mib(service.pid),
    )


def main(argv: list[str]) -> None:
    """`python -m bench pipes [--rounds 5] [--seconds 3]`."""
    parser = argparse.ArgumentParser(prog="python -m bench pipes", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    arguments = parser.parse_args(argv)
    print(f"{os.cpu_count()} cores")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(measure_pipes(arguments.rounds))
        runner.run(measure_service(arguments.rounds, arguments.seconds))


if __name__ == "__main__":
    main(sys.argv[1:])
