"""JPEG XL out: frames with their colours and times as one codestream."""

import ctypes
from collections.abc import Sequence
from ctypes import byref, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.converters.raster.libjxl import (
    EIGHT,
    ERROR,
    LIBRARY,
    MILLISECONDS,
    OK,
    SIXTEEN,
    Animation,
    BasicInfo,
    Encoding,
    FrameHeader,
    PixelFormat,
)

if TYPE_CHECKING:
    import numpy as np

_MORE_OUTPUT = 2
# Of a frame's settings.
_EFFORT = 0
_PIECE_BYTES = 256 * 1024


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
    encoder = LIBRARY.JxlEncoderCreate(None)
    try:
        _describe(encoder, pictures, manner)
        settings = LIBRARY.JxlEncoderFrameSettingsCreate(encoder, None)
        _checked(LIBRARY.JxlEncoderFrameSettingsSetOption(settings, _EFFORT, manner.effort))
        if manner.distance is None:
            _checked(LIBRARY.JxlEncoderSetFrameLossless(settings, 1))
        else:
            _checked(LIBRARY.JxlEncoderSetFrameDistance(settings, manner.distance))
        written = bytearray()
        for number, picture in enumerate(pictures, 1):
            _add(settings, picture, durations_ms[number - 1] if len(pictures) > 1 else 0)
            if number == len(pictures):
                LIBRARY.JxlEncoderCloseInput(encoder)
            _take(encoder, written, bytes_max)
        return bytes(written)
    finally:
        LIBRARY.JxlEncoderDestroy(encoder)


def _describe(encoder: int, pictures: Sequence["np.ndarray[Any, Any]"], manner: Manner) -> None:
    """Say what the frames are, before the first one."""
    first, basic = pictures[0], BasicInfo()
    channels = 1 if first.ndim == 2 else first.shape[2]  # noqa: PLR2004  # grey
    LIBRARY.JxlEncoderInitBasicInfo(byref(basic))
    basic.height, basic.width = first.shape[:2]
    basic.bits = 8 * first.itemsize
    basic.colour_channels = 1 if channels <= 2 else 3  # noqa: PLR2004  # with alpha
    if basic.colour_channels < channels:
        basic.extra_channels, basic.alpha_bits = 1, basic.bits
    basic.uses_original_profile = manner.distance is None
    if len(pictures) > 1:
        basic.is_animated = 1
        basic.animation = Animation(MILLISECONDS, 1, manner.plays, 0)
    _checked(LIBRARY.JxlEncoderSetBasicInfo(encoder, byref(basic)))
    LIBRARY.JxlEncoderSetCms(encoder, LIBRARY.JxlGetDefaultCms()[0])
    if manner.icc:
        _checked(LIBRARY.JxlEncoderSetICCProfile(encoder, manner.icc, len(manner.icc)))
        return
    encoding = Encoding()
    LIBRARY.JxlColorEncodingSetToSRGB(byref(encoding), basic.colour_channels == 1)
    _checked(LIBRARY.JxlEncoderSetColorEncoding(encoder, byref(encoding)))


def _add(settings: int, picture: "np.ndarray[Any, Any]", duration_ms: int) -> None:
    if duration_ms:
        header = FrameHeader()
        LIBRARY.JxlEncoderInitFrameHeader(byref(header))
        header.duration = duration_ms
        _checked(LIBRARY.JxlEncoderSetFrameHeader(settings, byref(header)))
    channels = 1 if picture.ndim == 2 else picture.shape[2]  # noqa: PLR2004  # grey
    kind = EIGHT if picture.itemsize == 1 else SIXTEEN
    layout = PixelFormat(channels, kind, 0, 0)
    _checked(
        LIBRARY.JxlEncoderAddImageFrame(
            settings, byref(layout), picture.ctypes.data, picture.nbytes
        )
    )


def _take(encoder: int, written: bytearray, bytes_max: int) -> None:
    """Append what is ready."""
    room = ctypes.create_string_buffer(_PIECE_BYTES)
    status = _MORE_OUTPUT
    while status == _MORE_OUTPUT and len(written) <= bytes_max:
        at, left = c_void_p(ctypes.addressof(room)), c_size_t(_PIECE_BYTES)
        status = LIBRARY.JxlEncoderProcessOutput(encoder, byref(at), byref(left))
        written += memoryview(room)[: _PIECE_BYTES - left.value]
    if status == ERROR:
        raise ValueError("libjxl cannot encode this")


def _checked(status: int) -> None:
    if status != OK:
        raise ValueError("libjxl does not take this")
