"""The limit: the same libraries called in a loop in one process, without any service around them.

`libraries` calls the codecs themselves, as shortly as they can be called for the same result;
`converter` calls our converter of the row, which checks, bounds and keeps what a file holds. The
first is what the codecs cost, the second less the first what our care costs, and the service less
the second what a process of its own, its confinement, HTTP and the ledger cost.

Runs as a process of its own: a line of JSON in, a line of JSON out, for each turn.
"""

import csv
import importlib
import io
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import img2pdf
import msgspec
import pi_heif
import pikepdf
import pypandoc
import pypdfium2
import python_calamine
import typst
from cykooz_resizer import FilterType, ResizeAlg, ResizeOptions, Resizer
from PIL import Image, ImageFile

from bench.peers.inputs import Corpus
from bench.peers.measured import Spent, Turn
from bench.peers.rows import DPI, QUALITY, ROWS, Row
from engine import planning, task
from engine.errors import EngineError
from engine.job import Bounds, TaskReply, TaskRequest
from engine.registry import by_name, family_of

# Quick and hardly larger for print: what our PNG writer and pdfium's callers settle on.
_PNG_LEVEL = 6
_BIT_RATE = 192_000
# These start what their zygote prepared inside the jail, and cannot be called like this.
_NOT_HERE = frozenset({"document", "office", "browser"})


def libraries(row: Row, files: list[bytes]) -> bytes:
    """The row's codecs, called as shortly as possible."""
    special: dict[str, Callable[[list[bytes]], bytes]] = {
        "gif": _animation,
        "page": _page,
        "merge": _merge,
        "compress": _compress,
        "bind": lambda many: bytes(img2pdf.convert(many)),
        "markdown": _markdown,
        "xlsx": _sheet,
        "mp3": _sound,
    }
    if row.name in special:
        return special[row.name](files)
    if row.is_picture or row.is_batch:
        made = [_picture(row, file) for file in files]
        return b"".join(made)
    raise NotImplementedError("no library of it can be called in this process")


