"""image.optimise: a JPEG's coefficients coded again, better (by mozjpeg's jpegtran)."""

import mozjpeg_lossless_optimization as mozjpeg

from engine.converter import Result, Work
from engine.converters.jpeg import orientation_segment, without_metadata
from engine.converters.opening import open_image, reading
from engine.converters.raster.metadata import orientation_of
from engine.errors import SourceUnreadable


def optimise(work: Work) -> Result:
    """The same picture in fewer bytes; what came, where there is nothing to gain."""
    image = open_image(work.inputs[0], "jpeg", work.bounds)
    original = bytes(work.inputs[0])
    with reading("jpeg"):
        image.draft(None, (1, 1))
        image.load()  # only to know that it is whole
    if work.options.metadata == "strip":
        stripped = without_metadata(original, orientation_segment(orientation_of(image)))
        if stripped is None:
            raise SourceUnreadable("the JPEG's segments are damaged: nobody can say what they hold")
        original = stripped
    try:
        packed: bytes = mozjpeg.optimize(original, mozjpeg.COPY_MARKERS.ALL)
    except (ValueError, RuntimeError, OSError) as error:
        raise SourceUnreadable("the JPEG cannot be read: it is damaged or cut off") from error
    return Result(files=(packed if len(packed) < len(original) else original,))
