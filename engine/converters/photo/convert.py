"""photo.convert and its kin: this family's decoders and encoders around what the families share."""

import msgspec

from engine.converter import Result, Work
from engine.converters.opening import check_pixels
from engine.converters.photo.catalogue import RAW, PhotoOptions
from engine.converters.photo.decoders import encode_qoi, open_photo, opened_raw
from engine.converters.raster.description import Description, described, written
from engine.converters.raster.jxl import encode_jxl, from_jpeg, to_jpeg
from engine.converters.raster.options import ImageOptions
from engine.converters.raster.pipeline import bind as bind_pages
from engine.converters.raster.pipeline import produce

_ENCODERS = {"jxl": encode_jxl, "qoi": encode_qoi}


def convert(work: Work) -> Result:
    """Convert one picture. Raises the errors of decoding, bounds and encoding in engine.errors."""
    if _is_repacking(work):
        return Result(files=(from_jpeg(work.inputs[0], work.bounds),))
    source = open_photo(work.inputs[0], work.source, work.options, work.bounds)
    made = produce(source, work.target, work.options, work.bounds, encoders=_ENCODERS)
    if work.source in RAW and work.options.metadata == "keep":
        said = "what a raw file tells about itself is not carried over"
        return msgspec.structs.replace(made, warnings=(*made.warnings, said))
    return made


def _is_repacking(work: Work) -> bool:
    """A JPEG that is to become a JPEG XL without any loss or change, its metadata included."""
    untouched = ImageOptions(
        lossless=True, metadata="keep", icc=work.options.icc, effort=work.options.effort
    )
    return work.source == "jpeg" and work.target == "jxl" and work.options == untouched


def bind(work: Work) -> Result:
    """The pictures as pages of a PDF, in the order in which they were sent."""
    sources = (
        open_photo(upload, name, work.options, work.bounds)
        for upload, name in zip(work.inputs, work.sources, strict=True)
    )
    return bind_pages(sources, work.options, work.bounds)


def restore(work: Work) -> Result:
    """The JPEG that was packed into a JPEG XL."""
    return Result(files=(to_jpeg(work.inputs[0], work.bounds),))


def describe(work: Work) -> Result:
    """What the picture is and says, as JSON."""
    data = work.inputs[0]
    if work.source not in RAW:
        return described(open_photo(data, work.source, PhotoOptions(), work.bounds), data)
    with opened_raw(data) as raw:
        sizes, other, lens = raw.sizes, raw.other, raw.lens
        check_pixels((sizes.raw_width, sizes.raw_height), work.bounds)
        told = {
            "ISOSpeedRatings": round(other.iso_speed),
            "ExposureTime": round(other.shutter_speed, 9),
            "FNumber": round(other.aperture, 2),
            "FocalLength": round(other.focal_length, 2),
            "LensMake": lens.make[:100],
            "LensModel": lens.model[:100],
            "Artist": other.artist[:100],
        }
        white = int(raw.white_level or 1)
    return written(
        Description(
            format=work.source,
            bytes=len(data),
            width=sizes.width,
            height=sizes.height,
            mode="RAW",
            bits=white.bit_length(),
            transparency=False,
            exif={name: value for name, value in told.items() if value},
        )
    )
