"""Our options of a PDF in the words of LibreOffice's PDF export filter.

They are those of the API reference's PDF export settings; the kit takes them as JSON, each with its
type.
"""

import json
from collections.abc import Mapping

from engine.converters.office.catalogue_options import (
    PdfOptions,
    SheetPdfOptions,
    SlidesPdfOptions,
    TextPdfOptions,
)

Value = bool | int | str


class _Short(int):
    """A number that the filter takes only in 16 bits."""


_VERSIONS = {"pdf-1.6": 16, "pdf-1.7": 17, "pdf-a-1b": 1, "pdf-a-2b": 2, "pdf-a-3b": 3}
_GREY = 0x808080
# A watermark runs from corner to corner, in tenths of a degree. Its letters' height, in points, is
# such that they fit on the diagonal of A4; a letter is about 0.7 times as wide as it is high.
_SLANT = _Short(450)
_DIAGONAL, _LETTER_MAX = 1200, 120
# The kit takes the text apart at commas, to look for words of its own; a comma in a value must not
# look like one. This stands for it meanwhile.
_COMMA = "\0"
_COMMA_JSON = json.dumps(_COMMA)[1:-1]


def written(options: PdfOptions) -> str:
    """The settings of a PDF."""
    settings = _common(options)
    if isinstance(options, TextPdfOptions):
        settings |= {
            "ExportBookmarks": options.bookmarks,
            "ExportNotes": options.comments == "notes",
            "ExportFormFields": options.forms,
            "IsSkipEmptyPages": not options.blank_pages,
        }
    elif isinstance(options, SheetPdfOptions):
        settings |= {
            "SinglePageSheets": options.page_a_sheet,
            "ExportNotes": options.comments == "notes",
        }
    elif isinstance(options, SlidesPdfOptions):
        settings |= {
            "ExportHiddenSlides": options.hidden_slides,
            "ExportNotesPages": options.speaker_notes != "none",
            "ExportOnlyNotesPages": options.speaker_notes == "only",
            "ExportBookmarks": options.bookmarks,
            "ExportNotes": options.comments == "notes",
        }
    return _json(settings)


def for_pictures(pages: str) -> str:
    """The settings of a PDF that is only drawn: these pages, their pictures as they are."""
    return _json({"PageRange": pages, "UseLosslessCompression": True, "ExportBookmarks": False})


def _common(options: PdfOptions) -> dict[str, Value]:
    settings: dict[str, Value] = {
        "SelectPdfVersion": _VERSIONS[options.standard],
        "PDFUACompliance": options.accessible,
        "Quality": options.quality,
        "UseLosslessCompression": options.lossless,
        "ReduceImageResolution": True,
        "MaxImageResolution": options.picture_dpi,
    }
    if options.pages != "1-":
        settings["PageRange"] = options.pages
    if options.watermark:
        settings |= {
            "Watermark": options.watermark,
            "WatermarkColor": _GREY,
            "WatermarkFontHeight": min(_LETTER_MAX, _DIAGONAL // len(options.watermark)),
            "WatermarkRotateAngle": _SLANT,
        }
    return settings


def _json(settings: Mapping[str, Value]) -> str:
    text = json.dumps({name: _typed(value) for name, value in settings.items()})
    return text.replace(_COMMA_JSON, "\\u002c")


def _typed(value: Value) -> dict[str, str]:
    if isinstance(value, _Short):
        return {"type": "short", "value": str(value)}
    if isinstance(value, bool):
        return {"type": "boolean", "value": "true" if value else "false"}
    return {
        "type": "long" if isinstance(value, int) else "string",
        "value": str(value).replace(",", _COMMA),
    }
