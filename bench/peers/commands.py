"""The peers that are programs: started for each request, as a shell script or a worker would.

They pay for no HTTP, no sandbox and no account, only for being started. Memory is that of the
largest process the kernel has reaped, as it counts.
"""

import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pypandoc

from bench.peers import fetching
from bench.peers.inputs import Corpus
from bench.peers.peer import Answer, Ask, proportional_bytes
from bench.peers.rows import DPI, QUALITY, Row

_FOLDER = "@FOLDER@"
# One soffice with a profile of its own takes seconds; ten at once on two cores, so much longer.
_RUN_S = 180
_MAGICK = ("magick", "convert-im6.q16", "convert")
_SMALLER = ("--object-streams=generate", "--recompress-flate", "--compression-level=9")


class Command:
    """A program's ways to do some of the rows."""

    def __init__(self, name: str, what: str, ways: Callable[[Row, Corpus], Sequence[Ask]]) -> None:
        self.name, self.what = name, what
        self._ways = ways
        self._running: set[int] = set()
        self._environment = dict(os.environ) | {"MAGICK_THREAD_LIMIT": "1"}

    def asks(self, row: Row, corpus: Corpus) -> Sequence[Ask]:
        """What it can do."""
        return self._ways(row, corpus)

    async def send(self, ask: Ask) -> Answer:
        """Run it in a folder of its own, input from the corpus, output by a pipe where it can."""
        with tempfile.TemporaryDirectory(prefix="peers-") as folder:
            begun = time.perf_counter()
            process = await asyncio.create_subprocess_exec(
                *(word.replace(_FOLDER, folder) for word in ask.command),
                cwd=folder,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
            self._running.add(process.pid)
            try:
                async with asyncio.timeout(_RUN_S):
                    out, said = await process.communicate()
            except TimeoutError:
                process.kill()
                return Answer(0, time.perf_counter() - begun, b"too slow")
            finally:
                self._running.discard(process.pid)
            if ask.result:
                out = await asyncio.to_thread(_written, Path(folder, ask.result))
            seconds = time.perf_counter() - begun
        good = process.returncode == 0 and out
        return Answer(200, seconds, out) if good else Answer(500, seconds, said[-200:])

    def cpu_s(self) -> float:
        """All that was reaped: while this peer is asked, nothing else of ours ends."""
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def memory_bytes(self) -> int:
        """Of those that run at this moment."""
        return sum(proportional_bytes(pid) for pid in list(self._running))


@asynccontextmanager
async def imagemagick(corpus: Corpus) -> AsyncIterator[Command]:
    """Raises Missing."""
    del corpus
    program = _found(*_MAGICK)

    def ways(row: Row, corpus: Corpus) -> Sequence[Ask]:
        if row.name == "bind":
            paths = (str(corpus.path(name)) for name in row.files)
            return [Ask(command=(program, *paths, "pdf:-"))]
        if not row.is_picture:
            return []
        coded = ["-sampling-factor", "4:2:0", "-quality", str(QUALITY)]
        scaled, hint = [], []
        if row.width:
            scaled = ["-filter", "Lanczos", "-resize", str(row.width)]
            hint = ["-define", f"jpeg:size={2 * row.width}x{2 * row.width}"]
        path = str(corpus.path(row.files[0]))
        return [Ask(command=(program, *hint, path, *scaled, *coded, f"{row.target}:-"))]

    yield Command("imagemagick", _version([program, "-version"]), ways)


@asynccontextmanager
async def qpdf(corpus: Corpus) -> AsyncIterator[Command]:
    """Raises Missing."""
    del corpus
    program = _found("qpdf")

    def ways(row: Row, corpus: Corpus) -> Sequence[Ask]:
        paths = [str(corpus.path(name)) for name in row.files]
        return {
            "merge": [Ask(command=(program, "--empty", "--pages", *paths, "--", "-"))],
            "compress": [Ask(command=(program, *_SMALLER, *paths, "-"))],
        }.get(row.name, [])

    yield Command("qpdf", _version([program, "--version"]), ways)


@asynccontextmanager
async def poppler(corpus: Corpus) -> AsyncIterator[Command]:
    """Raises Missing."""
    del corpus
    draw, unite = _found("pdftoppm"), _found("pdfunite")

    def ways(row: Row, corpus: Corpus) -> Sequence[Ask]:
        paths = [str(corpus.path(name)) for name in row.files]
        chosen = ("-png", "-r", str(DPI), "-singlefile")
        return {
            "page": [Ask(command=(draw, *chosen, *paths))],
            "merge": [Ask(command=(unite, *paths, "merged.pdf"), result="merged.pdf")],
        }.get(row.name, [])

    yield Command("poppler", _version([draw, "-v"]), ways)


@asynccontextmanager
async def pandoc(corpus: Corpus) -> AsyncIterator[Command]:
    """With weasyprint as its engine, which needs no TeX. Raises Missing."""
    del corpus
    engine = fetching.environment("weasyprint", fetching.WEASYPRINT, "weasyprint")
    program = pypandoc.get_pandoc_path()

    def ways(row: Row, corpus: Corpus) -> Sequence[Ask]:
        if row.name != "markdown":
            return []
        words = (f"--pdf-engine={engine}", "-o", "made.pdf", str(corpus.path(row.files[0])))
        return [Ask(command=(program, *words), result="made.pdf")]

    what = f"{_version([program, '--version'])} with {fetching.WEASYPRINT[0]}"
    yield Command("pandoc", what, ways)


@asynccontextmanager
async def soffice(corpus: Corpus) -> AsyncIterator[Command]:
    """A process and a profile a file: a profile cannot be shared. Raises Missing."""
    del corpus
    program = _found("soffice")

    def ways(row: Row, corpus: Corpus) -> Sequence[Ask]:
        if row.name not in {"docx", "xlsx"}:
            return []
        profile = f"-env:UserInstallation=file://{_FOLDER}/profile"
        words = ("--headless", "--convert-to", row.target, "--outdir", _FOLDER)
        name = Path(row.files[0])
        command = (program, profile, *words, str(corpus.path(row.files[0])))
        return [Ask(command=command, result=f"{name.stem}.{row.target}")]

    yield Command("soffice", f"{_version([program, '--version'])}, a process a file", ways)


@asynccontextmanager
async def ffmpeg(corpus: Corpus) -> AsyncIterator[Command]:
    """Raises Missing."""
    del corpus
    program = _found("ffmpeg")

    def ways(row: Row, corpus: Corpus) -> Sequence[Ask]:
        if row.name != "mp3":
            return []
        coded = ("-c:a", "libmp3lame", "-b:a", "192k", "-f", "mp3", "-")
        path = str(corpus.path(row.files[0]))
        return [Ask(command=(program, "-loglevel", "error", "-i", path, *coded))]

    yield Command("ffmpeg", _version([program, "-version"]), ways)


def _written(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _found(*names: str) -> str:
    for name in names:
        if path := shutil.which(name):
            return path
    raise fetching.Missing(f"{names[0]} is not installed")


def _version(command: Sequence[str]) -> str:
    told = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_RUN_S)
    lines = (told.stdout or told.stderr).splitlines()
    said = lines[0] if lines else command[0]
    return said.removeprefix("Version: ").split(" Copyright")[0].split(" https")[0].strip()


COMMANDS = {
    "imagemagick": imagemagick,
    "qpdf": qpdf,
    "poppler": poppler,
    "pandoc": pandoc,
    "soffice": soffice,
    "ffmpeg": ffmpeg,
}
