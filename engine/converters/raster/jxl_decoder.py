"""JPEG XL in: frames with their colours and times, and the boxes that tell of them."""

import ctypes
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from ctypes import byref, c_size_t
from typing import Any, NamedTuple

from engine.converters.raster.libjxl import (
    EIGHT,
    FLOAT,
    LIBRARY,
    MILLISECONDS,
    OK,
    SIXTEEN,
    BasicInfo,
    Encoding,
    FrameHeader,
    PixelFormat,
)
from engine.converters.raster.numbers import np

_NEEDS_BUFFER = 5
_BASIC, _COLOUR, _FRAME, _WHOLE, _BOX = 0x40, 0x100, 0x400, 0x1000, 0x4000
_NUMBERS = {FLOAT: "float32", EIGHT: "uint8", SIXTEEN: "uint16"}
# Which colours a profile is of: those that were encoded, or those that come out.
_AS_ENCODED, _AS_DECODED = 0, 1
_GREY, _D65, _SRGB_PRIMARIES, _SRGB_CURVE, _LINEAR_CURVE = 1, 1, 1, 13, 8
# No honest profile is larger: the largest are tables for print, of 3 MB.
_PROFILE_MAX = 16 * 1024 * 1024


class Frame(NamedTuple):
    """One frame as large as the picture, and what holds for all of them."""

    pixels: "np.ndarray[Any, Any]"
    duration_ms: float
    plays: int  # 0 is without end
    icc: bytes | None  # None is sRGB
    linear: bool  # numbers of light, whose curve is still to come


@contextmanager
def _decoder(data: bytes, events: int) -> Iterator[int]:
    decoder = LIBRARY.JxlDecoderCreate(None)
    try:
        LIBRARY.JxlDecoderSubscribeEvents(decoder, events)
        LIBRARY.JxlDecoderSetUnpremultiplyAlpha(decoder, 1)
        LIBRARY.JxlDecoderSetCms(decoder, LIBRARY.JxlGetDefaultCms()[0])
        LIBRARY.JxlDecoderSetInput(decoder, data, len(data))
        LIBRARY.JxlDecoderCloseInput(decoder)
        yield decoder
    finally:
        LIBRARY.JxlDecoderDestroy(decoder)


def boxes(data: bytes, wanted: Collection[bytes], bytes_max: int) -> dict[bytes, bytes]:
    """The first box of each of these kinds, unpacked where it is packed; no larger one, no damage.

    Damage ends the search: what describes a picture is no reason to refuse it.
    """
    found: dict[bytes, bytes] = {}
    kind, room = ctypes.create_string_buffer(4), None
    with _decoder(data, _BOX) as decoder:
        LIBRARY.JxlDecoderSetDecompressBoxes(decoder, 1)
        status = _BOX
        while status == _BOX:
            status = LIBRARY.JxlDecoderProcessInput(decoder)
            if room is not None:
                left = LIBRARY.JxlDecoderReleaseBoxBuffer(decoder)
                if status in {_BOX, OK}:
                    found[kind.raw] = room.raw[: len(room) - left]
                room = None
            if status == _BOX:
                LIBRARY.JxlDecoderGetBoxType(decoder, kind, 1)
                if kind.raw in wanted and kind.raw not in found:
                    room = ctypes.create_string_buffer(bytes_max)
                    LIBRARY.JxlDecoderSetBoxBuffer(decoder, room, bytes_max)
    return found


def count(data: bytes, stop: int) -> int:
    """How many frames there are, no further than `stop`, and none decoded. Raises ValueError."""
    found = 0
    with _decoder(data, _FRAME) as decoder:
        while found < stop and (status := LIBRARY.JxlDecoderProcessInput(decoder)) != OK:
            if status != _FRAME:
                raise ValueError("the frames cannot be counted")
            found += 1
    return found


