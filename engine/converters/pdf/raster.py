"""Pages that become pictures of themselves: nothing of what they were made of stays."""

import io
import zlib

import pikepdf
from pikepdf import Dictionary, Name
from PIL import Image

from engine.converters.lettering import number
from engine.converters.pdf.files import reading
from engine.converters.pdf.geometry import Box, set_box

# Text in JPEG is clean from about here on.
_QUALITY = 88
# Shades that differ less than this between channels are grey.
_TINT = 6
# Of a page's entries; all others draw, link or tell something.
_KEPT = frozenset({"/Type", "/Parent"})


def become_picture(
    document: pikepdf.Pdf, page: pikepdf.Page, picture: Image.Image, size: tuple[float, float]
) -> None:
    """Replace all that a page is by a picture of this size in points as it was seen."""
    with reading():
        for name in set(page.obj.keys()) - _KEPT:
            del page.obj[name]
        set_box(page, Box(0, 0, *size))
        page.obj.Resources = Dictionary(XObject=Dictionary(Page=_stored(document, picture)))
        content = f"q {number(size[0])} 0 0 {number(size[1])} 0 0 cm /Page Do Q"
        page.obj.Contents = document.make_stream(content.encode())


def _stored(document: pikepdf.Pdf, picture: Image.Image) -> pikepdf.Stream:
    """As JPEG or packed, whatever is smaller; in grey where there is no colour."""
    plain = picture.convert("L") if _is_grey(picture) else picture.convert("RGB")
    packed = zlib.compress(plain.tobytes(), 9)
    buffer = io.BytesIO()
    plain.save(buffer, "JPEG", quality=_QUALITY, optimize=True)
    jpeg = buffer.getvalue()
    smaller = packed if len(packed) <= len(jpeg) else jpeg
    return document.make_stream(
        smaller,
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=plain.width,
        Height=plain.height,
        BitsPerComponent=8,
        ColorSpace=Name.DeviceGray if plain.mode == "L" else Name.DeviceRGB,
        Filter=Name.FlateDecode if smaller is packed else Name.DCTDecode,
    )


def _is_grey(picture: Image.Image) -> bool:
    if picture.mode == "L":
        return True
    small = picture.convert("RGB").reduce(2)
    red, green, blue = (channel.tobytes() for channel in small.split())
    return all(max(one) - min(one) <= _TINT for one in set(zip(red, green, blue, strict=True)))
