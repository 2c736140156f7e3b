"""Open a raster image by the one decoder its checked format names, within the bounds.

Every decoder is a C library reading a stranger's bytes, so three rules hold before a pixel is
decoded: only the plugin of the checked source is tried (never Pillow's whole list), the header's
size is compared with the bound, and whatever a decoder raises becomes one of our errors, without a
word of the file in it.
"""

import io
import struct
import zlib

from PIL import (
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    ImageFile,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from engine.converters.gif import count_frames
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.formats import find
from engine.job import Bounds, Buffer

# Pillow's names of the decoders. A camera's MPO is a JPEG with further pictures behind the first.
PLUGINS: dict[str, tuple[str, ...]] = {
    "jpeg": (JpegImagePlugin.JpegImageFile.format, MpoImagePlugin.MpoImageFile.format),
    "png": (PngImagePlugin.PngImageFile.format,),
    "webp": (WebPImagePlugin.WebPImageFile.format,),
    "avif": (AvifImagePlugin.AvifImageFile.format,),
    "gif": (GifImagePlugin.GifImageFile.format,),
    "tiff": (TiffImagePlugin.TiffImageFile.format,),
    "bmp": (BmpImagePlugin.BmpImageFile.format,),
}

# A worker may start no thread: dav1d and libaom then decode in the calling one.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

# What Pillow's plugins let through for a damaged file, found by cutting and mutating thousands.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
)


class Reading:
    """Translates what a decoder raises in its block. A class, because contextlib's are dearer.

    Twenty pages of a fresh worker's memory, as it happens, and this one is on everybody's way.
    """

    def __init__(self, source: str) -> None:
        self._source = source

    def __enter__(self) -> None:
        """Begin; nothing to do."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise SourceTooComplex or SourceUnreadable in place of what a decoder raised."""
        if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
            title = find(self._source).title
            raise SourceTooComplex(f"the {title} has more pixels than the limit") from error
        if isinstance(error, _DAMAGE):
            title = find(self._source).title
            raise SourceUnreadable(
                f"the {title} cannot be read: it is damaged, cut off, or of an unusual kind"
            ) from error


def reading(source: str) -> Reading:
    """Translate what a decoder raises. Wrap calls of the codec in it, and nothing else."""
    return Reading(source)


def open_image(data: Buffer, source: str, bounds: Bounds) -> ImageFile.ImageFile:
    """Read the header and check it; no pixel is decoded yet.

    Raises SourceUnreadable, SourceTooComplex.
    """
    # Pillow itself refuses at twice this number, before some decoders allocate their canvas.
    Image.MAX_IMAGE_PIXELS = (bounds.pixels_max + 1) // 2
    with reading(source):
        image = Image.open(io.BytesIO(data), formats=PLUGINS[source])
    check_pixels(image.size, bounds)
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        # All of it at once is the upload itself; in Pillow's 64 KiB each piece is copied twice.
        image.decodermaxblock = max(image.decodermaxblock, len(data))
    return image


def check_pixels(size: tuple[int, int], bounds: Bounds) -> None:
    """Refuse more pixels than the bound. Raises SourceTooComplex."""
    width, height = size
    if width * height > bounds.pixels_max:
        raise SourceTooComplex(
            f"the image is {width} x {height} pixels; the limit is"
            f" {bounds.pixels_max // 1_000_000} megapixels"
        )


def frame_count(image: ImageFile.ImageFile, data: Buffer, source: str, bounds: Bounds) -> int:
    """Count frames or pages without decoding them, and no further than one beyond the bound."""
    with reading(source):
        return _count(image, data, source, bounds.frames_max + 1)


def check_frames(count: int, size: tuple[int, int], bounds: Bounds) -> None:
    """Refuse an animation that is too long, or too large in all. Raises SourceTooComplex."""
    if count > bounds.frames_max:
        raise SourceTooComplex(
            f"the animation has more than {bounds.frames_max} frames, the limit;"
            " frames=first converts its first one"
        )
    if count * size[0] * size[1] > bounds.animation_pixels_max:
        raise SourceTooComplex(
            f"the {count} frames of {size[0]} x {size[1]} pixels are together more than"
            f" {bounds.animation_pixels_max // 1_000_000} megapixels, the limit;"
            " frames=first converts the first one"
        )


def _count(image: ImageFile.ImageFile, data: Buffer, source: str, stop: int) -> int:
    if source == "gif":
        return count_frames(data, stop)
    if source == "tiff":
        return _count_pages(image, stop)
    if source in {"png", "webp", "avif"}:
        return int(getattr(image, "n_frames", 1))
    return 1


def _count_pages(image: ImageFile.ImageFile, stop: int) -> int:
    """Walk the chain of directories by hand: Pillow's n_frames would follow it without end."""
    count = 1
    try:
        while count < stop:
            image.seek(count)
            count += 1
    except EOFError:
        pass
    image.seek(0)
    return count
