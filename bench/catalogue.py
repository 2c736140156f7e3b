"""What does each of the most requested conversions cost: CPU, time and memory of its worker?

Every pair runs through the pool that serves customers, in single-use sandboxed workers, one at a
time. CPU is the worker's own for the conversion, and in all: with its fork, its confinement and the
tiny conversion that warmed it. Peak memory is what the kernel counted for the worker when it ended,
the pages that it shares with its zygote included; what it had beyond the zygote stands beside it.
Medians of several conversions.
"""

import argparse
import asyncio
import itertools
import logging
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
import structlog
import uvloop

from bench import catalogue_inputs as made
from bench import corpus
from engine import errors, families, passage, planning, registry
from engine.config import EngineConfig
from engine.line import Line
from engine.pool import Pool
from sandbox.host.verdict import WorkerExit
from sandbox.host.worker import Worker

_MIB = 1024 * 1024
_KIB = 1024
_END_S = 30.0
_ASKER = passage.Asker(account="", weight=1.0, owner=None)


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion that people ask for."""

    name: str
    source: str
    target: str
    make: Callable[[], bytes]
    options: dict[str, str] = {}
    # More than one where several files become one.
    count: int = 1


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one conversion took."""

    output_bytes: int
    cpu_s: float
    wall_s: float
    end: WorkerExit
    zygote_bytes: int


def pairs() -> list[Pair]:
    """The most requested, by family so that one zygote is there at a time."""
    return [
        _pair("12 MP JPEG to WebP, 1600 px", "jpeg", "webp", corpus.jpeg_12mp, width="1600"),
        _pair("12 MP JPEG to WebP", "jpeg", "webp", corpus.jpeg_12mp),
        _pair("12 MP JPEG to JPEG, 800 px", "jpeg", "jpeg", corpus.jpeg_12mp, width="800"),
        _pair("2 MP PNG to JPEG", "png", "jpeg", lambda: corpus.png(1920, 1080)),
        _pair("2 MP PNG to WebP", "png", "webp", lambda: corpus.png(1920, 1080)),
        _pair("2 MP JPEG to PNG", "jpeg", "png", lambda: corpus.jpeg(1920, 1080)),
        _pair("2 MP JPEG to AVIF", "jpeg", "avif", lambda: corpus.jpeg(1920, 1080)),
        _pair("12 MP HEIC to JPEG", "heic", "jpeg", made.heic),
        _pair("SVG of 300 shapes to PNG", "svg", "png", made.svg),
        _pair("10 pages of PDF to JPEG", "pdf", "jpeg", made.pdf),
        _pair("one page of PDF to PNG", "pdf", "png", made.pdf_page),
        _pair("12 MP JPEG to PDF", "jpeg", "pdf", corpus.jpeg_12mp),
        _pair("10 pages of PDF to text", "pdf", "txt", made.pdf),
        _pair("10 pages of PDF to Word", "pdf", "docx", made.pdf),
        _pair("tables of 10 pages to Excel", "pdf", "xlsx", made.pdf, operation="tables"),
        _pair("10 PDFs of 10 pages merged", "pdf", "pdf", made.pdf, 10, operation="merge"),
        _pair("10 pages of PDF compressed", "pdf", "pdf", made.pdf, operation="compress"),
        _pair(
            "10 pages of PDF protected",
            "pdf",
            "pdf",
            made.pdf,
            operation="protect",
            user_password="open",  # noqa: S106  # of a file made here
        ),
        _pair(
            "10 pages of PDF redacted",
            "pdf",
            "pdf",
            made.pdf,
            operation="redact",
            words='["the"]',
        ),
        _pair("12 MP JPEG into a ZIP", "jpeg", "zip", corpus.jpeg_12mp),
        _pair("scanned page to searchable PDF", "png", "pdf", made.scan, operation="searchable"),
        _pair("50,000 cells, Excel to CSV", "xlsx", "csv", made.xlsx),
        _pair("50,000 cells, CSV to Excel", "csv", "xlsx", made.table),
        _pair("50,000 cells, CSV to JSON", "csv", "json", made.table),
        _pair("50,000 cells, CSV to Parquet", "csv", "parquet", made.table),
        _pair("bill, HTML to PDF", "html", "pdf", made.html, operation="print"),
        _pair("bill, HTML to PNG", "html", "png", made.html),
        _pair("10 pages, Word to PDF", "docx", "pdf", made.docx, operation="pdf"),
        _pair("10 pages, old Word to PDF", "doc", "pdf", made.doc),
        _pair("10 slides, PowerPoint to PDF", "pptx", "pdf", made.pptx),
        _pair("2,000 cells, Excel to PDF", "xlsx", "pdf", made.xlsx_printed),
        _pair("10 pages, Markdown to PDF", "md", "pdf", made.markdown),
        _pair("10 pages, Markdown to Word", "md", "docx", made.markdown),
        _pair("10 pages, Word to HTML", "docx", "html", made.docx, operation="restructure"),
        _pair("10 pages, EPUB to PDF", "epub", "pdf", made.epub),
        _pair("30 s of WAV to MP3", "wav", "mp3", made.wav),
        _pair("10 s film, MP4 to MP3", "mp4", "mp3", made.film),
        _pair("10 s film, MOV to MP4", "mov", "mp4", lambda: made.film("mov")),
        _pair("10 s film, MP4 to GIF", "mp4", "gif", made.film),
        _pair("10 s film, MP4 720p to WebM", "mp4", "webm", made.film),
    ]


