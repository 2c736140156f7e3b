"""typst itself: source in, pages out, its errors as ours.

A compiler is made in the zygote, since making one looks for its root on a disk. It knows the fonts
that are built into it and no others: typst opens a system's font when the first letter of it is
set, and a worker can open nothing. It must not compile there: the first compilation starts the
thread pool, and a process with threads cannot be forked.
"""

import os
import re
import time
from pathlib import Path
from typing import Any, Literal, cast

import typst

from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible

_EMPTY = Path(__file__).parent / "empty"
_LINE = re.compile(r"\.typ:(\d+):\d+")
# What the compiler's messages begin with, and what the customer is told.
_REASONS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("file not found", "failed to load file", "access denied", "failed to read"),
     "it names another file, and a conversion is one file"),
    (("failed to download package", "package", "cannot access file system"),
     "it needs a package, and nothing is loaded from a network"),
    (("maximum function call depth", "maximum show rule depth", "maximum layout depth",
      "maximum grouping depth", "infinite", "always true"),
     "it calls itself without end"),
)  # fmt: skip

_Target = Literal["pdf", "png", "svg"]

_compilers: list[typst.Compiler] = []


class BadPicture(Exception):
    """A picture cannot be decoded."""


class BrokenLink(Exception):
    """A link leads to a label that is not there, or there twice."""


def prepare() -> None:
    """Make the compiler, in the zygote."""
    # One thread: a slot is the right to use one core.
    os.environ["RAYON_NUM_THREADS"] = "1"
    fonts = typst.Fonts(include_system_fonts=False, include_embedded_fonts=True)
    _compilers.append(typst.Compiler(b"", root=str(_EMPTY), font_paths=fonts))


def compile_pages(
    source: str, *, target: str, inputs: dict[str, str], dpi: int, standard: str
) -> tuple[list[bytes], list[str]]:
    """One PDF, or a PNG or SVG a page; and warnings.

    Raises SourceUnreadable, SourceTooComplex, TargetImpossible, BadPicture, BrokenLink.
    """
    more: dict[str, Any] = {}
    if target == "pdf":
        more = {"pdf_standards": [standard]}
    elif target == "png":
        more = {"ppi": float(dpi)}
    try:
        made, said = _compilers[0].compile_with_warnings(
            source.encode(),
            format=cast("_Target", target),
            sys_inputs=inputs,
            timestamp=int(time.time()),
            **more,
        )
    except typst.TypstError as error:
        raise _refusal(error, standard) from error
    except BaseException as error:
        # A Rust panic is a BaseException, which would end the worker without a word.
        if type(error).__name__ != "PanicException":
            raise
        raise SourceTooComplex("the typesetter gave up on this document") from error
    files = [made] if isinstance(made, bytes) else list(made or ())
    return files, _warnings(said)


def _refusal(error: typst.TypstError, standard: str) -> Exception:
    message = str(error.message)
    if "decode image" in message or "SVG" in message:
        return BadPicture()
    if message.startswith("label"):
        return BrokenLink()
    if "PDF/" in message or standard in message:
        return TargetImpossible(
            f"the document cannot be made to conform to {standard}, for example because of a"
            " character without a glyph or a picture without a description; leave pdf_standard out"
        )
    place = _LINE.search(str(error.diagnostic))
    line = f" in line {place.group(1)}" if place else ""
    for starts, reason in _REASONS:
        if any(start in message for start in starts):
            return SourceUnreadable(f"the typst source cannot be compiled{line}: {reason}")
    return SourceUnreadable(f"the typst source has an error{line}")


def _warnings(said: list[typst.TypstWarning]) -> list[str]:
    messages = [str(one.message) for one in said]
    found = []
    if any(message.startswith("unknown font family") for message in messages):
        found.append("a font that the document names is not here; another one was used")
    if any("did not converge" in message for message in messages):
        found.append("the layout did not settle; page numbers may be wrong")
    return found
