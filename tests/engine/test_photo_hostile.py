"""Photographs and rarer pictures that lie, break or explode: each is refused well."""

import random
import struct

import pytest

from engine.converters.photo.catalogue import DECODED
from engine.converters.raster.formats import OTHERS, READ_ONLY
from engine.converters.raster.jxl import read_header
from engine.job import Bounds
from tests.engine.calls import Reply, convert
from tests.engine.pictures import upload

_PHOTOS = (*DECODED, "dng")
_ALL = (*OTHERS, *READ_ONLY, *_PHOTOS)
_REFUSALS = {"SourceUnreadable", "SourceTooComplex", "TargetImpossible", "ConversionOutOfMemory"}
_SMALL = Bounds(pixels_max=300_000)


def _fails_well(reply: Reply) -> None:
    assert reply.error in {"", *_REFUSALS}, f"{reply.error}: {reply.detail}"


@pytest.mark.parametrize("source", _ALL)
@pytest.mark.claim("C-BOMB-1")
def test_the_limit_of_pixels_holds_for_every_format(source: str) -> None:
    small = Bounds(pixels_max=32 * 32 - 1)
    reply = convert(upload(source), source, "png", bounds=small)
    assert reply.error == "SourceTooComplex"
    assert "pixels" in reply.detail


@pytest.mark.parametrize("source", _ALL)
@pytest.mark.parametrize("content", [b"", b"\0", b"not an image at all", bytes(3000)])
def test_what_is_no_picture_is_unreadable(source: str, content: bytes) -> None:
    reply = convert(content, source, "png", bounds=_SMALL)
    # Targa has no signature: zeros are a header of a picture without pixels.
    assert reply.error in {"SourceUnreadable", "SourceTooComplex"}


@pytest.mark.parametrize("source", _ALL)
def test_a_picture_cut_off_anywhere_fails_well(source: str) -> None:
    whole = upload(source)
    for part in range(1, 12):
        _fails_well(convert(whole[: len(whole) * part // 12], source, "ppm", bounds=_SMALL))


@pytest.mark.parametrize("source", _ALL)
def test_small_damages_fail_well(source: str) -> None:
    chance = random.Random(source)  # noqa: S311  # seeded damage
    whole = upload(source)
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            # Half of them where the structure is.
            end = len(damaged) if chance.random() < 0.5 else min(200, len(damaged))
            damaged[chance.randrange(end)] = chance.randrange(256)
        _fails_well(convert(bytes(damaged), source, "ppm", bounds=_SMALL))


def _jxl(width: int, height: int) -> bytes:
    """A JPEG XL header of any size: two sides as U32 of thirty bits, all else default."""
    bits = 0b0 | 0b11 << 1 | (height - 1) << 3 | 0b000 << 33 | 0b11 << 36 | (width - 1) << 38
    return b"\xff\x0a" + (bits | 1 << 68).to_bytes(16, "little")


def test_the_header_of_a_jpeg_xl_is_read_as_written() -> None:
    assert read_header(_jxl(70_000, 50_000)).size == (70_000, 50_000)


@pytest.mark.parametrize(
    ("source", "header"),
    [
        ("jxl", _jxl(1 << 30, 1 << 30)),
        ("qoi", b"qoif" + struct.pack(">IIBB", 60_000, 60_000, 4, 0) + bytes(40)),
        ("sgi", struct.pack(">HBBHHHH", 474, 0, 1, 3, 60_000, 60_000, 3) + bytes(600)),
        ("tga", struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 60_000, 60_000, 24, 0)),
        ("ppm", b"P6 60000 60000 255\n" + bytes(99)),
        ("pnm", b"P7\nWIDTH 60000\nHEIGHT 60000\nDEPTH 4\nMAXVAL 255\nENDHDR\n" + bytes(99)),
        ("psd", b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 60_000, 60_000, 8, 3)),
        (
            "dds",
            b"DDS |\0\0\0" + struct.pack("<III", 0x1007, 60_000, 60_000) + bytes(56)
            + struct.pack("<IIIIIIII", 32, 0x41, 0, 32, 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
            + bytes(40),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.claim("C-BOMB-1")
def test_a_header_of_billions_of_pixels_is_refused_without_decoding(
    source: str, header: bytes
) -> None:
    assert convert(header, source, "png").error == "SourceTooComplex"


def test_a_jpeg_2000_that_claims_billions_of_pixels_is_refused() -> None:
    whole = bytearray(upload("jp2"))
    at = whole.index(b"\xff\x4f\xff\x51") + 8
    struct.pack_into(">II", whole, at, 60_000, 60_000)
    ihdr = whole.index(b"ihdr") + 4
    struct.pack_into(">II", whole, ihdr, 60_000, 60_000)
    assert convert(bytes(whole), "jp2", "png").error == "SourceTooComplex"


def test_a_photoshop_document_of_thousands_of_channels_is_refused() -> None:
    whole = bytearray(upload("psd"))
    struct.pack_into(">H", whole, 12, 60_000)
    assert convert(bytes(whole), "psd", "png").error == "SourceTooComplex"
