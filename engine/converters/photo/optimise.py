"""photo.optimise: a PNG packed again by trying filters and compressors (by oxipng)."""

import oxipng

from engine.converter import Result, Work
from engine.converters.opening import check_frames, frame_count, open_image
from engine.errors import SourceUnreadable


def optimise(work: Work) -> Result:
    """The same pixels in fewer bytes; what came, where there is nothing to gain."""
    data = work.inputs[0]
    image = open_image(data, "png", work.bounds)
    check_frames(frame_count(image, data, "png", work.bounds), image.size, work.bounds)
    strip = work.options.metadata == "strip"
    try:
        packed = oxipng.optimize_from_memory(
            bytes(data),
            level=work.options.effort,
            strip=oxipng.StripChunks.safe() if strip else oxipng.StripChunks.none(),
        )
    except oxipng.PngError as error:
        raise SourceUnreadable("the PNG cannot be read: it is damaged or cut off") from error
    return Result(files=(packed,))
