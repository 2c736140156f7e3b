"""HEIC, QOI, JPEG XR and camera raw: size from the header, then the codec, then plain pixels."""

import io
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import imagecodecs
import pi_heif
import rawpy

from engine.converters.opening import check_pixels, reading
from engine.converters.photo.catalogue import RAW, PhotoOptions
from engine.converters.raster.arrays import to_array, to_image
from engine.converters.raster.encode import Picture
from engine.converters.raster.jxl import open_jxl
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.sources import Source, open_source, still
from engine.errors import SourceUnreadable, TargetImpossible, TargetTooLarge
from engine.job import Bounds, Buffer

# Tiles one after the other: libde265 still starts a thread for each, and ends it.
pi_heif.register_heif_opener(decode_threads=0, thumbnails=False)

# Tags of the directory in a JPEG XR file (ITU-T T.832, annex A).
_JXR_WIDTH, _JXR_HEIGHT = 0xBC80, 0xBC81
_JXR_ENTRIES_MAX = 256
# LibRaw takes the factor of the light: a quarter to eight times.
_STOP = 2.0


def open_photo(data: Buffer, name: str, options: object, bounds: Bounds) -> Source:
    """Open what this family decodes, and what the image family does as well."""
    if name in RAW:
        assert isinstance(options, PhotoOptions)  # noqa: S101  # the catalogue gives no others to raw
        return _open_raw(data, name, options, bounds)
    opener = _OPENERS.get(name)
    return opener(data, name, bounds) if opener else open_source(data, name, bounds)


def _open_qoi(data: Buffer, name: str, bounds: Bounds) -> Source:
    with reading(name):
        wide, high = struct.unpack_from(">II", data, 4)
    check_pixels((wide, high), bounds)
    return _decoded(name, lambda: imagecodecs.qoi_decode(bytes(data)))


def _open_jxr(data: Buffer, name: str, bounds: Bounds) -> Source:
    with reading(name):
        size = _jxr_size(data)
    check_pixels(size, bounds)
    return _decoded(name, lambda: imagecodecs.jpegxr_decode(bytes(data)))


def _jxr_size(data: Buffer) -> tuple[int, int]:
    """Width and height from the file's directory. Raises struct.error, KeyError."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    found = {}
    for index in range(min(count, _JXR_ENTRIES_MAX)):
        tag, kind, _, value = struct.unpack_from("<HHII", data, at + 2 + 12 * index)
        # A short stands in the first half of the field (TIFF 6.0).
        found[tag] = value & 0xFFFF if kind == 3 else value  # noqa: PLR2004  # SHORT
    return found[_JXR_WIDTH], found[_JXR_HEIGHT]


def _decoded(name: str, decode: Callable[[], Any]) -> Source:
    warnings: list[str] = []
    with reading(name):
        image = to_image(decode(), warnings)
    return still(name, image, warnings)


def _open_raw(data: Buffer, name: str, options: PhotoOptions, bounds: Bounds) -> Source:
    """Develop a camera's raw file, or take the picture that the camera made of it."""
    with opened_raw(data) as raw:
        check_pixels((raw.sizes.raw_width, raw.sizes.raw_height), bounds)
        if options.preview:
            return _preview(raw, name, bounds)
        pixels = raw.postprocess(
            use_camera_wb=options.white_balance == "camera",
            use_auto_wb=options.white_balance == "auto",
            exp_shift=_STOP**options.exposure,
            no_auto_bright=bool(options.exposure),
            output_bps=8,
        )
        image = to_image(pixels, [])
    return still(name, image)


def _preview(raw: Any, name: str, bounds: Bounds) -> Source:
    try:
        thumbnail = raw.extract_thumb()
    except rawpy.LibRawError as error:
        raise TargetImpossible("preview: the camera put no picture into this file") from error
    if thumbnail.format is rawpy.ThumbFormat.JPEG:
        return open_source(thumbnail.data, "jpeg", bounds)
    image = to_image(thumbnail.data, [])
    return still(name, image)


@contextmanager
def opened_raw(data: Buffer) -> Iterator[rawpy.RawPy]:
    """The file, its header read; what LibRaw raises meanwhile is translated.

    rawpy.imread would look for multiprocessing, to warn of what a fork does to OpenMP.
    """
    try:
        with rawpy.RawPy() as raw:
            raw.open_buffer(io.BytesIO(data))
            yield raw
    except (rawpy.LibRawError, OSError, ValueError, RuntimeError) as error:
        raise SourceUnreadable(
            "the camera's raw file cannot be read: it is damaged, cut off, or of a camera that is"
            " not known"
        ) from error


def encode_qoi(picture: Picture, _target: str, _options: ImageOptions, bytes_max: int) -> Buffer:
    """Write the first frame. Raises TargetTooLarge."""
    written = bytes(imagecodecs.qoi_encode(to_array(picture.frames[0])))
    if len(written) > bytes_max:
        raise TargetTooLarge("the result is larger than the limit")
    return written


_OPENERS: Mapping[str, Callable[[Buffer, str, Bounds], Source]] = {
    "jxl": open_jxl,
    "qoi": _open_qoi,
    "jxr": _open_jxr,
}
