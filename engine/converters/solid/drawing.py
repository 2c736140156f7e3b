"""DXF drawings onto a page, by ezdxf: SVG as it writes it, PNG of that by resvg, PDF by our writer.

Nothing outside the file is looked at: pictures and drawings that it only refers to are left out and
named. Text is drawn in one typeface, the one that comes with the installation.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# ezdxf would keep a list of the machine's fonts in its user's home.
os.environ["XDG_CACHE_HOME"] = "/dev/null/none"

import reportlab
import resvg_py
from ezdxf import recover
from ezdxf.addons import acadctb
from ezdxf.addons.drawing import config, layout, svg
from ezdxf.addons.drawing.frontend import Frontend
from ezdxf.addons.drawing.properties import RenderContext
from ezdxf.fonts import fonts
from ezdxf.lldxf.const import DXFError
from fontTools.ttLib import TTFont

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.solid.catalogue import DrawingOptions
from engine.converters.solid.drawn_pdf import PdfPage
from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible, TargetTooLarge

# Each takes 50 to 150 microseconds: half of a worker's CPU seconds.
_ENTITIES_MAX = 200_000
_NESTED_MAX = 50
_PIXELS_MAX = 64_000_000
_DPI, _MM_AN_INCH = 150, 25.4
_PAGES_MM = {
    "a4": (210, 297), "a3": (297, 420), "a2": (420, 594), "a1": (594, 841), "a0": (841, 1189),
    "letter": (215.9, 279.4),
}  # fmt: skip
_PAGE_MAX_MM = 1000
_COLOURS = {
    "colour": config.ColorPolicy.COLOR,
    "black": config.ColorPolicy.BLACK,
    "grey": config.ColorPolicy.MONOCHROME,
}
_BACKGROUNDS = {
    "white": config.BackgroundPolicy.WHITE,
    "black": config.BackgroundPolicy.BLACK,
    "none": config.BackgroundPolicy.OFF,
}


class _Context(RenderContext):
    """Never looks for the plot style file that a layout names."""

    @staticmethod
    def _load_plot_style_table(filename: Any) -> Any:
        table = filename if not isinstance(filename, str) else acadctb.new_ctb()
        return RenderContext._load_plot_style_table(table)  # noqa: SLF001  # of the same class


# What puts a block in its place, and the attribute that names it.
_PLACED = {"INSERT": "name", "DIMENSION": "geometry"}
_ELSEWHERE = frozenset(
    {"IMAGE", "UNDERLAY", "PDFUNDERLAY", "DWFUNDERLAY", "DGNUNDERLAY", "OLE2FRAME"}
)
_DAMAGE = (
    DXFError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
    OSError, RuntimeError, NotImplementedError,
)  # fmt: skip


class _OneTypeface(dict[str, TTFont]):
    """Answers every name of a font with the same one: a worker can open no other."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._font = TTFont(io.BytesIO(path.read_bytes()))

    def __missing__(self, name: str) -> TTFont:
        return self._font


def install_typeface() -> None:
    """Load the one typeface; for the zygote, before it confines itself."""
    folder = Path(reportlab.__file__).parent / "fonts"
    manager = fonts.font_manager
    manager.clear()
    manager.build([str(folder)], support_dirs=False)
    vars(manager)["_loaded_ttf_fonts"] = _OneTypeface(folder / "Vera.ttf")
    vars(manager)["_fallback_font_name"] = "Vera.ttf"


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except RecursionError as error:
        raise SourceTooComplex("the drawing's blocks refer to each other too deeply") from error
    except _DAMAGE as error:
        raise SourceUnreadable(
            "the DXF drawing cannot be read: it is damaged, cut off or of an unusual kind"
        ) from error


def _times(entity: Any) -> int:
    """How often a block is repeated in rows and columns."""
    if entity.dxftype() != "INSERT":
        return 1
    return int(max(entity.dxf.row_count, 1) * max(entity.dxf.column_count, 1))


