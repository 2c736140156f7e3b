"""Write frames as the target format: one function a format, chosen from a table."""

from collections.abc import Callable
from typing import Any

import msgspec
from PIL import Image, ImageFile, PngImagePlugin

from engine.converters.capped import CappedBuffer
from engine.converters.image.catalogue import ImageOptions
from engine.converters.image.metadata import Metadata
from engine.converters.image.modes import to_palette
from engine.errors import TargetImpossible
from engine.job import Buffer

# Chosen at equal SSIM on photographs; libvips' and sharp's defaults for JPEG and WebP are the same.
_QUALITY = {"jpeg": 80, "webp": 80, "avif": 60}
# Above this many pixels AVIF takes a faster speed: 12 MP at speed 6 costs 4 s, at 8 about 1 s.
_LARGE_PIXELS = 2_000_000
# Viewers show a frame of 10 ms or less for 100 ms; formats that would obey are told what was seen.
_XMP_TAG = 700
_HASTE_MS, _SEEN_MS = 10, 100


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """Finished frames, in a mode that the target holds, with what is written beside them."""

    frames: list[Image.Image]
    durations_ms: list[int]
    plays: int  # how often an animation runs; 0 is without end
    metadata: Metadata
    icc: bytes | None

    @property
    def pixels(self) -> int:
        """Pixels of one frame."""
        return self.frames[0].width * self.frames[0].height


def encode(picture: Picture, target: str, options: ImageOptions, bytes_max: int) -> Buffer:
    """Write the picture. Raises TargetTooLarge, TargetImpossible."""
    buffer = CappedBuffer(bytes_max)
    parameters = _PARAMETERS[target](picture, options)
    frames = [_prepared(frame, target, len(picture.frames)) for frame in picture.frames]
    if len(frames) > 1:
        parameters |= {"save_all": True, "append_images": frames[1:]}
    if target in _TIMED and len(frames) > 1:
        parameters |= _TIMED[target](picture)
    try:
        frames[0].save(buffer, _PILLOW_NAMES[target], **parameters)
    except (OSError, ValueError, RuntimeError) as error:
        raise TargetImpossible(f"this image cannot be written as {target}") from error
    return buffer.take()


def _prepared(frame: Image.Image, target: str, count: int) -> Image.Image:
    """A frame with nothing in its info but what a palette needs: savers write what they find."""
    kept = frame.info.get("transparency") if frame.mode == "P" else None
    frame.info = {} if kept is None else {"transparency": kept}
    # Diffusion flickers from frame to frame and triples an animation's size.
    return to_palette(frame, dither=count == 1) if target == "gif" else frame


def _jpeg(picture: Picture, options: ImageOptions) -> dict[str, Any]:
    # libjpeg cannot stop half way when it optimises: the buffer must hold the whole result.
    ImageFile.MAXBLOCK = max(65_536, picture.pixels * 4)
    return {
        "quality": options.quality or _QUALITY["jpeg"],
        "optimize": True,
        "progressive": options.progressive,
        "subsampling": options.chroma,
        **_beside(picture, xmp=True),
    }


def _png(picture: Picture, options: ImageOptions) -> dict[str, Any]:
    parameters = {"compress_level": options.effort or 6, **_beside(picture)}
    if picture.metadata.xmp:
        chunks = PngImagePlugin.PngInfo()
        chunks.add_itxt("XML:com.adobe.xmp", picture.metadata.xmp.decode("utf-8", "replace"))
        parameters["pnginfo"] = chunks
    return parameters


def _webp(picture: Picture, options: ImageOptions) -> dict[str, Any]:
    # libwebp has methods 0 to 6. Its quality means effort where the target is lossless.
    quality = 75 if options.lossless else _QUALITY["webp"]
    return {
        "quality": options.quality or quality,
        "lossless": options.lossless,
        "exact": options.lossless,
        "method": 4 if options.effort is None else round(options.effort * 6 / 9),
        **_beside(picture, xmp=True),
    }


def _avif(picture: Picture, options: ImageOptions) -> dict[str, Any]:
    speed = 8 if picture.pixels * len(picture.frames) > _LARGE_PIXELS else 6
    parameters = {
        "quality": options.quality or _QUALITY["avif"],
        "speed": speed if options.effort is None else 10 - options.effort,
        "max_threads": 1,
        **_beside(picture, xmp=True),
    }
    return (
        parameters
        if picture.frames[0].mode == "L"
        else {**parameters, "subsampling": options.chroma}
    )


def _gif(_picture: Picture, _options: ImageOptions) -> dict[str, Any]:
    return {"optimize": True}


def _tiff(picture: Picture, options: ImageOptions) -> dict[str, Any]:
    # Group 4 is half the size of anything else for one bit a pixel.
    del options
    compression = (
        "group4" if {frame.mode for frame in picture.frames} == {"1"} else "tiff_adobe_deflate"
    )
    parameters = {"compression": compression, **_beside(picture)}
    if picture.metadata.xmp:
        tags = Image.Exif()
        tags.load(picture.metadata.exif or b"")
        tags[_XMP_TAG] = picture.metadata.xmp
        parameters["exif"] = tags
    return parameters


def _bmp(_picture: Picture, _options: ImageOptions) -> dict[str, Any]:
    return {}


def _beside(picture: Picture, *, xmp: bool = False) -> dict[str, Any]:
    """The parameters that several savers share, only those with a value."""
    found: dict[str, Any] = {
        "icc_profile": picture.icc,
        "exif": picture.metadata.exif,
        "dpi": picture.metadata.dpi,
        "xmp": picture.metadata.xmp if xmp else None,
    }
    return {name: value for name, value in found.items() if value}


def _gif_timing(picture: Picture) -> dict[str, Any]:
    # GIF counts repetitions after the first run, and has no block at all for a single run.
    timing: dict[str, Any] = {"duration": picture.durations_ms}
    if any(frame.has_transparency_data for frame in picture.frames):
        timing["disposal"] = 2
    return timing if picture.plays == 1 else {**timing, "loop": max(0, picture.plays - 1)}


def _other_timing(picture: Picture) -> dict[str, Any]:
    seen = [_SEEN_MS if ms <= _HASTE_MS else ms for ms in picture.durations_ms]
    return {"duration": seen, "loop": picture.plays}


def _avif_timing(picture: Picture) -> dict[str, Any]:
    return {"duration": _other_timing(picture)["duration"]}


_PILLOW_NAMES = {
    name: name.upper() for name in ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")
}
_PARAMETERS: dict[str, Callable[[Picture, ImageOptions], dict[str, Any]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
    "gif": _gif,
    "tiff": _tiff,
    "bmp": _bmp,
}
_TIMED: dict[str, Callable[[Picture], dict[str, Any]]] = {
    "gif": _gif_timing,
    "webp": _other_timing,
    "avif": _avif_timing,
    "png": _other_timing,
}
