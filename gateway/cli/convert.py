"""`ephemera convert`: one conversion in this process, in the same sandbox, with no server."""

import asyncio
import contextlib
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from engine import formats
from engine.engine import Engine
from engine.errors import FormatUnknown, OptionInvalid
from engine.job import Output
from gateway import downloads
from gateway.cli.terminal import CONFIGURED, Configured, Exit, complain, run
from gateway.config import EngineSection, Settings

PIPE = "-"
# Often enough to look alive, rarely enough to cost nothing.
PROGRESS_EVERY_S = 0.1


def convert(
    *paths: Annotated[
        str,
        Parameter(
            help="One or more inputs, then the output. `-` is a pipe.", allow_leading_hyphen=True
        ),
    ],
    from_: Annotated[
        str, Parameter(name="--from", help="The input's format. [looks at the bytes]")
    ] = "auto",
    to: Annotated[
        str | None, Parameter(help="The output's format. [the output's extension]")
    ] = None,
    option: Annotated[
        list[str] | None,
        Parameter(
            help="An option of the conversion, as name=value; may be given several times.",
            negative="",
        ),
    ] = None,
    quiet: Annotated[bool, Parameter(help="No progress, even on a terminal.", negative="")] = False,
    source: Configured = CONFIGURED,
) -> int:
    """Convert files here, in the same sandbox as the service, without a server and without credits.

    ephemera convert photo.jpg photo.webp --option width=800

    ephemera convert a.pdf b.pdf both.pdf

    cat photo.jpg | ephemera convert - - --to png > photo.png

    Exits 0 when it worked, 65 when the file or an option is refused, 66 when an input cannot be
    read, 69 when the sandbox is not to be had, 73 when the output cannot be written.
    """
    unknown = next((path for path in paths if path.startswith(PIPE) and path != PIPE), None)
    if unknown is not None:
        complain(f"there is no option {unknown}; for a file of that name write ./{unknown}")
        return Exit.USAGE
    *inputs, target_path = paths or ("",)
    if not inputs:
        complain("give at least one input and the output; `ephemera convert --help` has examples")
        return Exit.USAGE
    options = dict(_pair(text) for text in option or ())
    target = to or _target_of(target_path)
    try:
        uploads = [_read(path) for path in inputs]
    except OSError as error:
        complain(f"cannot read {error.filename}: {error.strerror}")
        return Exit.NO_INPUT
    settings = source.settings()
    names = [Path(path).name for path in inputs]
    output = run(_convert(settings, from_, target, options, uploads, names=names, quiet=quiet))
    for warning in output.warnings:
        complain(f"note: {warning}")
    try:
        _write(target_path, output)
    except OSError as error:
        complain(f"cannot write {target_path}: {error.strerror}")
        return Exit.NO_OUTPUT
    return Exit.OK


async def _convert(
    settings: Settings,
    source: str,
    target: str,
    options: dict[str, str],
    uploads: Sequence[bytes],
    *,
    names: Sequence[str],
    quiet: bool,
) -> Output:
    job = Engine.plan(source, target, options, uploads, names)
    # One conversion needs one slot, one worker and one family.
    config = EngineSection(
        slots=1, spares=1, started=(job.family,), isolation=settings.engine.isolation
    )
    async with _progress(f"{job.sources[0]} to {job.target}", quiet=quiet):
        engine = await Engine.start(config)
        try:
            return await engine.convert(job)
        finally:
            await engine.close()


@contextlib.asynccontextmanager
async def _progress(what: str, *, quiet: bool) -> AsyncIterator[None]:
    """A line that counts the seconds, on a terminal only."""
    if quiet or not sys.stderr.isatty():
        yield
        return

    async def count() -> None:
        started = time.monotonic()
        while True:
            print(f"\r{what} … {time.monotonic() - started:.1f} s", end="", file=sys.stderr)
            sys.stderr.flush()
            await asyncio.sleep(PROGRESS_EVERY_S)

    counting = asyncio.create_task(count())
    try:
        yield
    finally:
        counting.cancel()
        print("\r\x1b[K", end="", file=sys.stderr)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise OptionInvalid(f"--option takes name=value, not {text!r}")
    return name, value


def _target_of(path: str) -> str:
    extension = Path(path).suffix.removeprefix(".")
    if path == PIPE or not extension:
        raise FormatUnknown("the output's name has no extension; name its format with --to")
    return formats.find(extension).name


def _read(path: str) -> bytes:
    return sys.stdin.buffer.read() if path == PIPE else Path(path).read_bytes()


def _write(path: str, output: Output) -> None:
    pieces = list(output.files)
    if len(pieces) > 1:
        base = downloads.stem(None if path == PIPE else path)
        pieces = downloads.zipped(downloads.named(output, base))
    if path == PIPE:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()
    else:
        with Path(path).open("wb") as file:
            file.writelines(pieces)
