"""Make the pictures in a document smaller: fewer pixels, and JPEG where it loses nothing seen.

Only plain pictures are touched, grey or RGB with 8 bits; what is left as it is: bitmaps (fax codes
are smaller than anything here), palettes, printing inks, colour keys, and whatever pdfium and
Pillow would not agree on. A picture is replaced only where that saves a worthwhile part of it.
"""

import io
import struct
import zlib
from collections.abc import Mapping

import pikepdf
from pikepdf import Array, Name, PdfImage, Stream
from PIL import Image

from engine.converters.pdf.files import reading
from engine.converters.pdf.placements import Ids
from engine.errors import SourceUnreadable
from engine.job import Bounds
from engine.progress import each

# A picture only a little too fine is not worth the blur.
_SLACK = 1.25
# New bytes over old ones, beyond which the old picture stays.
_WORTHWHILE = 0.85
# A drawing or screenshot keeps its sharp edges unless JPEG is so much smaller than packed pixels.
_CLEARLY_A_PHOTOGRAPH = 0.4
_BITS = 8
_SIDE_MIN = 8
_CHANNELS = {"L": 1, "RGB": 3}
_LOSSY = frozenset({"/DCTDecode", "/JPXDecode"})


def shrink(
    document: pikepdf.Pdf, dpi_of: Mapping[Ids, float], dpi_max: int, quality: int, bounds: Bounds
) -> int:
    """Shrink the pictures that pages show; returns how many became smaller."""
    count = 0
    for ids, dpi in each(list(dpi_of.items())):
        picture = document.get_object(ids)
        try:
            with reading():
                if isinstance(picture, Stream) and _is_plain(picture, bounds):
                    count += _shrink(picture, dpi / dpi_max, quality)
        except (SourceUnreadable, OSError, SyntaxError, EOFError, struct.error, zlib.error):
            continue  # a picture that cannot be decoded here stays as it is
    return count


def _is_plain(picture: Stream, bounds: Bounds) -> bool:
    width, height = int(picture.get("/Width", 0)), int(picture.get("/Height", 0))
    mask = picture.get("/Mask")
    return (
        int(picture.get("/BitsPerComponent", 0) or 0) == _BITS
        and 0 < width * height <= bounds.pixels_max
        and min(width, height) >= _SIDE_MIN
        and not picture.get("/ImageMask", False)
        and not isinstance(mask, Array)
        and "/Decode" not in picture
        and "/Matte" not in (picture.get("/SMask") or {})
        and _channels(picture) in _CHANNELS.values()
    )


def _channels(picture: Stream) -> int:
    """Channels of a plain colour space: 1, 3, or 0 for any other."""
    space = picture.get("/ColorSpace")
    if isinstance(space, Array):
        if space[0] == Name.ICCBased and isinstance(space[1], Stream):
            return int(space[1].get("/N", 0))
        return {"/CalGray": 1, "/CalRGB": 3}.get(str(space[0]), 0)
    return {"/DeviceGray": 1, "/DeviceRGB": 3}.get(str(space), 0)


def _shrink(picture: Stream, factor: float, quality: int) -> int:
    was_lossy = bool(_filters(picture) & _LOSSY)
    image = PdfImage(picture).as_pil_image()
    if _CHANNELS.get(image.mode) != _channels(picture):
        return 0
    # A profile of the picture's own JPEG header is not what the document says.
    image.info.pop("icc_profile", None)
    if factor > _SLACK:
        width, height = (max(round(side / factor), _SIDE_MIN) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    old = len(picture.read_raw_bytes())
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=quality, optimize=True, progressive=True)
    packed = None if was_lossy else _packed(image)
    lossless = packed is not None and len(jpeg.getvalue()) > _CLEARLY_A_PHOTOGRAPH * len(packed)
    content = packed if lossless and packed is not None else jpeg.getvalue()
    if len(content) > _WORTHWHILE * old:
        return 0
    picture.write(content, filter=Name.FlateDecode if lossless else Name.DCTDecode)
    picture["/Width"], picture["/Height"] = image.size
    return 1


def _filters(picture: Stream) -> set[str]:
    used = picture.get("/Filter")
    return {str(one) for one in (used if isinstance(used, Array) else [used])}


def _packed(image: Image.Image) -> bytes:
    """The pixels as a deflated stream."""
    return zlib.compress(image.tobytes(), 9)
