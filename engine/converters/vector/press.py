"""typst, asked for one page with the drawing on it: as a PDF, or as pixels.

resvg draws in both cases; typst brings it the fonts. By itself resvg maps font files as shared
memory, which a worker may not do, and would then leave the letters out.
"""

import time
from pathlib import Path
from typing import Literal

import typst

from engine.converters.vector.catalogue import FONTS
from engine.errors import SourceTooComplex, SourceUnreadable

_EMPTY = Path(__file__).parent / "empty"
# At this many pixels an inch one of them is a point, typst's unit.
_PPI = 72.0
# The drawing is an input and no source: nothing in it can be a command.
_SOURCE = """#set page(width: {0:.4f}pt, height: {1:.4f}pt, margin: {2:.4f}pt, fill: none)
#image(bytes(sys.inputs.drawing), format: "svg", width: 100%, height: 100%, fit: "{3}")
"""

_compilers: list[typst.Compiler] = []


def prepare() -> None:
    """Make the compiler, which lists the fonts, in the zygote."""
    fonts = typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=list(FONTS)
    )
    _compilers.append(
        typst.Compiler(b"", root=str(_EMPTY), font_paths=fonts, ignore_system_fonts=True)
    )


def pressed(
    drawing: str,
    page: tuple[float, float],
    *,
    target: Literal["pdf", "png"],
    margin: float = 0,
    fit: Literal["contain", "stretch"] = "contain",
) -> bytes:
    """The page of this size in points (as PNG: in pixels). Raises SourceUnreadable."""
    try:
        made = _compilers[0].compile(
            _SOURCE.format(*page, margin, fit).encode(),
            format=target,
            ppi=_PPI,
            sys_inputs={"drawing": drawing},
            timestamp=int(time.time()),
        )
    except typst.TypstError as error:
        raise SourceUnreadable("the SVG cannot be drawn: it is damaged or empty") from error
    except BaseException as error:
        # A Rust panic is a BaseException, which would end the worker without a word.
        if type(error).__name__ != "PanicException":
            raise
        raise SourceTooComplex("the drawing is too much for its renderer") from error
    if not isinstance(made, bytes):
        raise SourceTooComplex("the drawing does not fit onto one page")
    return made