def _check_size(document: Any, sheet: Any) -> None:
    """Count what is drawn with every block put in its place, without putting it there."""
    sizes: dict[str, int] = {}

    def size(entities: Any, depth: int) -> int:
        if depth > _NESTED_MAX:
            raise SourceTooComplex("the drawing's blocks hold each other too deeply, or in a ring")
        total = 0
        for entity in entities:
            total += 1
            if entity.dxftype() in _PLACED:
                name = str(entity.dxf.get(_PLACED[entity.dxftype()], "")).lower()
                if name not in sizes and name in document.blocks:
                    sizes[name] = size(document.blocks.get(name), depth + 1)
                total += sizes.get(name, 0) * _times(entity)
            if total > _ENTITIES_MAX:
                raise SourceTooComplex(
                    f"the drawing has more than {_ENTITIES_MAX} entities, the limit"
                )
        return total

    size(sheet, 0)


def convert(work: Work) -> Result:
    """Draw one layout. Raises the refusals of engine.errors."""
    options: DrawingOptions = work.options
    notes: list[str] = []
    with _reading():
        document, _ = recover.read(io.BytesIO(work.inputs[0]))
        sheet = _layout(document, options.layout)
        if any(entity.dxftype() in _ELSEWHERE for entity in sheet):
            notes.append("pictures and drawings that the file only refers to were left out")
        _check_size(document, sheet)
        recorder = svg.SVGBackend()
        Frontend(
            _Context(document),
            recorder,
            config=config.Configuration(
                color_policy=_COLOURS[options.colours],
                background_policy=_BACKGROUNDS[options.background],
                image_policy=config.ImagePolicy.IGNORE,
            ),
        ).draw_layout(sheet)
        box = recorder.player().bbox()
    if not box.has_data or max(box.size) <= 0:
        raise TargetImpossible("the layout holds nothing that can be drawn")
    page = _page(options, box.size.x, box.size.y)
    with _reading():
        written = _drawn(recorder, page, work)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    buffer.write(written)
    return Result(files=(buffer.take(),), warnings=tuple(notes))


def _layout(document: Any, name: str) -> Any:
    if name.lower() == "model":
        return document.modelspace()
    found = next((one for one in document.layout_names() if one.lower() == name.lower()), None)
    if found is None:
        raise TargetImpossible(
            "the drawing has no layout of the name in the option layout; model is always there"
        )
    return document.layout(found)


def _page(options: DrawingOptions, width: float, height: float) -> layout.Page:
    margins = layout.Margins.all(options.margin_mm)
    if options.page_size == "fit":
        scale = min(1.0, (_PAGE_MAX_MM - 2 * options.margin_mm) / max(width, height))
        across, down = (max(one * scale, 1) + 2 * options.margin_mm for one in (width, height))
        return layout.Page(across, down, layout.Units.mm, margins=margins)
    short, long = _PAGES_MM[options.page_size]
    across, down = (long, short) if width > height else (short, long)
    if options.margin_mm * 2 >= short:
        raise TargetImpossible("margin_mm: the margins leave nothing of the page")
    return layout.Page(across, down, layout.Units.mm, margins=margins)


def _drawn(recorder: svg.SVGBackend, page: layout.Page, work: Work) -> bytes:
    settings = layout.Settings(fit_page=True)
    if work.target == "pdf":
        pdf = PdfPage(recorder, page, settings)
        return pdf.written()
    text = recorder.get_string(page, settings=settings)
    if work.target == "svg":
        return text.encode()
    width = work.options.width or round(page.width_in_mm / _MM_AN_INCH * _DPI)
    if width * width * page.height_in_mm / page.width_in_mm > _PIXELS_MAX:
        raise TargetTooLarge(
            f"the picture would have more than {_PIXELS_MAX // 1_000_000} megapixels; give a"
            " smaller width"
        )
    # All text is drawn as outlines already. Without dots an inch, millimetres would be nothing.
    return bytes(
        resvg_py.svg_to_bytes(svg_string=text, width=width, dpi=96, skip_system_fonts=True)
    )
