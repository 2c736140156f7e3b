"""Do real office documents become the PDF that LibreOffice itself would print?

The documents are those that libraries keep in their source distributions: pip and npm fetch these
into a temporary directory. Each is converted by a worker in its sandbox, and by the `soffice` of
this machine with a profile and a disk. Judged are: is it converted, has it as many pages (poppler
counts), and, for the first page of each, how far the two pictures are apart (ImageMagick).

A document that `soffice` cannot convert either, or that is encrypted, is counted apart.
`--strace` traces one more conversion and lists every system call that could leave a trace of it.
"""

import argparse
import asyncio
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import msgspec

from engine.converters.office import settings
from engine.engine import Engine, EngineConfig
from engine.errors import EngineError, PasswordRequired

SDISTS = ("python-docx", "python-pptx", "pyexcel-xlsx", "tablib", "pyexcel", "odfpy")
NPM = ("mammoth", "officeparser", "docxtemplater")
KINDS = ("docx", "pptx", "xlsx")
FILES_MIN = 50
CONVERTED_MIN = 0.95
FILE_BYTES_MAX = 20 * 1024 * 1024
# Of one kind from one project, so that no project speaks for all.
EACH_MAX = 60
DPI = 50
# Root mean square of the differences of two first pages, 0 to 1. Text that is drawn twice by the
# same fonts differs by less; a line that breaks elsewhere by more.
ALIKE = 0.02
_ODD_LETTERS = re.compile(r"[^\w.-]")
# What would be a trace: written files, memory files, sockets, programs.
LEFT_A_TRACE = re.compile(
    r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|\b(creat|mkdir|rename|unlink|symlink|link|truncate|mknod)\w*\("
    r"|memfd_create|shmget|\bsocket\(AF_INET|\bconnect\(|\bexecve(at)?\("
)


class Row(msgspec.Struct):
    """What became of one document. Pages are 0 where there is no PDF."""

    name: str
    kind: str
    pages: int = 0
    pages_native: int = 0
    distance: float | None = None
    error: str = ""
    wall_s: float = 0.0
    cpu_s: float = 0.0


def main(argv: list[str]) -> int:
    """Fetch, convert, compare, print; 1 where too few are converted or a page count differs."""
    parser = argparse.ArgumentParser(prog="office_corpus", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep the corpus and both results here")
    parser.add_argument("--strace", action="store_true", help="trace a conversion as well")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        files = _corpus(folder)
        if len(files) < FILES_MIN:
            print(f"only {len(files)} documents could be fetched; {FILES_MIN} are needed")
            return 1
        rows = _convert_all(files, folder / "ours")
        _print_natively(files, folder / "native")
        _compare(rows, folder)
        failed = _report(rows)
        if options.strace:
            failed |= _trace(files[0], folder)
    return int(failed)


def _corpus(folder: Path) -> list[Path]:
    """The documents on disk, named after their projects."""
    target = folder / "corpus"
    if not target.is_dir():
        target.mkdir(parents=True)
        for archive in _fetched(folder / "archives"):
            for name, content in _documents(archive):
                (target / name).write_bytes(content)
    return sorted(target.iterdir())


def _fetched(folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:")
    for name in SDISTS:
        subprocess.run([*pip, "--dest", str(folder), name], check=False, capture_output=True)
    if npm := shutil.which("npm"):
        for name in NPM:
            subprocess.run([npm, "pack", "--silent", name], cwd=folder, check=False)
    return [path for path in sorted(folder.iterdir()) if path.name.endswith((".tar.gz", ".tgz"))]


def _documents(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of an archive's documents, the same ones once."""
    project = re.split(r"-\d", archive.name)[0]
    counts: Counter[str] = Counter()
    seen: set[bytes] = set()
    with tarfile.open(archive) as members:
        for member in members:
            path = PurePosixPath(member.name)
            kind = path.suffix.removeprefix(".").lower()
            if (
                kind not in KINDS
                or not 0 < member.size < FILE_BYTES_MAX
                or counts[kind] >= EACH_MAX
            ):
                continue
            file = members.extractfile(member)
            content = file.read() if file else b""
            if content and content not in seen:
                seen.add(content)
                counts[kind] += 1
                name = _ODD_LETTERS.sub("_", path.name)
                yield f"{project}-{counts[kind]:02}-{name}", content


def _convert_all(files: list[Path], target: Path) -> list[Row]:
    target.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_converted(files, target))


async def _converted(files: list[Path], target: Path) -> list[Row]:
    engine = await Engine.start(EngineConfig(slots=1, started=("office",)))
    try:
        return [await _convert(engine, path, target) for path in files]
    finally:
        await engine.close()


async def _convert(engine: Engine, path: Path, target: Path) -> Row:
    row = Row(path.name, path.suffix[1:].lower())
    began = time.monotonic()
    try:
        content = await asyncio.to_thread(path.read_bytes)
        output = await engine.convert(Engine.plan(row.kind, "pdf", {}, [content]))
    except PasswordRequired:
        row.error = "encrypted"
    except EngineError as error:
        row.error = f"{type(error).__name__}: {error}"
    else:
        row.cpu_s = output.cpu_s
        printed = target / f"{path.stem}.pdf"
        printed.write_bytes(output.files[0])
        row.pages = _pages(printed)
    row.wall_s = time.monotonic() - began
    return row


def _print_natively(files: list[Path], target: Path) -> None:
    """By LibreOffice as anybody starts it, with our fonts' stand-ins, so that only we differ."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        fonts = Path(home, "fonts.conf")
        fonts.write_text(settings.fonts())
        environment = os.environ | {"HOME": home, "FONTCONFIG_FILE": str(fonts)}
        command = ["soffice", "--headless", "--convert-to", "pdf", "--outdir", str(target)]
        left = [path for path in files if not (target / f"{path.stem}.pdf").exists()]
        while left:
            # One that ends LibreOffice takes those behind it along: they get another start.
            subprocess.run(
                [*command, *map(str, left)],
                env=environment,
                check=False,
                capture_output=True,
                timeout=1800,
            )
            still = [path for path in left if not (target / f"{path.stem}.pdf").exists()]
            left = still if len(still) < len(left) else still[1:]


def _pages(pdf: Path) -> int:
    if not pdf.exists():
        return 0
    told = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, check=False).stdout
    found = re.search(rb"Pages: +(\d+)", told)
    return int(found[1]) if found else 0


def _compare(rows: list[Row], folder: Path) -> None:
    for row in rows:
        ours, native = (folder / side / f"{Path(row.name).stem}.pdf" for side in ("ours", "native"))
        row.pages_native = _pages(native)
        if row.pages and row.pages_native:
            row.distance = _distance(ours, native)


def _distance(one: Path, other: Path) -> float:
    """How far apart the two first pages are: the root mean square, from 0 to 1."""
    for pdf in (one, other):
        first = ["pdftoppm", "-r", str(DPI), "-f", "1", "-l", "1", "-png", "-singlefile"]
        subprocess.run([*first, str(pdf), str(pdf.with_suffix(""))], check=True)
    pictures = [str(pdf.with_suffix(".png")) for pdf in (one, other)]
    told = subprocess.run(
        ["compare", "-metric", "RMSE", *pictures, "null:"], capture_output=True, check=False
    ).stderr.decode()
    found = re.search(r"\(([\d.e-]+)\)", told)
    return float(found[1]) if found else 1.0


def _report(rows: list[Row]) -> bool:
    """Print the table; True where the promise is not kept."""
    print(f"{'':6}{'files':>6}{'ours':>6}{'native':>8}{'same pages':>12}{'alike':>7}{'CPU s':>8}")
    for kind in KINDS:
        some = [row for row in rows if row.kind == kind]
        cpus = sorted(row.cpu_s for row in some if row.pages)
        print(
            f"{kind:6}{len(some):6}{_count(row.pages for row in some):6}"
            f"{_count(row.pages_native for row in some):8}"
            f"{_count(row.pages == row.pages_native > 0 for row in some):12}"
            f"{_count((row.distance or 0) < ALIKE and row.pages for row in some):7}"
            f"{cpus[len(cpus) // 2] if cpus else 0:8.2f}"
        )
    for row in rows:
        differs = row.pages != row.pages_native
        if row.error or differs or (row.distance or 0) >= ALIKE:
            distance = "-" if row.distance is None else f"{row.distance:.3f}"
            print(f"  {row.name}: {row.pages}/{row.pages_native} pages, {distance} {row.error}")
    convertible = [row for row in rows if row.error != "encrypted"]
    share = _count(row.pages for row in convertible) / len(convertible)
    unequal = _count(row.pages and row.pages_native != row.pages for row in convertible)
    print(f"converted {share:.1%} of {len(convertible)}; page counts that differ: {unequal}")
    return share < CONVERTED_MIN or unequal > 0


def _count(truths: Iterator[object]) -> int:
    return sum(map(bool, truths))


def _trace(document: Path, folder: Path) -> bool:
    """Run one conversion under strace; True where a worker did what would leave a trace."""
    log = folder / "trace"
    program = (
        "from pathlib import Path; from bench import office_corpus as bench;"
        f"bench._convert_all([Path({str(document)!r})], Path({str(folder / 'traced')!r}))"
    )
    subprocess.run(
        ["strace", "-f", "--successful-only", "-o", str(log), sys.executable, "-c", program],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    lines = _of_workers(log.read_text().splitlines())
    done = [line for line in lines if LEFT_A_TRACE.search(line) and "/dev/null" not in line]
    print(f"strace: of {len(lines)} calls of workers that were done, {len(done)} leave a trace")
    for line in done:
        print(f"  {line[:160]}")
    return bool(done)


def _of_workers(lines: list[str]) -> list[str]:
    """The calls of processes that loaded a worker's filter, and of their threads, from then on."""
    inside: set[str] = set()
    found = []
    for line in lines:
        process, _, call = line.partition(" ")
        call = call.strip()
        if process in inside:
            found.append(line)
            if (made := re.search(r"clone.*CLONE_THREAD.*= (\d+)", call)) is not None:
                inside.add(made[1])
        elif call.startswith("seccomp(SECCOMP_SET_MODE_FILTER"):
            inside.add(process)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
