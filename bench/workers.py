"""What does a process of its own cost a conversion, against a worker that is used again?

The same engine, sandbox and converters twice in one run, once with single-use workers and once
with workers that are never replaced, in alternating rounds; and once in an interpreter that is
started for each conversion. At saturation (more clients than
slots) the ratio of throughputs is what single use costs; with one client and idle gaps, the ratio
of latencies is what a customer notices of it.
"""

import asyncio
import os
import resource
import statistics
import struct
import sys
import time

import msgspec
import uvloop

from bench import corpus, cpu
from engine.engine import Engine, EngineConfig
from engine.job import Bounds, TaskRequest

FOR_EVER = 1_000_000_000


class Task(msgspec.Struct, frozen=True):
    """One kind of job."""

    name: str
    source: str
    target: str
    options: dict[str, str]
    body: bytes
    # Conversions a round, so that a round takes about a second.
    count: int


def tasks() -> list[Task]:
    """From the fixed cost alone to a job that hides it."""
    return [
        Task("64 px PNG to JPEG", "png", "jpeg", {}, corpus.png_64px(), 200),
        Task("1 MP JPEG to 400 px", "jpeg", "jpeg", {"width": "400"}, corpus.jpeg_1mp(), 60),
        Task("12 MP JPEG to 800 px", "jpeg", "jpeg", {"width": "800"}, corpus.jpeg_12mp(), 24),
        Task("12 MP JPEG to 800 px WebP", "jpeg", "webp", {"width": "800"}, corpus.jpeg_12mp(), 20),
    ]


async def saturate(engine: Engine, task: Task, clients: int) -> tuple[float, float]:
    """`task.count` conversions by `clients` at once: (seconds, CPU seconds), a conversion."""
    left = iter(range(task.count))
    me = os.getpid()
    cpu_before, begun = cpu.cpu_s(me), time.perf_counter()

    async def client() -> None:
        for _ in left:
            await engine.convert(engine.plan(task.source, task.target, task.options, [task.body]))

    await asyncio.gather(*(client() for _ in range(clients)))
    wall = time.perf_counter() - begun
    return wall / task.count, (cpu.cpu_s(me) - cpu_before) / task.count


async def trickle(engine: Engine, task: Task, count: int) -> float:
    """Median seconds of a conversion when the machine has time between two."""
    took = []
    for _ in range(count):
        await asyncio.sleep(0.02)
        begun = time.perf_counter()
        await engine.convert(engine.plan(task.source, task.target, task.options, [task.body]))
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def spawn(task: Task, count: int) -> float:
    """CPU seconds of a conversion in an interpreter of its own, started for it, unsandboxed."""
    job = Engine.plan(task.source, task.target, task.options, [task.body])
    header = msgspec.msgpack.encode(
        TaskRequest(
            converter=job.converter,
            sources=job.sources,
            target=job.target,
            options=msgspec.to_builtins(job.options),
            bounds=Bounds(),
        )
    )
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(count):
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            "bench.one_shot",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await child.communicate(struct.pack("<I", len(header)) + header + task.body)
        assert child.returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / count


async def compare(rounds: int) -> None:
    """Print one row a task."""
    single = await Engine.start(EngineConfig())
    reused = await Engine.start(EngineConfig(uses=FOR_EVER))
    slots = single.status().slots
    print(
        f"{slots} slots, {2 * slots} clients, {rounds} alternating rounds; "
        "throughput and CPU at saturation, latency when idle\n"
    )
    print(
        f"{'job':28} {'single/s':>9} {'reused/s':>9} {'ratio':>6}   "
        f"{'CPU ms':>7} {'reused':>7} {'fixed':>6} {'ratio':>6} {'spawned':>8}   "
        f"{'idle ms':>8} {'reused':>7} {'ratio':>6}"
    )
    for task in tasks():
        walls: dict[Engine, list[float]] = {single: [], reused: []}
        cpus: dict[Engine, list[float]] = {single: [], reused: []}
        idles: dict[Engine, list[float]] = {single: [], reused: []}
        for _ in range(rounds):
            for engine in (single, reused):
                wall, cpu_each = await saturate(engine, task, 2 * slots)
                walls[engine].append(wall)
                cpus[engine].append(cpu_each)
                idles[engine].append(await trickle(engine, task, 5))
        wall = {engine: statistics.median(walls[engine]) for engine in walls}
        used = {engine: 1000 * statistics.median(cpus[engine]) for engine in cpus}
        spawned = 1000 * await spawn(task, 5)
        idle = {engine: 1000 * statistics.median(idles[engine]) for engine in idles}
        print(
            f"{task.name:28} {1 / wall[single]:9.1f} {1 / wall[reused]:9.1f} "
            f"{wall[reused] / wall[single]:6.2f}   {used[single]:7.2f} {used[reused]:7.2f} "
            f"{used[single] - used[reused]:6.2f} {used[reused] / used[single]:6.2f} "
            f"{spawned:8.2f}   {idle[single]:8.2f} {idle[reused]:7.2f} "
            f"{idle[single] / idle[reused]:6.2f}",
            flush=True,
        )
    await single.close()
    await reused.close()


def main(argv: list[str]) -> None:
    """`python -m bench workers [ROUNDS]`."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(compare(int(argv[0]) if argv else 7))


if __name__ == "__main__":
    main(sys.argv[1:])
