"""Use every PDF codec once, on a document small enough to cost nothing.

A worker can open no file: what a library would load at first use has to be used before the fork.
"""

import io

from PIL import Image

from engine.converter import Work
from engine.converters.opening import PLUGINS
from engine.converters.pdf import catalogue_images, images
from engine.converters.pdf import warm_operations as operations
from engine.converters.pdf.content import warm as content
from engine.converters.raster.sources import STILLS
from engine.job import Bounds
from engine.rehearsal import Rehearsal

# What pages make of a picture goes by its mode, whatever file it came in.
_MODES = ("1", "L", "RGB", "RGBA", "CMYK")


def warm() -> list[Rehearsal]:
    """Run everything of the family once."""
    content.warm()  # first: it decides where pdfium finds typefaces
    document = operations.warm()
    for mode in _MODES:
        _attempt_image("tiff", mode)
        _attempt_image("png", mode)
    for source in (*PLUGINS, *catalogue_images.OTHERS):
        any(_attempt_image(source, mode) for mode in ("RGB", "1", "L"))
    return [Rehearsal("pdf.rotate", "pdf", "pdf", document)]


def _attempt_image(source: str, mode: str) -> bool:
    """Say whether a picture of this mode can be one of these files."""
    buffer = io.BytesIO()
    try:
        name = PLUGINS[source][0] if source in PLUGINS else STILLS[source]
        Image.new(mode, (9, 9)).save(buffer, name)
    except (OSError, ValueError, KeyError):
        return False  # this format has no such mode, or is only read
    work = Work(
        sources=(source,),
        target="pdf",
        inputs=(buffer.getvalue(),),
        options=catalogue_images.ImagesOptions(page_size="a4"),
        bounds=Bounds(),
    )
    images.images(work)
    return True
