"""pdf.watermark: a text or a picture over or under pages."""

import math

import pikepdf

from engine.converter import Result, Work
from engine.converters.lettering import check_letters, embed
from engine.converters.pdf.catalogue_marks import WatermarkOptions
from engine.converters.pdf.files import losses, open_document, read_pages, save
from engine.converters.pdf.geometry import (
    MM,
    Transform,
    View,
    anchored,
    centred,
    seen_to_page,
    then,
    turned,
    view,
)
from engine.converters.pdf.ranges import parse_pages
from engine.converters.pdf.stamps import Stamp, lay, picture_stamp, text_stamp
from engine.errors import OptionInvalid

# The size in which text is set before it is scaled.
_SET_SIZE = 100.0
# However wide the angle makes it, a stamp stays on its page.
_SHARE_MAX = 0.95
# Between tiles, in shares of one; and more of them than this hide the page.
_GAP_ACROSS, _GAP_UP = 0.3, 0.8
_TILES_MAX = 400


def watermark(work: Work) -> Result:
    """Stamp the named pages. Raises OptionInvalid, TargetImpossible, SourceUnreadable."""
    options: WatermarkOptions = work.options
    has_picture = len(work.inputs) > 1
    if has_picture == bool(options.text.strip()):
        raise OptionInvalid("text: pdf.watermark needs either a text or a picture as second file")
    warnings: list[str] = []
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        stamp = (
            picture_stamp(document, work, 1, warnings) if has_picture else _words(document, options)
        )
        for index in dict.fromkeys(chosen):
            page = document.pages[index]
            lay(
                page,
                stamp.form,
                _places(stamp, view(page), options),
                under=options.layer == "under",
                opacity=options.opacity,
            )
        warnings += losses(document)
        return Result(files=(save(document, work),), warnings=tuple(warnings))


def _words(document: pikepdf.Pdf, options: WatermarkOptions) -> Stamp:
    text = options.text.replace("\r\n", "\n").strip("\n")
    check_letters(options.font, text)
    letters = embed(document, options.font, [text])
    return text_stamp(document, letters, text, _SET_SIZE, options.colour)


def _places(stamp: Stamp, seen: View, options: WatermarkOptions) -> list[Transform]:
    room = seen.size
    scale = _scale(stamp, room, options)
    size = turned(stamp.size, scale, options.angle)
    if options.position == "tiled":
        centres = _tiles(room, size)
    else:
        centres = [anchored(options.position, room, size, options.margin_mm * MM)]
    onto = seen_to_page(seen)
    return [then(centred(stamp.size, centre, scale, options.angle), onto) for centre in centres]


def _scale(stamp: Stamp, room: tuple[float, float], options: WatermarkOptions) -> float:
    if options.font_size and options.text:
        return options.font_size / _SET_SIZE
    width, height = turned(stamp.size, 1, options.angle)
    return min(options.scale * room[0] / width, _SHARE_MAX * room[1] / height)


def _tiles(room: tuple[float, float], size: tuple[float, float]) -> list[tuple[float, float]]:
    """Middles of tiles in staggered rows, from the lower left on."""
    across, up = size[0] * (1 + _GAP_ACROSS), size[1] * (1 + _GAP_UP)
    # Tiles that would be too many stand further apart.
    spread = max(1.0, math.sqrt((room[0] / across + 2) * (room[1] / up + 2) / _TILES_MAX))
    across, up = across * spread, up * spread
    rows = math.ceil(room[1] / up) + 1
    columns = math.ceil(room[0] / across) + 1
    return [
        ((column + row % 2 / 2) * across, row * up)
        for row in range(rows)
        for column in range(columns)
    ]
