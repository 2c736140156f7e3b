"""libjxl itself, by ctypes: what imagecodecs' functions leave out of a JPEG XL file.

Those know neither colour profiles nor how long a frame is shown. The library is the same one, the
copy that imagecodecs brings: its functions are found through the extension that is linked to it.
Structures are those of libjxl 0.9 to 0.11 (jxl/codestream_header.h, jxl/color_encoding.h). No
thread is started: without a runner libjxl works in the calling one.
"""

import ctypes
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from ctypes import POINTER, byref, c_double, c_float, c_int, c_int32, c_size_t, c_uint32, c_void_p
from typing import Any, NamedTuple

# numbers before imagecodecs, which imports numpy.
from engine.converters.raster.numbers import np  # isort: skip
from imagecodecs import _jpegxl  # isort: skip

_library = ctypes.CDLL(_jpegxl.__file__)
# Since then profiles are asked for without a format of pixels, and one machinery of colour is in.
if _library.JxlDecoderVersion() < 9_000:  # noqa: PLR2004  # 0.9.0
    raise ImportError("libjxl before 0.9 has other functions; install imagecodecs 2024.6 or later")

_OK, _ERROR, _MORE_INPUT, _NEEDS_BUFFER = 0, 1, 2, 5
_BASIC, _COLOUR, _FRAME, _WHOLE = 0x40, 0x100, 0x400, 0x1000
_MORE_OUTPUT = 2
_FLOAT, _EIGHT, _SIXTEEN = 0, 2, 3
_NUMBERS = {_FLOAT: "float32", _EIGHT: "uint8", _SIXTEEN: "uint16"}
_EFFORT = 0
# Which colours a profile is of: those that were encoded, or those that come out.
_AS_ENCODED, _AS_DECODED = 0, 1
_GREY, _D65, _SRGB_PRIMARIES, _SRGB_CURVE, _LINEAR_CURVE = 1, 1, 1, 13, 8
_MILLISECONDS = 1000
_PIECE_BYTES = 256 * 1024
# No honest profile is larger: the largest are tables for print, of 3 MB.
_PROFILE_MAX = 16 * 1024 * 1024


class _Animation(ctypes.Structure):
    _fields_ = (
        ("ticks", c_uint32),
        ("divisor", c_uint32),
        ("plays", c_uint32),
        ("has_timecodes", c_int),
    )


class _BasicInfo(ctypes.Structure):
    _fields_ = (
        ("has_container", c_int),
        ("width", c_uint32),
        ("height", c_uint32),
        ("bits", c_uint32),
        ("exponent_bits", c_uint32),
        ("intensity_target", c_float),
        ("min_nits", c_float),
        ("relative_to_max_display", c_int),
        ("linear_below", c_float),
        ("uses_original_profile", c_int),
        ("has_preview", c_int),
        ("is_animated", c_int),
        ("orientation", c_int),
        ("colour_channels", c_uint32),
        ("extra_channels", c_uint32),
        ("alpha_bits", c_uint32),
        ("alpha_exponent_bits", c_uint32),
        ("alpha_premultiplied", c_int),
        ("preview", c_uint32 * 2),
        ("animation", _Animation),
        ("intrinsic", c_uint32 * 2),
        ("padding", ctypes.c_uint8 * 100),
    )


class _Encoding(ctypes.Structure):
    _fields_ = (
        ("space", c_int),
        ("white", c_int),
        ("white_xy", c_double * 2),
        ("primaries", c_int),
        ("primaries_xy", c_double * 6),
        ("curve", c_int),
        ("gamma", c_double),
        ("intent", c_int),
    )


class _FrameHeader(ctypes.Structure):
    _fields_ = (
        ("duration", c_uint32),
        ("timecode", c_uint32),
        ("name_length", c_uint32),
        ("is_last", c_int),
        ("has_crop", c_int),
        ("crop", c_int32 * 2),
        ("size", c_uint32 * 2),
        ("blending", c_uint32 * 4),
        ("saved_as", c_uint32),
    )


class _PixelFormat(ctypes.Structure):
    _fields_ = (
        ("channels", c_uint32),
        ("type", c_int),
        ("endianness", c_int),
        ("align", c_size_t),
    )


class _ColourManagement(ctypes.Structure):
    """The table of functions that libjxl's own colour machinery gives, to be handed back whole."""

    _fields_ = (("functions", c_void_p * 8),)