def _pair(
    name: str, source: str, target: str, make: Callable[[], bytes], count: int = 1, **options: str
) -> Pair:
    return Pair(name=name, source=source, target=target, make=make, options=options, count=count)


async def measure(pair: Pair, pool: Pool, rounds: int) -> list[Cost]:
    """Convert so often, one after the other. Raises EngineError, Absent."""
    body = pair.make()
    return [await _once(pair, body, pool) for _ in range(rounds)]


async def _once(pair: Pair, body: bytes, pool: Pool) -> Cost:
    job = planning.plan(pair.source, pair.target, pair.options, [body] * pair.count)
    bounds = registry.family_of(registry.by_name(job.converter)).bounds
    header, ceilings = passage.header(job, bounds), [len(upload) for upload in job.inputs]
    with passage.failures(pool, job):
        async with pool.exchange(header, ceilings, job.inputs[0]) as held:
            begun_s = time.perf_counter()
            through = passage.Passage(job, _ASKER, pool, held)
            for upload in job.inputs[1:]:
                through.end()
                await through.feed(upload)
            through.end()
            output = await (await through.go(asyncio.get_running_loop().time())).whole()
            wall_s = time.perf_counter() - begun_s
            zygote_bytes = resident(held.zygote.source.pid)
    assert isinstance(held.worker, Worker)
    async with asyncio.timeout(_END_S):
        end = await held.worker.ended()
    return Cost(
        output_bytes=sum(len(file) for file in output.files),
        cpu_s=output.cpu_s,
        wall_s=wall_s,
        end=end,
        zygote_bytes=zygote_bytes,
    )


def resident(pid: int) -> int:
    """The bytes that a process has in memory now."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
    return int(found.split()[1]) * _KIB


async def table(chosen: Iterable[Pair], rounds: int) -> int:
    """Print a row a pair, as they are measured; the number of those that failed."""
    print(
        f"{'conversion':32} {'converter':20} {'in KiB':>8} {'out KiB':>8} {'CPU ms':>8}"
        f" {'in all':>8} {'wall ms':>8} {'peak MiB':>8} {'own MiB':>8}"
    )
    config, failed = EngineConfig(slots=1, spares=1, started=()), 0
    for family, group in itertools.groupby(chosen, key=_family):
        if family is None:
            for pair in group:
                print(f"{pair.name:32} left out: nothing that is installed converts it")
            continue
        line = Line(slots=1, waiting_max=config.waiting_max, wait_max_s=config.wait_max_s)
        pool = families.pools(config, line)[family]
        try:
            for pair in group:
                failed += await _row(pair, pool, rounds)
        finally:
            await pool.close()
    return failed


def _family(pair: Pair) -> str | None:
    try:
        return _converter(pair).family
    except errors.EngineError:
        return None


def _converter(pair: Pair) -> registry.Converter:
    return registry.converter_for(
        pair.source, pair.target, pair.options.get("operation"), inputs=pair.count
    )


async def _row(pair: Pair, pool: Pool, rounds: int) -> bool:
    """Measure and print one row; True where the conversion failed."""
    try:
        costs = await measure(pair, pool, rounds)
    except made.Absent as missing:
        print(f"{pair.name:32} left out: {missing}, which makes the input, is not installed")
        return False
    except errors.EngineError as error:
        print(f"{pair.name:32} FAILED: {type(error).__name__}: {error}", flush=True)
        return True

    def middle(figure: Callable[[Cost], float]) -> float:
        return statistics.median(figure(cost) for cost in costs)

    print(
        f"{pair.name:32} {_converter(pair).name:20} {len(pair.make()) * pair.count / _KIB:8.0f}"
        f" {costs[0].output_bytes / _KIB:8.0f} {1000 * middle(lambda c: c.cpu_s):8.1f}"
        f" {1000 * middle(lambda c: c.end.cpu_s):8.1f} {1000 * middle(lambda c: c.wall_s):8.0f}"
        f" {middle(lambda c: c.end.max_rss_bytes) / _MIB:8.0f}"
        f" {middle(lambda c: c.end.max_rss_bytes - c.zygote_bytes) / _MIB:8.0f}",
        flush=True,
    )
    return False


def main(argv: list[str]) -> int:
    """Print the table; 1 where a conversion failed."""
    parser = argparse.ArgumentParser(prog="python -m bench catalogue")
    parser.add_argument("--rounds", type=int, default=3, help="conversions a row")
    parser.add_argument("--only", default="", help="rows whose name has this in it")
    options = parser.parse_args(argv)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    chosen = [pair for pair in pairs() if options.only.lower() in pair.name.lower()]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return int(runner.run(table(chosen, options.rounds)) > 0)
