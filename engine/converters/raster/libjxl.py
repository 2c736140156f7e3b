"""libjxl itself, by ctypes: what imagecodecs' functions leave out of a JPEG XL file.

Those know neither colour profiles nor how long a frame is shown. The library is the same one, the
copy that imagecodecs brings: its functions are found through the extension that is linked to it.
Structures are those of libjxl 0.9 to 0.11 (jxl/codestream_header.h, jxl/color_encoding.h). No
thread is started: without a runner libjxl works in the calling one.
"""

import ctypes
from ctypes import POINTER, c_double, c_float, c_int, c_int32, c_size_t, c_uint32, c_void_p

# numbers before imagecodecs, which imports numpy.
from engine.converters.raster import numbers  # isort: skip  # noqa: F401
from imagecodecs import _jpegxl  # isort: skip

LIBRARY = ctypes.CDLL(_jpegxl.__file__)
# Since then profiles are asked for without a format of pixels, and one machinery of colour is in.
if LIBRARY.JxlDecoderVersion() < 9_000:  # noqa: PLR2004  # 0.9.0
    raise ImportError("libjxl before 0.9 has other functions; install imagecodecs 2024.6 or later")

# JxlDecoderStatus and JxlEncoderStatus, JxlDataType.
OK, ERROR = 0, 1
FLOAT, EIGHT, SIXTEEN = 0, 2, 3
# In a second: frames are timed in these.
MILLISECONDS = 1000


class Animation(ctypes.Structure):
    """JxlAnimationHeader."""

    _fields_ = (
        ("ticks", c_uint32),
        ("divisor", c_uint32),
        ("plays", c_uint32),
        ("has_timecodes", c_int),
    )


class BasicInfo(ctypes.Structure):
    """JxlBasicInfo."""

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
        ("animation", Animation),
        ("intrinsic", c_uint32 * 2),
        ("padding", ctypes.c_uint8 * 100),
    )


class Encoding(ctypes.Structure):
    """JxlColorEncoding."""

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


class FrameHeader(ctypes.Structure):
    """JxlFrameHeader, the layer within it."""

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


class PixelFormat(ctypes.Structure):
    """JxlPixelFormat."""

    _fields_ = (
        ("channels", c_uint32),
        ("type", c_int),
        ("endianness", c_int),
        ("align", c_size_t),
    )


class ColourManagement(ctypes.Structure):
    """The table of functions that libjxl's own colour machinery gives, to be handed back whole."""

    _fields_ = (("functions", c_void_p * 8),)


for _name, _gives, _takes in (
    ("JxlDecoderCreate", c_void_p, (c_void_p,)),
    ("JxlDecoderDestroy", None, (c_void_p,)),
    ("JxlDecoderSubscribeEvents", c_int, (c_void_p, c_int)),
    ("JxlDecoderSetInput", c_int, (c_void_p, c_void_p, c_size_t)),
    ("JxlDecoderCloseInput", None, (c_void_p,)),
    ("JxlDecoderSetUnpremultiplyAlpha", c_int, (c_void_p, c_int)),
    ("JxlDecoderSetCms", c_int, (c_void_p, ColourManagement)),
    ("JxlDecoderSkipFrames", None, (c_void_p, c_size_t)),
    ("JxlDecoderProcessInput", c_int, (c_void_p,)),
    ("JxlDecoderGetBasicInfo", c_int, (c_void_p, c_void_p)),
    ("JxlDecoderGetFrameHeader", c_int, (c_void_p, c_void_p)),
    ("JxlDecoderGetColorAsEncodedProfile", c_int, (c_void_p, c_int, c_void_p)),
    ("JxlDecoderGetICCProfileSize", c_int, (c_void_p, c_int, POINTER(c_size_t))),
    ("JxlDecoderGetColorAsICCProfile", c_int, (c_void_p, c_int, c_void_p, c_size_t)),
    ("JxlDecoderSetOutputColorProfile", c_int, (c_void_p, c_void_p, c_void_p, c_size_t)),
    ("JxlDecoderSetDecompressBoxes", c_int, (c_void_p, c_int)),
    ("JxlDecoderGetBoxType", c_int, (c_void_p, c_void_p, c_int)),
    ("JxlDecoderSetBoxBuffer", c_int, (c_void_p, c_void_p, c_size_t)),
    ("JxlDecoderReleaseBoxBuffer", c_size_t, (c_void_p,)),
    ("JxlDecoderSetImageOutBuffer", c_int, (c_void_p, c_void_p, c_void_p, c_size_t)),
    ("JxlEncoderCreate", c_void_p, (c_void_p,)),
    ("JxlEncoderDestroy", None, (c_void_p,)),
    ("JxlEncoderInitBasicInfo", None, (c_void_p,)),
    ("JxlEncoderSetBasicInfo", c_int, (c_void_p, c_void_p)),
    ("JxlEncoderSetCms", None, (c_void_p, ColourManagement)),
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
    ("JxlGetDefaultCms", POINTER(ColourManagement), ()),
):
    _function = getattr(LIBRARY, _name)
    _function.restype, _function.argtypes = _gives, _takes