class Frame(NamedTuple):
    """One frame as large as the picture, and what holds for all of them."""

    pixels: "np.ndarray[Any, Any]"
    duration_ms: float
    plays: int  # 0 is without end
    icc: bytes | None  # None is sRGB
    linear: bool  # numbers of light, whose curve is still to come


for _name, _gives, _takes in (
    ("JxlDecoderCreate", c_void_p, (c_void_p,)),
    ("JxlDecoderDestroy", None, (c_void_p,)),
    ("JxlDecoderSubscribeEvents", c_int, (c_void_p, c_int)),
    ("JxlDecoderSetInput", c_int, (c_void_p, c_void_p, c_size_t)),
    ("JxlDecoderCloseInput", None, (c_void_p,)),
    ("JxlDecoderSetUnpremultiplyAlpha", c_int, (c_void_p, c_int)),
    ("JxlDecoderSetCms", c_int, (c_void_p, _ColourManagement)),
    ("JxlDecoderSkipFrames", None, (c_void_p, c_size_t)),
    ("JxlDecoderProcessInput", c_int, (c_void_p,)),
    ("JxlDecoderGetBasicInfo", c_int, (c_void_p, c_void_p)),
    ("JxlDecoderGetFrameHeader", c_int, (c_void_p, c_void_p)),
    ("JxlDecoderGetColorAsEncodedProfile", c_int, (c_void_p, c_int, c_void_p)),
    ("JxlDecoderGetICCProfileSize", c_int, (c_void_p, c_int, POINTER(c_size_t))),
    ("JxlDecoderGetColorAsICCProfile", c_int, (c_void_p, c_int, c_void_p, c_size_t)),
    ("JxlDecoderSetOutputColorProfile", c_int, (c_void_p, c_void_p, c_void_p, c_size_t)),
    ("JxlDecoderSetImageOutBuffer", c_int, (c_void_p, c_void_p, c_void_p, c_size_t)),
    ("JxlEncoderCreate", c_void_p, (c_void_p,)),
    ("JxlEncoderDestroy", None, (c_void_p,)),
    ("JxlEncoderInitBasicInfo", None, (c_void_p,)),
    ("JxlEncoderSetBasicInfo", c_int, (c_void_p, c_void_p)),
    ("JxlEncoderSetCms", None, (c_void_p, _ColourManagement)),
    ("JxlEncoderSetICCProfile", c_int, (c_void_p, c_void_p, c_size_t)),
    ("JxlColorEncodingSetToSRGB", None, (c_void_p, c_int)),
    ("JxlEncoderSetColorEncoding", c_int, (c_void_p, c_void_p)),
    ("JxlEncoderFrameSettingsCreate", c_void_p, (c_void_p, c_void_p)),
    ("JxlEncoderFrameSettingsSetOption", c_int, (c_void_p, c_int, ctypes.c_int64)),
    ("JxlEncoderSetFrameLossless", c_int, (c_void_p, c_int)),
    ("JxlEncoderSetFrameDistance", c_int, (c_void_p, c_float)),
    ("JxlEncoderInitFrameHeader", None, (c_void_p,)),
    ("JxlEncoderSetFrameHeader", c_int, (c_void_p, c_void_p)),
    ("JxlEncoderAddImageFrame", c_int, (c_void_p, c_void_p, c_void_p, c_size_t)),
    ("JxlEncoderCloseInput", None, (c_void_p,)),
    ("JxlEncoderProcessOutput", c_int, (c_void_p, POINTER(c_void_p), POINTER(c_size_t))),
    ("JxlGetDefaultCms", POINTER(_ColourManagement), ()),
):
    _function = getattr(_library, _name)
    _function.restype, _function.argtypes = _gives, _takes


@contextmanager
def _decoder(data: bytes, events: int) -> Iterator[int]:
    decoder = _library.JxlDecoderCreate(None)
    try:
        _library.JxlDecoderSubscribeEvents(decoder, events)
        _library.JxlDecoderSetUnpremultiplyAlpha(decoder, 1)
        _library.JxlDecoderSetCms(decoder, _library.JxlGetDefaultCms()[0])
        _library.JxlDecoderSetInput(decoder, data, len(data))
        _library.JxlDecoderCloseInput(decoder)
        yield decoder
    finally:
        _library.JxlDecoderDestroy(decoder)


