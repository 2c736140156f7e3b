"""Stamps: what is drawn once, as a form object, and laid on pages."""

from collections.abc import Sequence
from typing import NamedTuple

import pikepdf
from pikepdf import Dictionary, Name
from PIL import Image, ImageOps

from engine.converter import Work
from engine.converters import opening
from engine.converters.colour import expand, parse_colour, to_srgb
from engine.converters.jpeg import without_metadata
from engine.converters.lettering import Letters, measure, number
from engine.converters.pdf.files import reading
from engine.converters.pdf.geometry import Transform

_FULL = 255
_UPRIGHT = 1
_ORIENTATION = 0x0112


class Stamp(NamedTuple):
    """A form object whose lower left corner is the origin, and its size in points."""

    form: pikepdf.Object
    size: tuple[float, float]


def text_stamp(
    document: pikepdf.Pdf, letters: Letters, text: str, size: float, colour: str
) -> Stamp:
    """Text in lines."""
    red, green, blue, _ = parse_colour(colour)
    shares = red / _FULL, green / _FULL, blue / _FULL
    extent = measure(letters.face, text, size)
    resources = Dictionary(Font=Dictionary(F=letters.font))
    return Stamp(_form(document, letters.drawn(text, size, shares), extent, resources), extent)


def picture_stamp(document: pikepdf.Pdf, work: Work, index: int, warnings: list[str]) -> Stamp:
    """One of the uploads as a picture, a point a pixel. Raises SourceUnreadable."""
    image = _picture(document, work, index, warnings)
    size = float(image.Width), float(image.Height)
    content = f"{number(size[0])} 0 0 {number(size[1])} 0 0 cm /I Do".encode()
    return Stamp(_form(document, content, size, Dictionary(XObject=Dictionary(I=image))), size)


def _form(
    document: pikepdf.Pdf, content: bytes, size: tuple[float, float], resources: Dictionary
) -> pikepdf.Object:
    return document.make_stream(
        content,
        Type=Name.XObject,
        Subtype=Name.Form,
        BBox=[0, 0, round(size[0], 4), round(size[1], 4)],
        Resources=resources,
        # Opacity counts once, also where letters touch.
        Group=Dictionary(Type=Name.Group, S=Name.Transparency),
    )


def _picture(document: pikepdf.Pdf, work: Work, index: int, warnings: list[str]) -> pikepdf.Stream:
    upload, source = work.inputs[index], work.sources[index]
    image = opening.open_image(upload, source, work.bounds)
    if opening.frame_count(image, upload, source, work.bounds) > 1:
        warnings.append("only the first frame or page of the picture was used")
    with opening.reading(source):
        image.load()
        plain_jpeg = (
            source == "jpeg"
            and image.mode in {"L", "RGB"}
            and not (
                image.info.get("icc_profile")
                or image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT
            )
        )
        content = without_metadata(bytes(upload), b"", icc=False) if plain_jpeg else None
        if content is not None:
            return _stream(document, image, content, Filter=Name.DCTDecode)
        turned = ImageOps.exif_transpose(image)
        pixels = expand(turned, warnings)
    pixels = to_srgb(pixels, image.info.get("icc_profile"), warnings)
    if pixels.mode == "I;16":
        pixels = pixels.point(lambda value: value / 256).convert("L")
    more = {}
    if pixels.mode in {"LA", "RGBA"}:
        mask = pixels.getchannel("A")
        more["SMask"] = _stream(document, mask, mask.tobytes())
        pixels = pixels.convert(pixels.mode[:-1])
    elif pixels.mode not in {"L", "RGB"}:
        pixels = pixels.convert("RGB")
    return _stream(document, pixels, pixels.tobytes(), **more)


def _stream(
    document: pikepdf.Pdf, image: Image.Image, content: bytes, **more: pikepdf.Object
) -> pikepdf.Stream:
    return document.make_stream(
        content,
        Type=Name.XObject,
        Subtype=Name.Image,
        Width=image.width,
        Height=image.height,
        BitsPerComponent=8,
        ColorSpace=Name.DeviceGray if image.mode == "L" else Name.DeviceRGB,
        **more,
    )


def lay(
    page: pikepdf.Page,
    form: pikepdf.Object,
    where: Sequence[Transform],
    *,
    under: bool = False,
    opacity: float = 1,
) -> None:
    """Draw the form on the page, at one or several places, over or under what is there."""
    with reading():
        resources = _copy(page.get_resources())
        name = _added(resources, Name.XObject, "/Stamp", form)
        fade = ""
        if opacity < 1:
            state = Dictionary(Type=Name.ExtGState, ca=opacity, CA=opacity)
            fade = f"{_added(resources, Name.ExtGState, '/Fade', state)} gs "
        page.obj.Resources = resources
        drawn = "".join(
            f"q {' '.join(number(value) for value in one)} cm {fade}{name} Do Q\n" for one in where
        )
        # Marked as no part of the text, for those who have it read aloud.
        content = f"/Artifact BMC\n{drawn}EMC\n".encode()
        if under:
            page.contents_add(content, prepend=True)
        else:
            page.contents_add(b"q\n", prepend=True)
            page.contents_add(b"\nQ\n" + content)


def _added(
    resources: pikepdf.Dictionary, kind: pikepdf.Name, stem: str, thing: pikepdf.Object
) -> str:
    """Name the thing in a copy of these resources: other pages may share the old ones."""
    named = _copy(resources.get(kind))
    count = 1
    while f"{stem}{count}" in named:
        count += 1
    named[f"{stem}{count}"] = thing
    resources[kind] = named
    return f"{stem}{count}"


def _copy(old: pikepdf.Object | None) -> pikepdf.Dictionary:
    return Dictionary(dict(old.items())) if isinstance(old, Dictionary) else Dictionary()
