"""pdf.compress: the same document in fewer bytes."""

from typing import NamedTuple

import pikepdf
from pikepdf import ObjectStreamMode, StreamDecodeLevel
from pikepdf.sanitize import Sanitizer

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_documents import CompressOptions
from engine.converters.pdf.duplicates import join_duplicates
from engine.converters.pdf.files import losses, open_document, read_pages, reading, save
from engine.converters.pdf.pictures import shrink
from engine.converters.pdf.placements import picture_dpi


class _Preset(NamedTuple):
    """Dots an inch that pictures keep, and the quality of their JPEG."""

    dpi: int
    quality: int


# What the words mean elsewhere too: 300 for printers, 150 to be read, 96 as screens have it.
_PRESETS = {
    "print": _Preset(300, 85),
    "ebook": _Preset(150, 75),
    "screen": _Preset(96, 60),
}


def compress(work: Work) -> Result:
    """Pack structure and streams. Where nothing is gained, the upload itself is the result."""
    options: CompressOptions = work.options
    with open_document(work, 0, options.password) as document:
        read_pages(document, work.bounds)
        warnings = list(losses(document))
        strong = options.level == "strong"
        if options.preset != "lossless" and _shrink_pictures(document, options, work):
            warnings.append("pictures were made coarser; preset=lossless leaves them as they are")
        if strong:
            pikepdf.settings.set_flate_compression_level(9)  # zlib's own default is 6
            join_duplicates(document)
            with reading():
                document.remove_unreferenced_resources()
        written = save(
            document,
            work,
            object_stream_mode=ObjectStreamMode.generate,
            stream_decode_level=StreamDecodeLevel.generalized,
            recompress_flate=strong,
            linearize=options.linearise,
        )
    upload = work.inputs[0]
    if len(written) >= len(upload) and not warnings and not options.linearise:
        return Result(files=(upload,), warnings=("the document could not be made smaller",))
    return Result(files=(written,), warnings=tuple(warnings))


def _shrink_pictures(document: pikepdf.Pdf, options: CompressOptions, work: Work) -> int:
    preset = _PRESETS[options.preset]
    # Small pictures of the pages that readers make themselves, and what programs keep for later.
    with reading():
        Sanitizer().remove_thumbnails().remove_private_app_data().apply(document)
    return shrink(
        document,
        picture_dpi(document),
        options.dpi or preset.dpi,
        options.quality or preset.quality,
        work.bounds,
    )