def count(data: bytes, stop: int) -> int:
    """How many frames there are, no further than `stop`, and none decoded. Raises ValueError."""
    found = 0
    with _decoder(data, _FRAME) as decoder:
        while found < stop and (status := _library.JxlDecoderProcessInput(decoder)) != _OK:
            if status != _FRAME:
                raise ValueError("the frames cannot be counted")
            found += 1
    return found


def frames(data: bytes, skipped: int = 0) -> Generator[Frame]:
    """Decode one frame after the other, upright, those in front left out. Raises ValueError."""
    basic, header = _BasicInfo(), _FrameHeader()
    pixels, colours = np.empty(0, np.uint8), _Colours(None, linear=False)
    with _decoder(data, _BASIC | _COLOUR | _FRAME | _WHOLE) as decoder:
        _library.JxlDecoderSkipFrames(decoder, skipped)
        while (status := _library.JxlDecoderProcessInput(decoder)) != _OK:
            if status == _BASIC:
                _library.JxlDecoderGetBasicInfo(decoder, byref(basic))
            elif status == _COLOUR:
                colours = _colours(decoder, basic)
            elif status == _FRAME:
                _library.JxlDecoderGetFrameHeader(decoder, byref(header))
            elif status == _NEEDS_BUFFER:
                pixels = _room(decoder, basic)
            elif status == _WHOLE:
                yield Frame(pixels, _shown_ms(header, basic), basic.animation.plays, *colours)
            else:
                raise ValueError("the codestream is damaged or ends early")


class _Colours(NamedTuple):
    icc: bytes | None
    linear: bool


def _colours(decoder: int, basic: _BasicInfo) -> _Colours:
    """Say which colours are wanted, and which they are that come.

    Light in floating-point numbers becomes sRGB here where the codestream is libjxl's own colours,
    everything else comes in those that it was made of.
    """
    encoding = _Encoding()
    if basic.exponent_bits:
        _library.JxlColorEncodingSetToSRGB(byref(encoding), basic.colour_channels == 1)
        _library.JxlDecoderSetOutputColorProfile(decoder, byref(encoding), None, 0)
    elif not basic.uses_original_profile and _encoding(decoder, _AS_ENCODED) is None:
        icc = _icc(decoder, _AS_ENCODED)
        _library.JxlDecoderSetOutputColorProfile(decoder, None, icc, len(icc))
    found = _encoding(decoder, _AS_DECODED)
    if found is None:
        return _Colours(_icc(decoder, _AS_DECODED), linear=False)
    if basic.exponent_bits and found.curve == _LINEAR_CURVE:
        return _Colours(None, linear=True)
    usual = found.space == _GREY or found.primaries == _SRGB_PRIMARIES
    if usual and found.curve == _SRGB_CURVE and found.white == _D65:
        return _Colours(None, linear=False)
    return _Colours(_icc(decoder, _AS_DECODED), linear=False)


def _encoding(decoder: int, which: int) -> _Encoding | None:
    """The colours by their names; None where only a profile says what they are."""
    found = _Encoding()
    status = _library.JxlDecoderGetColorAsEncodedProfile(decoder, which, byref(found))
    return found if status == _OK else None


def _icc(decoder: int, which: int) -> bytes:
    size = c_size_t()
    status = _library.JxlDecoderGetICCProfileSize(decoder, which, byref(size))
    if status != _OK or size.value > _PROFILE_MAX:
        raise ValueError("the colour profile cannot be read")
    profile = ctypes.create_string_buffer(size.value)
    if _library.JxlDecoderGetColorAsICCProfile(decoder, which, profile, size) != _OK:
        raise ValueError("the colour profile cannot be read")
    return profile.raw


def _room(decoder: int, basic: _BasicInfo) -> "np.ndarray[Any, Any]":
    """Rows for the next frame. Eight bits where that is all; floating-point numbers as they are."""
    channels = basic.colour_channels + (1 if basic.alpha_bits else 0)
    kind: int = _FLOAT if basic.exponent_bits else _SIXTEEN if basic.bits > 8 else _EIGHT  # noqa: PLR2004
    pixels = np.empty((basic.height, basic.width, channels), _NUMBERS[kind])
    wanted = _PixelFormat(channels, kind, 0, 0)
    given = _library.JxlDecoderSetImageOutBuffer(
        decoder, byref(wanted), pixels.ctypes.data, pixels.nbytes
    )
    if given != _OK:
        raise ValueError("the frame does not fit its own size")
    return pixels


def _shown_ms(header: _FrameHeader, basic: _BasicInfo) -> float:
    if not basic.is_animated:
        return 0.0
    pace = basic.animation
    return float(header.duration * _MILLISECONDS * pace.divisor / max(1, pace.ticks))


