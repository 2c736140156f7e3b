"""Write frames as the target format: one function a format, chosen from a table."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from PIL import Image, ImageFile, PngImagePlugin

from engine.converters.capped import CappedBuffer
from engine.converters.raster import icons
from engine.converters.raster.metadata import Metadata
from engine.converters.raster.modes import best_palette, to_palette
from engine.converters.raster.options import ImageOptions
from engine.errors import TargetImpossible
from engine.formats import title
from engine.job import Buffer

# Chosen at equal SSIM on photographs; libvips' and sharp's defaults for JPEG and WebP are the same.
QUALITY = {"jpeg": 80, "webp": 80, "avif": 60, "jp2": 80, "pdf": 92}
# Where a search for a size begins: beyond it files grow and eyes see nothing.
_QUALITY_SEARCHED = 95
# What one try may write: more than the largest size that can be asked for.
_TRIED_BYTES_MAX = 512 * 1024 * 1024
# Above this many pixels AVIF takes a faster speed: 12 MP at speed 6 costs 4 s, at 8 about 1 s.
_LARGE_PIXELS = 2_000_000
# Viewers show a frame of 10 ms or less for 100 ms; formats that would obey are told what was seen.
_XMP_TAG = 700
_HASTE_MS, _SEEN_MS = 10, 100
# JPEG 2000 is told a fidelity in decibels: quality 80 is 42, where JPEG 80 lies as well.
_DECIBELS_LEAST, _DECIBELS_STEP = 20.0, 0.28
_INCH_MM = 25.4


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

    @property
    def seen_ms(self) -> list[int]:
        """How long viewers show each frame."""
        return [_SEEN_MS if ms <= _HASTE_MS else ms for ms in self.durations_ms]


Encoder = Callable[[Picture, str, ImageOptions, int], Buffer]


def encode(
    picture: Picture,
    target: str,
    options: ImageOptions,
    bytes_max: int,
    encoders: Mapping[str, Encoder] | None = None,
) -> Buffer:
    """Write the picture; `encoders` are a family's own. Raises TargetTooLarge, TargetImpossible."""
    encoder = {**_OWN, **(encoders or {})}.get(target, _by_pillow)
    if options.bytes_max is None:
        return encoder(picture, target, options, bytes_max)
    return _within(options.bytes_max, encoder, picture, target, options)


def _within(
    bytes_max: int, encoder: Encoder, picture: Picture, target: str, options: ImageOptions
) -> Buffer:
    """The best quality whose result is no larger than asked, by halving. Raises TargetImpossible.

    Encoders are not strictly monotonous; one that is not ends with a result that fits all the same.
    """
    best: Buffer | None = None
    low, high = 1, options.quality or _QUALITY_SEARCHED
    tried = high
    while low <= high:
        chosen = msgspec.structs.replace(options, quality=tried)
        written = encoder(picture, target, chosen, _TRIED_BYTES_MAX)
        if len(written) <= bytes_max:
            best, low = written, tried + 1
        else:
            high = tried - 1
        tried = (low + high) // 2
    if best is None:
        raise TargetImpossible(
            f"even at the lowest quality this image is larger than {bytes_max} bytes as"
            f" {target}; give a smaller width or height"
        )
    return best


def _by_pillow(picture: Picture, target: str, options: ImageOptions, bytes_max: int) -> Buffer:
    buffer = CappedBuffer(bytes_max)
    parameters = _PARAMETERS.get(target, _nothing)(picture, options)
    count = len(picture.frames)
    frames = [_prepared(frame, target, options, count) for frame in picture.frames]
    if count > 1:
        parameters |= {"save_all": True, "append_images": frames[1:]}
    if target in _TIMED and count > 1:
        parameters |= _TIMED[target](picture)
    try:
        frames[0].save(buffer, _PILLOW_NAMES.get(target, target.upper()), **parameters)
    except (OSError, ValueError, RuntimeError) as error:
        raise TargetImpossible(f"this image cannot be written as {title(target)}") from error
    return buffer.take()


def _prepared(frame: Image.Image, target: str, options: ImageOptions, count: int) -> Image.Image:
    """A frame with nothing in its info but what a palette needs: savers write what they find."""
    kept = frame.info.get("transparency") if frame.mode == "P" else None
    frame.info = {} if kept is None else {"transparency": kept}
    if target == "gif":
        # Diffusion flickers from frame to frame and triples an animation's size.
        return to_palette(frame, dither=count == 1, colours=options.colours or 256)
    if options.colours is not None and frame.mode not in {"1", "P"}:
        return best_palette(frame, options.colours)
    return frame


def _nothing(_picture: Picture, _options: ImageOptions) -> dict[str, Any]:
    return {}


def _jpeg(picture: Picture, options: ImageOptions) -> dict[str, Any]:
    # libjpeg cannot stop half way when it optimises: the buffer must hold the whole result.
    ImageFile.MAXBLOCK = max(65_536, picture.pixels * 4)
    return {
        "quality": options.quality or QUALITY["jpeg"],
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
    quality = 75 if options.lossless else QUALITY["webp"]
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
        "quality": options.quality or QUALITY["avif"],
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


def _bmp(picture: Picture, _options: ImageOptions) -> dict[str, Any]:
    return {"dpi": picture.metadata.dpi} if picture.metadata.dpi else {}


def _jp2(picture: Picture, options: ImageOptions) -> dict[str, Any]:
    if options.lossless or picture.frames[0].mode == "I;16":
        return {"irreversible": False}
    quality = options.quality or QUALITY["jp2"]
    return {
        "irreversible": True,
        "quality_mode": "dB",
        "quality_layers": [_DECIBELS_LEAST + _DECIBELS_STEP * quality],
    }


def _tga(_picture: Picture, _options: ImageOptions) -> dict[str, Any]:
    return {"compression": "tga_rle"}


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
    return {"duration": picture.seen_ms, "loop": picture.plays}


def _avif_timing(picture: Picture) -> dict[str, Any]:
    return {"duration": picture.seen_ms}


def _icon(picture: Picture, target: str, _options: ImageOptions, bytes_max: int) -> Buffer:
    buffer = CappedBuffer(bytes_max)
    buffer.write(icons.WRITERS[target](picture.frames[0]))
    return buffer.take()


# What Pillow calls the formats, where that is not our name in capitals.
_PILLOW_NAMES = {"jp2": "JPEG2000", "ppm": "PPM", "pgm": "PPM", "pbm": "PPM"}
_PARAMETERS: dict[str, Callable[[Picture, ImageOptions], dict[str, Any]]] = {
    "jpeg": _jpeg,
    "png": _png,
    "webp": _webp,
    "avif": _avif,
    "gif": _gif,
    "tiff": _tiff,
    "bmp": _bmp,
    "jp2": _jp2,
    "tga": _tga,
}
_TIMED: dict[str, Callable[[Picture], dict[str, Any]]] = {
    "gif": _gif_timing,
    "webp": _other_timing,
    "avif": _avif_timing,
    "png": _other_timing,
}
# Written here rather than by Pillow.
_OWN: dict[str, Encoder] = {"ico": _icon, "icns": _icon}
