"""Use every codec of the family once, on a picture small enough to cost nothing.

A worker can open no file: what a library would load at first use has to be used before the fork.
oxipng is the exception: it starts a thread that stays, which a zygote must not have. It loads
nothing.
"""

import io
import struct
from collections.abc import Callable

import imagecodecs
from PIL import Image

from engine.converter import Result, Work
from engine.converters.photo import catalogue
from engine.converters.photo.convert import bind, convert, describe, restore
from engine.converters.raster import fonts
from engine.converters.raster.arrays import to_array
from engine.converters.raster.formats import TARGETS
from engine.converters.raster.numbers import np
from engine.converters.raster.options import ImageOptions, NoOptions
from engine.errors import EngineError
from engine.job import Bounds, Buffer
from engine.rehearsal import Rehearsal

_SIDE = 24


def warm() -> list[Rehearsal]:
    """Decode and encode each format, the common options included; fail once where files do."""
    for name in (fonts.REGULAR, fonts.BOLD):
        fonts.content(name)
    image = Image.linear_gradient("L").resize((_SIDE, _SIDE)).convert("RGB")
    plain = io.BytesIO()
    image.save(plain, "PNG")
    samples = {
        target: _call(convert, plain.getvalue(), "png", target, ImageOptions())
        for target in catalogue.ENCODED
    }
    samples["jxr"] = imagecodecs.jpegxr_encode(to_array(image))
    for source, data in samples.items():
        for target in (*TARGETS, *catalogue.ENCODED):
            _call(convert, data, source, target, ImageOptions(width=9))
        for options in (
            ImageOptions(metadata="keep", icc="keep"),
            ImageOptions(watermark_text="w"),
        ):
            _call(convert, data, source, "png", options)
        _call(bind, data, source, "pdf", ImageOptions())
        _call(describe, data, source, "json", NoOptions())
        _fail(convert, data[: len(data) // 2], source, ImageOptions())
    photograph = io.BytesIO()
    image.save(photograph, "JPEG")
    packed = _call(
        convert, photograph.getvalue(), "jpeg", "jxl", ImageOptions(lossless=True, metadata="keep")
    )
    _call(restore, packed, "jxl", "jpeg", NoOptions())
    _deep(image)
    _fail(convert, b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(40), "heic", ImageOptions())
    raw = _raw()
    for balance in ("camera", "auto", "daylight"):
        options = catalogue.PhotoOptions(white_balance=balance, exposure=1)
        _call(convert, raw, "dng", "jpeg", options)
    _call(describe, raw, "dng", "json", NoOptions())
    _fail(convert, raw, "dng", catalogue.PhotoOptions(preview=True))
    _fail(convert, raw[:200], "dng", catalogue.PhotoOptions())
    # JPEG XL would make each waiting spare 9 MB larger.
    return [Rehearsal("photo.convert", "png", "qoi", plain.getvalue())]


def _deep(image: Image.Image) -> None:
    """Arrays of other kinds of numbers, as the codecs may give them."""
    colours = to_array(image)
    for samples in (colours.astype(np.uint16) * 257, colours[:, :, 0].astype(np.uint16)):
        _call(convert, imagecodecs.jpegxl_encode(samples), "jxl", "png", ImageOptions())
    light = imagecodecs.jpegxr_encode(colours.astype(np.float32) / 255)
    _call(convert, light, "jxr", "png", ImageOptions())


def _raw() -> bytes:
    """The smallest raw file that LibRaw develops: a DNG of one grey Bayer pattern."""
    wide = high = 64
    pixels = b"\x00\x20" * (wide * high)
    entries = [
        (254, 4, 1, 0), (256, 4, 1, wide), (257, 4, 1, high), (258, 3, 1, 16), (259, 3, 1, 1),
        (262, 3, 1, 32803), (271, 2, 4, b"new\0"), (272, 2, 4, b"one\0"), (273, 4, 1, None),
        (277, 3, 1, 1), (278, 4, 1, high), (279, 4, 1, len(pixels)), (33421, 3, 2, b"\2\0\2\0"),
        (33422, 1, 4, b"\0\1\1\2"), (50706, 1, 4, b"\1\4\0\0"), (50717, 3, 1, 65535),
    ]  # fmt: skip
    begin = 8 + 2 + 12 * len(entries) + 4
    table = b"".join(
        struct.pack("<HHI", tag, kind, count)
        + (
            value
            if isinstance(value, bytes)
            else struct.pack("<I", begin if value is None else value)
        )
        for tag, kind, count, value in entries
    )
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4) + pixels


def _call(
    run: Callable[[Work], Result], data: Buffer, source: str, target: str, options: object
) -> Buffer:
    work = Work(sources=(source,), target=target, inputs=(data,), options=options, bounds=Bounds())
    return run(work).files[0]


def _fail(run: Callable[[Work], Result], data: Buffer, source: str, options: object) -> None:
    try:
        _call(run, data, source, "png", options)
    except EngineError:
        return