def frames(data: bytes, skipped: int = 0) -> Generator[Frame]:
    """Decode one frame after the other, upright, those in front left out. Raises ValueError."""
    basic, header = BasicInfo(), FrameHeader()
    pixels, colours = np.empty(0, np.uint8), _Colours(None, linear=False)
    with _decoder(data, _BASIC | _COLOUR | _FRAME | _WHOLE) as decoder:
        LIBRARY.JxlDecoderSkipFrames(decoder, skipped)
        while (status := LIBRARY.JxlDecoderProcessInput(decoder)) != OK:
            if status == _BASIC:
                LIBRARY.JxlDecoderGetBasicInfo(decoder, byref(basic))
            elif status == _COLOUR:
                colours = _colours(decoder, basic)
            elif status == _FRAME:
                LIBRARY.JxlDecoderGetFrameHeader(decoder, byref(header))
            elif status == _NEEDS_BUFFER:
                pixels = _room(decoder, basic)
            elif status == _WHOLE:
                yield Frame(pixels, _shown_ms(header, basic), basic.animation.plays, *colours)
            else:
                raise ValueError("the codestream is damaged or ends early")


class _Colours(NamedTuple):
    icc: bytes | None
    linear: bool


def _colours(decoder: int, basic: BasicInfo) -> _Colours:
    """Say which colours are wanted, and which they are that come.

    Light in floating-point numbers becomes sRGB here where the codestream is libjxl's own colours,
    everything else comes in those that it was made of.
    """
    encoding = Encoding()
    if basic.exponent_bits:
        LIBRARY.JxlColorEncodingSetToSRGB(byref(encoding), basic.colour_channels == 1)
        LIBRARY.JxlDecoderSetOutputColorProfile(decoder, byref(encoding), None, 0)
    elif not basic.uses_original_profile and _encoding(decoder, _AS_ENCODED) is None:
        icc = _icc(decoder, _AS_ENCODED)
        LIBRARY.JxlDecoderSetOutputColorProfile(decoder, None, icc, len(icc))
    found = _encoding(decoder, _AS_DECODED)
    if found is None:
        return _Colours(_icc(decoder, _AS_DECODED), linear=False)
    if basic.exponent_bits and found.curve == _LINEAR_CURVE:
        return _Colours(None, linear=True)
    usual = found.space == _GREY or found.primaries == _SRGB_PRIMARIES
    if usual and found.curve == _SRGB_CURVE and found.white == _D65:
        return _Colours(None, linear=False)
    return _Colours(_icc(decoder, _AS_DECODED), linear=False)


def _encoding(decoder: int, which: int) -> Encoding | None:
    """The colours by their names; None where only a profile says what they are."""
    found = Encoding()
    status = LIBRARY.JxlDecoderGetColorAsEncodedProfile(decoder, which, byref(found))
    return found if status == OK else None


def _icc(decoder: int, which: int) -> bytes:
    size = c_size_t()
    status = LIBRARY.JxlDecoderGetICCProfileSize(decoder, which, byref(size))
    if status != OK or size.value > _PROFILE_MAX:
        raise ValueError("the colour profile cannot be read")
    profile = ctypes.create_string_buffer(size.value)
    if LIBRARY.JxlDecoderGetColorAsICCProfile(decoder, which, profile, size) != OK:
        raise ValueError("the colour profile cannot be read")
    return profile.raw


def _room(decoder: int, basic: BasicInfo) -> "np.ndarray[Any, Any]":
    """Rows for the next frame. Eight bits where that is all; floating-point numbers as they are."""
    channels = basic.colour_channels + (1 if basic.alpha_bits else 0)
    kind: int = FLOAT if basic.exponent_bits else SIXTEEN if basic.bits > 8 else EIGHT  # noqa: PLR2004
    pixels = np.empty((basic.height, basic.width, channels), _NUMBERS[kind])
    wanted = PixelFormat(channels, kind, 0, 0)
    given = LIBRARY.JxlDecoderSetImageOutBuffer(
        decoder, byref(wanted), pixels.ctypes.data, pixels.nbytes
    )
    if given != OK:
        raise ValueError("the frame does not fit its own size")
    return pixels


def _shown_ms(header: FrameHeader, basic: BasicInfo) -> float:
    if not basic.is_animated:
        return 0.0
    pace = basic.animation
    return float(header.duration * MILLISECONDS * pace.divisor / max(1, pace.ticks))
