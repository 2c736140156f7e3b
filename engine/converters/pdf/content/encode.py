"""Write drawn pages as image files, in memory and within the bound."""

from collections.abc import Iterable
from typing import Any

from PIL import Image, TiffImagePlugin

from engine.converters.capped import CappedBuffer
from engine.converters.pdf.content.options import RenderOptions
from engine.job import Buffer

# Pages are mostly text: fine edges need more than a photograph does. Same order as image.convert's.
_QUALITY = {"jpeg": 85, "webp": 85, "avif": 65}
# libaom's scale of 0 to 10: 8 costs a fifth of 6 and a few percent of size.
_AVIF_SPEED = 8
_GIF_COLOURS = 256


def encode(
    picture: Image.Image, target: str, dpi: float, options: RenderOptions, room: int
) -> Buffer:
    """One picture as one file. `room`: bytes it may have. Raises TargetTooLarge."""
    buffer = CappedBuffer(room)
    if target == "tiff":
        return encode_tiff([(picture, dpi)], room)
    ready, settings = _settings(picture, target, dpi, options)
    ready.save(buffer, target.upper(), **settings)
    return buffer.take()


def encode_tiff(pages: Iterable[tuple[Image.Image, float]], room: int) -> Buffer:
    """All pictures in one TIFF, written as they come: only one is in memory at a time."""
    buffer = CappedBuffer(room)
    with TiffImagePlugin.AppendingTiffWriter(buffer) as writer:
        for picture, dpi in pages:
            compression = "group4" if picture.mode == "1" else "tiff_adobe_deflate"
            picture.save(writer, "TIFF", compression=compression, dpi=(dpi, dpi))
            writer.newFrame()
    return buffer.take()


def _settings(
    picture: Image.Image, target: str, dpi: float, options: RenderOptions
) -> tuple[Image.Image, dict[str, Any]]:
    """The picture in a mode the format knows, and what its encoder is told."""
    quality = options.quality or _QUALITY.get(target, 0)
    resolution = (round(dpi), round(dpi))
    if target == "jpeg":
        # Coloured letters keep their edges: no chroma subsampling.
        ready = picture.convert("L") if picture.mode == "1" else picture
        return ready, {"quality": quality, "subsampling": 0, "optimize": True, "dpi": resolution}
    if target == "png":
        return picture, {"compress_level": 6, "dpi": (dpi, dpi)}
    if target == "gif":
        return _palette(picture), {}
    if target == "bmp":
        return picture, {"dpi": resolution}
    ready = picture.convert("RGBA" if picture.mode in {"LA", "RGBA"} else "RGB")
    if target == "webp":
        return ready, {"quality": quality, "lossless": options.lossless, "method": 4}
    return ready, {
        "quality": quality,
        "subsampling": "4:4:4",
        "speed": _AVIF_SPEED,
        "max_threads": 1,  # a worker may start none
    }


def _palette(picture: Image.Image) -> Image.Image:
    """At most 256 colours; Pillow itself finds one that can be seen through."""
    if picture.mode != "RGB":
        return picture
    return picture.quantize(_GIF_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
