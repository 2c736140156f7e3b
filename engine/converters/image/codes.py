"""QR codes and barcodes: drawn from text, and read from pictures (by ZXing)."""

import io
from collections.abc import Mapping

import msgspec
import zxingcpp
from PIL import Image

from engine.converter import Result, Work
from engine.converters.colour import expand, flatten
from engine.converters.image.catalogue import CodeOptions
from engine.converters.opening import reading
from engine.converters.raster.metadata import orientation_of
from engine.converters.raster.modes import eight_bits
from engine.converters.raster.resample import resample
from engine.converters.raster.sources import open_source
from engine.converters.raster.turns import turned
from engine.errors import SourceUnreadable, TargetImpossible
from engine.job import Buffer

_FORMATS: Mapping[str, zxingcpp.BarcodeFormat] = {
    "qr": zxingcpp.BarcodeFormat.QRCode,
    "micro-qr": zxingcpp.BarcodeFormat.MicroQRCode,
    "data-matrix": zxingcpp.BarcodeFormat.DataMatrix,
    "aztec": zxingcpp.BarcodeFormat.Aztec,
    "pdf417": zxingcpp.BarcodeFormat.PDF417,
    "code-128": zxingcpp.BarcodeFormat.Code128,
    "code-39": zxingcpp.BarcodeFormat.Code39,
    "code-93": zxingcpp.BarcodeFormat.Code93,
    "codabar": zxingcpp.BarcodeFormat.Codabar,
    "itf": zxingcpp.BarcodeFormat.ITF,
    "ean-13": zxingcpp.BarcodeFormat.EAN13,
    "ean-8": zxingcpp.BarcodeFormat.EAN8,
    "upc-a": zxingcpp.BarcodeFormat.UPCA,
    "upc-e": zxingcpp.BarcodeFormat.UPCE,
}
_SOUGHT: Mapping[str, zxingcpp.BarcodeFormat] = {
    "all": zxingcpp.BarcodeFormat.AllReadable,
    "qr": zxingcpp.BarcodeFormat.QRCode,
    "matrix": zxingcpp.BarcodeFormat.AllMatrix,
    "bars": zxingcpp.BarcodeFormat.AllLinear,
}
_CORRECTIONS = {"low": "L", "medium": "M", "quartile": "Q", "high": "H"}
# The most that any of them holds: 7,089 digits in a QR code (ISO/IEC 18004).
_TEXT_MAX = 7_089
# A reader needs two or three pixels a module, and its time grows with the pixels.
_READ_PIXELS_MAX = 16_000_000
_WHITE = (255, 255, 255, 255)


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """One code that was found; the corners are clockwise from the top left, in pixels."""

    kind: str
    text: str
    corners: list[tuple[int, int]]
    turned_degrees: int


def draw(work: Work) -> Result:
    """Draw the code. Raises SourceUnreadable, TargetImpossible."""
    options: CodeOptions = work.options
    try:
        text = bytes(work.inputs[0]).decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SourceUnreadable("the text is not UTF-8") from error
    if not text or len(text) > _TEXT_MAX:
        raise TargetImpossible(
            f"a code holds 1 to {_TEXT_MAX} characters; this text has {len(text)}"
        )
    more = {"ec_level": _CORRECTIONS[options.correction]} if options.kind == "qr" else {}
    try:
        code = zxingcpp.create_barcode(text, _FORMATS[options.kind], **more)
        how = options.scale, options.caption, options.margin
        if work.target == "svg":
            return Result(files=(zxingcpp.write_barcode_to_svg(code, *how).encode(),))
        drawn: Buffer = zxingcpp.write_barcode_to_image(code, *how)  # type: ignore[assignment]  # offers the buffer protocol
    except (ValueError, RuntimeError) as error:
        raise TargetImpossible(
            f"kind: this text does not fit into a {options.kind} code; it is too long, or holds"
            " characters or a number of digits that such a code does not have"
        ) from error
    pixels = memoryview(drawn)
    high, wide = pixels.shape or (0, 0)
    buffer = io.BytesIO()
    Image.frombytes("L", (wide, high), pixels.tobytes()).save(buffer, "PNG", optimize=True)
    return Result(files=(buffer.getvalue(),))


def read(work: Work) -> Result:
    """What the codes say: one a line, or as JSON with their places. Raises TargetImpossible."""
    source = open_source(work.inputs[0], work.source, work.bounds)
    picture, scale = _grey(source.first, work.source)
    found = zxingcpp.read_barcodes(
        picture, formats=zxingcpp.BarcodeFormats(_SOUGHT[work.options.kinds])
    )
    if not found:
        raise TargetImpossible("no code that can be read was found in the picture")
    if work.target == "txt":
        return Result(files=("".join(f"{one.text}\n" for one in found).encode(),))
    codes = [_told(one, scale) for one in found]
    return Result(files=(msgspec.json.format(msgspec.json.encode({"codes": codes})),))


def _grey(image: Image.Image, source: str) -> tuple[Image.Image, float]:
    """The picture upright in grey, no larger than needed, and how much it was reduced."""
    with reading(source):
        image.load()
        plain = expand(image, [])
    if plain.mode in {"LA", "RGBA"}:
        plain = flatten(plain, _WHITE, "", [])
    plain = eight_bits(plain) if plain.mode == "I;16" else plain.convert("L")
    scale = max(1.0, (plain.width * plain.height / _READ_PIXELS_MAX) ** 0.5)
    if scale > 1:
        size = round(plain.width / scale), round(plain.height / scale)
        plain = resample(plain, (0, 0, *plain.size), size)
    return turned(plain, orientation_of(image)), scale


def _told(found: zxingcpp.Barcode, scale: float) -> Code:
    place = found.position
    corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
    kinds = {value: name for name, value in _FORMATS.items()}
    return Code(
        kind=kinds.get(found.format, str(found.format).rpartition(".")[2].lower()),
        text=found.text,
        corners=[(round(corner.x * scale), round(corner.y * scale)) for corner in corners],
        turned_degrees=found.orientation,
    )