class Manner(NamedTuple):
    """How frames are encoded. No distance is without loss; ICC None is sRGB."""

    distance: float | None
    effort: int
    icc: bytes | None
    plays: int


def encode(
    pictures: Sequence["np.ndarray[Any, Any]"],
    durations_ms: Sequence[int],
    manner: Manner,
    bytes_max: int,
) -> bytes:
    """The codestream of frames of one shape, stopped once it is longer than `bytes_max`.

    Raises ValueError for what cannot be encoded, a profile that is none among it.
    """
    encoder = _library.JxlEncoderCreate(None)
    try:
        _describe(encoder, pictures, manner)
        settings = _library.JxlEncoderFrameSettingsCreate(encoder, None)
        _checked(_library.JxlEncoderFrameSettingsSetOption(settings, _EFFORT, manner.effort))
        if manner.distance is None:
            _checked(_library.JxlEncoderSetFrameLossless(settings, 1))
        else:
            _checked(_library.JxlEncoderSetFrameDistance(settings, manner.distance))
        written = bytearray()
        for number, picture in enumerate(pictures, 1):
            _add(settings, picture, durations_ms[number - 1] if len(pictures) > 1 else 0)
            if number == len(pictures):
                _library.JxlEncoderCloseInput(encoder)
            _take(encoder, written, bytes_max)
        return bytes(written)
    finally:
        _library.JxlEncoderDestroy(encoder)


def _describe(encoder: int, pictures: Sequence["np.ndarray[Any, Any]"], manner: Manner) -> None:
    """Say what the frames are, before the first one."""
    first, basic = pictures[0], _BasicInfo()
    channels = 1 if first.ndim == 2 else first.shape[2]  # noqa: PLR2004  # grey
    _library.JxlEncoderInitBasicInfo(byref(basic))
    basic.height, basic.width = first.shape[:2]
    basic.bits = 8 * first.itemsize
    basic.colour_channels = 1 if channels <= 2 else 3  # noqa: PLR2004  # with alpha
    if basic.colour_channels < channels:
        basic.extra_channels, basic.alpha_bits = 1, basic.bits
    basic.uses_original_profile = manner.distance is None
    if len(pictures) > 1:
        basic.is_animated = 1
        basic.animation = _Animation(_MILLISECONDS, 1, manner.plays, 0)
    _checked(_library.JxlEncoderSetBasicInfo(encoder, byref(basic)))
    _library.JxlEncoderSetCms(encoder, _library.JxlGetDefaultCms()[0])
    if manner.icc:
        _checked(_library.JxlEncoderSetICCProfile(encoder, manner.icc, len(manner.icc)))
        return
    encoding = _Encoding()
    _library.JxlColorEncodingSetToSRGB(byref(encoding), basic.colour_channels == 1)
    _checked(_library.JxlEncoderSetColorEncoding(encoder, byref(encoding)))


def _add(settings: int, picture: "np.ndarray[Any, Any]", duration_ms: int) -> None:
    if duration_ms:
        header = _FrameHeader()
        _library.JxlEncoderInitFrameHeader(byref(header))
        header.duration = duration_ms
        _checked(_library.JxlEncoderSetFrameHeader(settings, byref(header)))
    channels = 1 if picture.ndim == 2 else picture.shape[2]  # noqa: PLR2004  # grey
    kind = _EIGHT if picture.itemsize == 1 else _SIXTEEN
    layout = _PixelFormat(channels, kind, 0, 0)
    _checked(
        _library.JxlEncoderAddImageFrame(
            settings, byref(layout), picture.ctypes.data, picture.nbytes
        )
    )


def _take(encoder: int, written: bytearray, bytes_max: int) -> None:
    """Append what is ready."""
    room = ctypes.create_string_buffer(_PIECE_BYTES)
    status = _MORE_OUTPUT
    while status == _MORE_OUTPUT and len(written) <= bytes_max:
        at, left = c_void_p(ctypes.addressof(room)), c_size_t(_PIECE_BYTES)
        status = _library.JxlEncoderProcessOutput(encoder, byref(at), byref(left))
        written += memoryview(room)[: _PIECE_BYTES - left.value]
    if status == _ERROR:
        raise ValueError("libjxl cannot encode this")


def _checked(status: int) -> None:
    if status != _OK:
        raise ValueError("libjxl does not take this")
