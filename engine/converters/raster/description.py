"""What a picture is, and what it tells about its maker, as JSON: the operation metadata.

Everything that a file says is text of a stranger: lengths are bounded, bytes are not shown.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from PIL import ExifTags, Image, ImageCms

from engine.converter import Result
from engine.converters.colour import opened_profile
from engine.converters.opening import reading
from engine.converters.raster.metadata import orientation_of
from engine.converters.raster.sources import Source
from engine.converters.resolution import resolution
from engine.job import Buffer

_TEXT_MAX = 10_000
_LIST_MAX = 100
_EXIF_IFD, _GPS_IFD = int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo)
_DEPTHS = {"1": 1, "I;16": 16, "I;16B": 16, "I;16L": 16, "I": 32, "F": 32}
_LATITUDE, _LONGITUDE, _ALTITUDE = (1, 2), (3, 4), (5, 6)
_Read = TypeVar("_Read")
# What Pillow lets through for a damaged block.
_DAMAGE = (SyntaxError, ValueError, TypeError, LookupError, OSError, ArithmeticError)


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded colour profile."""

    description: str
    space: str
    bytes: int


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was taken: degrees, north and east positive; metres above the sea."""

    latitude: float
    longitude: float
    altitude_m: float | None = None


class Description(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is known without decoding more than the header."""

    format: str
    bytes: int
    width: int
    height: int
    mode: str
    bits: int
    transparency: bool
    frames: int = 1
    pages: int = 1
    plays: int | None = None
    orientation: int = 1
    dpi: tuple[float, float] | None = None
    profile: Profile | None = None
    place: Place | None = None
    exif: dict[str, Any] = {}
    xmp: str = ""
    comment: str = ""


def described(source: Source, data: Buffer) -> Result:
    """The description, formatted for people and machines."""
    return written(description(source, data), source.warnings)


def written(told: Description, warnings: tuple[str, ...] = ()) -> Result:
    """A description as JSON."""
    return Result(files=(msgspec.json.format(msgspec.json.encode(told)),), warnings=warnings)


def description(source: Source, data: Buffer) -> Description:
    """The description of an opened picture."""
    image = source.first
    with reading(source.name):
        transparency = image.has_transparency_data
    animated = source.count > 1 and not source.paged
    return Description(
        format=source.name,
        bytes=len(data),
        width=image.width,
        height=image.height,
        mode=image.mode,
        bits=_DEPTHS.get(image.mode, 8),
        transparency=transparency,
        frames=source.count if animated else 1,
        pages=source.count if source.paged else 1,
        plays=image.info.get("loop") if animated else None,
        orientation=orientation_of(image),
        dpi=resolution(image),
        profile=_profile(image),
        place=_quietly(_place, image),
        exif=_quietly(_exif, image) or {},
        xmp=_text(image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")),
        comment=_text(image.info.get("comment") or image.info.get("Comment")),
    )


def _quietly(read: Callable[[Image.Image], _Read], image: Image.Image) -> _Read | None:
    try:
        return read(image)
    except _DAMAGE:
        return None


def _profile(image: Image.Image) -> Profile | None:
    icc: bytes = image.info.get("icc_profile") or b""
    profile = opened_profile(icc) if icc else None
    if profile is None:
        return None
    return Profile(
        description=_text(ImageCms.getProfileDescription(profile)).strip(),
        space=str(profile.profile.xcolor_space).strip(),
        bytes=len(icc),
    )


def _exif(image: Image.Image) -> dict[str, Any]:
    read = image.getexif()
    names = {**read, **read.get_ifd(_EXIF_IFD)}
    for pointer in (_EXIF_IFD, _GPS_IFD):
        names.pop(pointer, None)
    return {
        ExifTags.TAGS[tag]: shown
        for tag, value in names.items()
        if tag in ExifTags.TAGS and (shown := _shown(value)) is not None
    }


def _place(image: Image.Image) -> Place | None:
    gps = image.getexif().get_ifd(_GPS_IFD)
    if not gps:
        return None
    height = _degrees_free(gps, _ALTITUDE)
    return Place(
        latitude=_degrees(gps, _LATITUDE, "S"),
        longitude=_degrees(gps, _LONGITUDE, "W"),
        altitude_m=height,
    )


def _degrees(gps: dict[int, Any], tags: tuple[int, int], negative: str) -> float:
    degrees, minutes, seconds = (float(part) for part in gps[tags[1]])
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value):
        raise ValueError("no number")
    return round(-value if gps.get(tags[0]) == negative else value, 7)


def _degrees_free(gps: dict[int, Any], tags: tuple[int, int]) -> float | None:
    if tags[1] not in gps:
        return None
    value = float(gps[tags[1]])
    below = gps.get(tags[0]) in {1, b"\x01"}
    return round(-value if below else value, 2) if math.isfinite(value) else None


def _shown(value: Any) -> Any:
    """A value as JSON can hold it; None for bytes and what is not a number."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (tuple, list)):
        parts = [_shown(part) for part in value[:_LIST_MAX]]
        return None if None in parts else parts
    if isinstance(value, int):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return round(number, 9) if math.isfinite(number) else None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip("\0 ")[:_TEXT_MAX] if value else ""
