"""Use every image codec once, on a picture small enough to cost nothing.

A worker can open no file: what a library would load at first use has to be used before the fork.
"""

import io
from itertools import product

from PIL import Image, ImageCms

from engine.converter import Work
from engine.converters.image.catalogue import RASTER, ImageOptions
from engine.converters.image.convert import convert
from engine.converters.image.encode import Picture, encode
from engine.converters.image.metadata import Metadata
from engine.errors import EngineError
from engine.job import Bounds, Buffer

_SIDE = 24
# What a spare is touched with, made before the fork.
_touchstone: list[bytes] = []


def warm() -> None:
    """Convert each format to each, the common options included; fail once where files do."""
    samples = {source: _sample(source, frames=2) for source in RASTER}
    for source, target in product(RASTER, RASTER):
        for options in (ImageOptions(), ImageOptions(width=9, metadata="keep", icc="keep")):
            _convert(samples[source], source, target, options)
    for source in RASTER:
        _fail(samples[source], source)
    plain = io.BytesIO()
    Image.new("RGB", (_SIDE, _SIDE), (200, 90, 30)).save(plain, "JPEG")
    _touchstone.append(plain.getvalue())


def touch() -> None:
    """One small JPEG through decoder and encoder: the path most customers take, no page more."""
    _convert(_touchstone[0], "jpeg", "jpeg", ImageOptions())


def _sample(target: str, *, frames: int) -> Buffer:
    pictures = [Image.linear_gradient("L").resize((_SIDE, _SIDE)).convert("RGB")]
    pictures += [Image.new("RGB", (_SIDE, _SIDE), (200, 10 * n, 30)) for n in range(1, frames)]
    exif = Image.Exif()
    exif[0x010F] = "warm"
    picture = Picture(
        frames=pictures if target not in {"jpeg", "bmp"} else pictures[:1],
        durations_ms=[100] * frames,
        plays=0,
        metadata=Metadata(exif=exif.tobytes(), xmp=b"<x/>", dpi=(72.0, 72.0)),
        icc=ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes(),
    )
    return encode(picture, target, ImageOptions(), Bounds().output_bytes_max)


def _convert(data: Buffer, source: str, target: str, options: ImageOptions) -> None:
    convert(
        Work(sources=(source,), target=target, inputs=(data,), options=options, bounds=Bounds())
    )


def _fail(data: Buffer, source: str) -> None:
    try:
        _convert(data[: len(data) // 2], source, "png", ImageOptions())
    except EngineError:
        return
