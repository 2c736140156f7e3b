"""What is converted: a picture with its frames, whichever library decodes it.

The decoders here are Pillow's; the rules of `opening` hold for them too: one decoder for one
checked format, and the header's size is compared before a pixel is decoded.
"""

import io
import struct
from collections.abc import Callable, Iterable, Iterator

import msgspec
from PIL import Image, ImageFile

from engine.converters.opening import check_pixels, frame_count, open_image, reading
from engine.errors import SourceTooComplex, TargetImpossible
from engine.job import Bounds, Buffer

# Pillow's names of the decoders, of formats that hold one picture, or several of which one is it.
STILLS: dict[str, str] = {
    "heic": "HEIF",  # known to the photo family, which registers it
    "ico": "ICO",
    "cur": "CUR",
    "icns": "ICNS",
    "jp2": "JPEG2000",
    "tga": "TGA",
    "pnm": "PPM",
    "ppm": "PPM",
    "pgm": "PPM",
    "pbm": "PPM",
    "dds": "DDS",
    "pcx": "PCX",
    "sgi": "SGI",
    "psd": "PSD",
}
# Whose largest picture is known only when it is loaded.
_ICONS = frozenset({"ico", "cur", "icns"})
# A Windows icon lists its pictures in a table; no honest one has more.
_ICON_PICTURES_MAX = 256
# PAM by channels and greatest sample. A header is a few words.
_ANY_MAP_MODES = {(1, 255): "L", (2, 255): "LA", (3, 255): "RGB", (4, 255): "RGBA"}
_ANY_MAP_HEAD_MAX = 4096
# Where a Targa image says how many bits of alpha a pixel has.
_TARGA_DESCRIPTOR = 17
# Of a Photoshop document: four of colour, and masks beside them.
_CHANNELS_MAX = 56


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An opened picture. `at` gives a frame, perhaps not yet decoded; `first` is one of them."""

    name: str
    first: Image.Image
    count: int = 1
    at: Callable[[int], Image.Image]
    # Pages of a document rather than frames of an animation.
    paged: bool = False
    # What of the file is not in the frames, as sentences for the customer.
    warnings: tuple[str, ...] = ()


def still(name: str, image: Image.Image, warnings: Iterable[str] = ()) -> Source:
    """A source of one picture."""
    return Source(name=name, first=image, at=lambda _: image, warnings=tuple(warnings))


def open_source(data: Buffer, name: str, bounds: Bounds) -> Source:
    """Read the header and check it. Raises SourceUnreadable, SourceTooComplex."""
    if name == "pnm" and data[:2] == b"P7":
        return _open_any_map(data, name, bounds)
    if name in STILLS:
        return _open_still(data, name, bounds)
    image = open_image(data, name, bounds)
    return Source(
        name=name,
        first=image,
        count=frame_count(image, data, name, bounds),
        at=lambda index: _sought(image, index),
        paged=name == "tiff",
    )


def _open_any_map(data: Buffer, name: str, bounds: Bounds) -> Source:
    """PAM, which Pillow does not know: words that end with ENDHDR, then the samples (pam(5))."""
    with reading(name):
        head, _, _ = bytes(data[:_ANY_MAP_HEAD_MAX]).partition(b"\nENDHDR\n")
        lines = (line.split(None, 1) for line in head.splitlines()[1:] if line[:1] != b"#")
        said = {words[0]: words[1] for words in lines if len(words) > 1}
        size = int(said[b"WIDTH"]), int(said[b"HEIGHT"])
        mode = _ANY_MAP_MODES[int(said[b"DEPTH"]), int(said[b"MAXVAL"])]
    check_pixels(size, bounds)
    with reading(name):
        samples = memoryview(data)[len(head) + len(b"\nENDHDR\n") :]
        image = Image.frombytes(mode, size, samples[: size[0] * size[1] * len(mode)])
    return still(name, image)


def at_page(source: Source, page: int, bounds: Bounds) -> Source:
    """Only this page of it, as a still. Raises TargetImpossible."""
    if page > source.count:
        kind = "pages" if source.paged else "frames"
        raise TargetImpossible(f"page: there are only {source.count} {kind} in the file")
    with reading(source.name):
        image = source.at(page - 1)
    check_pixels(image.size, bounds)
    return msgspec.structs.replace(source, first=image, count=1, at=lambda _: image)


def _sought(image: ImageFile.ImageFile, index: int) -> Image.Image:
    image.seek(index)
    return image


def _open_still(data: Buffer, name: str, bounds: Bounds) -> Source:
    Image.MAX_IMAGE_PIXELS = (bounds.pixels_max + 1) // 2
    with reading(name):
        if name in _CHECKS:
            _CHECKS[name](data, bounds)
        image = Image.open(io.BytesIO(data), formats=(STILLS[name],))
    check_pixels(image.size, bounds)
    with reading(name):
        if name in _ICONS:
            image.load()
        if name == "tga" and _is_opaque(image, data):
            return still(name, image.convert("RGB"))
        warnings = tuple(_said(image, data, name))
    check_pixels(image.size, bounds)
    return still(name, image, warnings)


def _is_opaque(image: ImageFile.ImageFile, data: Buffer) -> bool:
    """Whether the fourth channel of a Targa image is none: it says so, and every pixel is clear."""
    if image.mode != "RGBA" or data[_TARGA_DESCRIPTOR] & 0x0F:
        return False
    return image.getchannel("A").getextrema() == (0, 0)


def _said(image: ImageFile.ImageFile, data: Buffer, name: str) -> Iterator[str]:
    """What a file of this kind holds besides the one picture that is taken."""
    if name == "psd":
        at: int | None = image._layers_position  # type: ignore[attr-defined]  # noqa: SLF001  # its own list parses every layer
        if at is not None and abs(struct.unpack_from(">h", data, at)[0]) > 1:
            yield "the layers were flattened: the document's own composite was taken"
    if name == "heic" and getattr(image, "n_frames", 1) > 1:
        yield "only the primary picture of several was taken"
    if name in _ICONS and len(image.info.get("sizes", ())) > 1:
        yield "only the largest picture of the icon was taken"


def _check_icon(data: Buffer, _bounds: Bounds) -> None:
    """Few entries: Pillow reads them all before it chooses one."""
    count: int = struct.unpack_from("<H", data, 4)[0]
    if count > _ICON_PICTURES_MAX:
        raise SourceTooComplex(f"the icon holds {count} pictures, more than the limit")


def _check_photoshop(data: Buffer, bounds: Bounds) -> None:
    """Few channels: every row of each has an entry in a table that is read whole."""
    channels, height, width = struct.unpack_from(">HII", data, 12)
    if channels > _CHANNELS_MAX or height * width > bounds.pixels_max:
        raise SourceTooComplex("the document has more channels or pixels than the limit")


_CHECKS: dict[str, Callable[[Buffer, Bounds], None]] = {
    "ico": _check_icon,
    "cur": _check_icon,
    "psd": _check_photoshop,
}