def _picture(row: Row, file: bytes) -> bytes:
    picture = Image.open(io.BytesIO(file))
    if row.width:
        picture.draft("RGB", (2 * row.width, 2 * row.width * picture.height // picture.width))
    picture.load()
    if row.width:
        size = (row.width, round(picture.height * row.width / picture.width))
        smaller = Image.new(picture.mode, size)
        way = ResizeOptions(ResizeAlg.convolution(FilterType.lanczos3))
        Resizer().resize_pil(picture, smaller, way)
        picture = smaller
    return _saved(picture, row.target)


def _saved(picture: Image.Image, target: str) -> bytes:
    out = io.BytesIO()
    if target == "jpeg":
        ImageFile.MAXBLOCK = max(65_536, picture.width * picture.height * 4)
        picture.save(out, "JPEG", quality=QUALITY, optimize=True)
    else:
        picture.save(out, target.upper(), quality=QUALITY, method=4)
    return out.getvalue()


def _animation(files: list[bytes]) -> bytes:
    out = io.BytesIO()
    with Image.open(io.BytesIO(files[0])) as film:
        film.save(out, "WEBP", save_all=True, quality=QUALITY, method=4)
    return out.getvalue()


def _page(files: list[bytes]) -> bytes:
    out = io.BytesIO()
    with pypdfium2.PdfDocument(files[0]) as document:
        picture = document[0].render(scale=DPI / 72).to_pil()
        picture.save(out, "PNG", compress_level=_PNG_LEVEL)
    return out.getvalue()


def _merge(files: list[bytes]) -> bytes:
    out = io.BytesIO()
    with pikepdf.Pdf.new() as whole:
        for file in files:
            with pikepdf.Pdf.open(io.BytesIO(file)) as part:
                whole.pages.extend(part.pages)
        whole.save(out)
    return out.getvalue()


def _compress(files: list[bytes]) -> bytes:
    out = io.BytesIO()
    pikepdf.settings.set_flate_compression_level(9)
    with pikepdf.Pdf.open(io.BytesIO(files[0])) as document:
        document.remove_unreferenced_resources()
        document.save(
            out,
            object_stream_mode=pikepdf.ObjectStreamMode.generate,
            stream_decode_level=pikepdf.StreamDecodeLevel.generalized,
            recompress_flate=True,
        )
    return out.getvalue()


def _markdown(files: list[bytes]) -> bytes:
    command = [pypandoc.get_pandoc_path(), "-f", "markdown", "-t", "typst", "--standalone"]
    text = subprocess.run(command, input=files[0], capture_output=True, check=True).stdout
    return bytes(typst.compile(text))


def _sheet(files: list[bytes]) -> bytes:
    book = python_calamine.load_workbook(io.BytesIO(files[0]))
    out = io.StringIO()
    csv.writer(out).writerows(book.get_sheet_by_index(0).to_python())
    return out.getvalue().encode()


def _sound(files: list[bytes]) -> bytes:
    # Ahead of av, as in the family's zygote: it brings the LAME that is compiled for speed.
    importlib.import_module("engine.converters.media.lame")
    av = importlib.import_module("av")
    out = io.BytesIO()
    with av.open(io.BytesIO(files[0])) as source, av.open(out, "w", format="mp3") as sink:
        heard = source.streams.audio[0]
        coded = sink.add_stream("libmp3lame", rate=heard.rate, layout="stereo")
        coded.bit_rate = _BIT_RATE
        for frame in source.decode(heard):
            sink.mux(coded.encode(frame))
        sink.mux(coded.encode(None))
    return out.getvalue()


class Converter:
    """Our converter of a row, as a worker calls it, in this process."""

    def __init__(self, row: Row, files: list[bytes]) -> None:
        uploads = files[:1] if row.is_batch else files
        job = planning.plan(row.source, row.target, row.options, uploads)
        family = family_of(by_name(job.converter))
        if family.name in _NOT_HERE:
            raise NotImplementedError(f"the {family.name} family needs what its zygote prepares")
        for module in family.preload:
            importlib.import_module(module)
        self._files = files
        self._each = row.is_batch
        self._header = msgspec.msgpack.encode(
            TaskRequest(
                converter=job.converter,
                sources=job.sources,
                target=job.target,
                options=msgspec.to_builtins(job.options),
                bounds=Bounds(),
            )
        )

    def __call__(self) -> bytes:
        """Convert once. Raises RuntimeError with what the worker would have answered."""
        if self._each:
            return b"".join(self._one([file]) for file in self._files)
        return self._one(self._files)

    def _one(self, uploads: list[bytes]) -> bytes:
        told, files = task.handle(self._header, list(uploads))
        reply = msgspec.msgpack.decode(told, type=TaskReply)
        if reply.error:
            raise RuntimeError(f"{reply.error}: {reply.detail}")
        return bytes(files[0])


def way(turn: Turn, corpus: Corpus) -> Callable[[], bytes]:
    """The call that is repeated. Raises NotImplementedError, EngineError."""
    row = next(row for row in ROWS if row.name == turn.row)
    files = [corpus.bytes(name) for name in row.files]
    if turn.how == "converter":
        return Converter(row, files)
    return lambda: libraries(row, files)


def spend(turn: Turn, corpus: Corpus) -> Spent:
    """Once to warm up, then for so long and at least once; results are per row, not per file."""
    try:
        call = way(turn, corpus)
        made = call()
    except (NotImplementedError, RuntimeError, EngineError, OSError) as error:
        return Spent(error=str(error) or type(error).__name__)
    count, before, end = 0, _cpu_s(), time.perf_counter() + turn.seconds
    while not count or time.perf_counter() < end:
        call()
        count += 1
    return Spent(count=count, cpu_s=_cpu_s() - before, output_bytes=len(made))


def _cpu_s() -> float:
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def main() -> None:
    """Take turns until standard input ends."""
    pi_heif.register_heif_opener()
    corpus = Corpus(Path(sys.argv[1]))
    for line in sys.stdin:
        turn = msgspec.json.decode(line, type=Turn)
        print(msgspec.json.encode(spend(turn, corpus)).decode(), flush=True)


if __name__ == "__main__":
    main()
