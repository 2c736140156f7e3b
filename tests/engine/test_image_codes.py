"""Codes drawn and read, what an image tells, BlurHash, and JPEGs packed tighter."""

import io
import json
import random
import struct

import blurhash
import pytest
import segno
from PIL import Image

from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, psnr, run

# EAN-13 (ISO/IEC 15420): seven modules a digit, as they read on the right; the left ones are their
# complement, or that backwards, and which of them says the first digit.
_RIGHT = (
    "1110010", "1100110", "1101100", "1000010", "1011100",
    "1001110", "1010000", "1000100", "1001000", "1110100",
)  # fmt: skip
_FIRST = (
    "LLLLLL", "LLGLGG", "LLGGLG", "LLGGGL", "LGLLGG",
    "LGGLLG", "LGGGLL", "LGLGLG", "LGLGGL", "LGGLGL",
)  # fmt: skip


def _ean(bars: str) -> str:
    """The digits of 95 modules, by the standard rather than a library."""
    assert (bars[:3], bars[45:50], bars[92:]) == ("101", "01010", "101")
    left = {code.translate({48: "1", 49: "0"}): str(n) for n, code in enumerate(_RIGHT)}
    mirrored = {code[::-1]: str(n) for n, code in enumerate(_RIGHT)}
    halves = [bars[at : at + 7] for at in range(3, 45, 7)]
    pattern = "".join("L" if part in left else "G" for part in halves)
    digits = "".join((left | mirrored)[part] for part in halves)
    right = {code: str(n) for n, code in enumerate(_RIGHT)}
    tail = "".join(right[bars[at : at + 7]] for at in range(50, 92, 7))
    return str(_FIRST.index(pattern)) + digits + tail


def test_an_ean_has_the_bars_of_the_standard_and_its_check_digit() -> None:
    drawn = convert(b"590123412345\n", "txt", "png", operation="qr", kind="ean-13", scale=1).file
    picture = Seen(drawn, "png").rgb().convert("L")
    dark = [picture.getpixel((x, 5)) < 128 for x in range(picture.width)]
    bars = "".join("01"[bar] for bar in dark).strip("0")
    assert _ean(bars) == "5901234123457"


@pytest.mark.parametrize("text", ["https://example.org/?q=1", "Grüße, שלום, 日本", "x" * 900])
def test_a_code_of_another_maker_is_read(text: str) -> None:
    buffer = io.BytesIO()
    segno.make(text, error="m").save(buffer, kind="png", scale=4)
    told = convert(buffer.getvalue(), "png", "txt", operation="barcode").file
    assert told.decode() == text + "\n"


def test_a_code_is_found_in_a_photograph_wherever_it_lies() -> None:
    page = Image.open(io.BytesIO(sample("photo.png"))).convert("RGB").resize((800, 600))
    drawn = convert(b"somewhere", "txt", "png", operation="qr", scale=4).file
    code = Image.open(io.BytesIO(drawn)).convert("RGB").rotate(20, expand=True, fillcolor="white")
    page.paste(code, (500, 300))
    buffer = io.BytesIO()
    page.save(buffer, "JPEG", quality=80)
    told = json.loads(convert(buffer.getvalue(), "jpeg", "json", operation="barcode").file)
    (found,) = told["codes"]
    assert (found["kind"], found["text"]) == ("qr", "somewhere")
    for x, y in found["corners"]:
        assert 500 <= x <= 500 + code.width
        assert 300 <= y <= 300 + code.height


@pytest.mark.parametrize(
    "kind", ["micro-qr", "data-matrix", "aztec", "pdf417", "code-128", "code-39", "code-93"]
)
def test_other_codes_are_drawn_and_read_again(kind: str) -> None:
    drawn = convert(b"AB12", "txt", "png", operation="qr", kind=kind).file
    told = json.loads(convert(drawn, "png", "json", operation="barcode").file)
    assert [(code["kind"], code["text"]) for code in told["codes"]] == [(kind, "AB12")]


def test_a_code_as_a_drawing_is_the_same_code() -> None:
    drawn = convert(b"as lines", "txt", "svg", operation="qr", scale=4).file
    assert drawn.lstrip().startswith(b"<?xml")
    pixels = convert(b"as lines", "txt", "png", operation="qr", scale=4).file
    width, height = Seen(pixels, "png").size
    assert f'width="{width}" height="{height}"'.encode() in drawn


def test_more_correction_bears_more_dirt() -> None:
    def is_read_with_dirt(correction: str) -> bool:
        drawn = convert(b"dirty" * 8, "txt", "png", operation="qr", correction=correction).file
        image = Image.open(io.BytesIO(drawn)).convert("L")
        chance = random.Random(7)  # noqa: S311  # seeded dirt
        for _ in range(image.width * image.height // 2500):
            x, y = chance.randrange(80, image.width), chance.randrange(80, image.height)
            image.paste(chance.choice((0, 255)), (x, y, x + 9, y + 9))
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        return not convert(buffer.getvalue(), "png", "txt", operation="barcode").error

    assert is_read_with_dirt("high")
    assert not is_read_with_dirt("low")


@pytest.mark.parametrize(
    ("text", "kind"), [(b"letters", "ean-13"), (b"x" * 5000, "qr"), ("é".encode() * 9, "code-39")]
)
def test_a_text_that_a_code_cannot_hold_says_so(text: bytes, kind: str) -> None:
    reply = convert(text, "txt", "png", operation="qr", kind=kind)
    assert reply.error == "TargetImpossible"
    assert "kind" in reply.detail


def test_no_text_and_no_unicode_are_refused() -> None:
    assert convert(b"\n", "txt", "png", operation="qr").error == "TargetImpossible"
    assert convert(b"\xff\xfe\xfa", "txt", "png", operation="qr").error == "SourceUnreadable"


def test_a_picture_without_a_code_says_so() -> None:
    reply = convert(sample("photo.png"), "png", "txt", operation="barcode")
    assert reply.error == "TargetImpossible"
    assert "no code" in reply.detail


def _told(name: str, source: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(convert(sample(name), source, "json").file)
    return told


def test_a_description_names_camera_place_profile_and_resolution() -> None:
    told = _told("photo.jpg", "jpeg")
    assert (told["width"], told["height"], told["orientation"]) == (240, 320, 6)
    assert told["dpi"] == [300, 300]
    assert told["profile"]["description"] == "swapped primaries"  # type: ignore[index]
    assert told["exif"]["Make"] == "Ephemera Camera Works"  # type: ignore[index]
    place = told["place"]
    assert place["latitude"] == pytest.approx(48.2083, abs=1e-4)  # type: ignore[index]
    assert place["longitude"] == pytest.approx(11.5667, abs=1e-4)  # type: ignore[index]
    assert told["comment"] == "a comment that must not leak"


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("animation.gif", "gif", {"frames": 5}),
        ("pages.tiff", "tiff", {"pages": 3}),
        ("alpha.png", "png", {"transparency": True, "mode": "RGBA"}),
        ("grey16.png", "png", {"bits": 16}),
        ("bitmap.png", "png", {"bits": 1}),
        ("cmyk.jpg", "jpeg", {"mode": "CMYK"}),
    ],
)
def test_a_description_says_what_kind_of_picture_it_is(
    name: str, source: str, expected: dict[str, object]
) -> None:
    told = _told(name, source)
    assert {key: told.get(key) for key in expected} == expected
    kind, size = run("identify", "-format", "%m %wx%h\n", "-", stdin=sample(name)).split()[:2]
    assert size.decode() == f"{told['width']}x{told['height']}"
    assert kind.decode().lower() == told["format"]


def test_damaged_exif_does_not_hide_the_rest() -> None:
    whole = bytearray(sample("photo.jpg"))
    at = whole.index(b"Exif\0\0")
    whole[at + 14 : at + 40] = b"\xff" * 26
    told = json.loads(convert(bytes(whole), "jpeg", "json").file)
    assert told["width"] == 240


def test_a_blurhash_looks_like_the_picture_from_afar() -> None:
    told = convert(sample("photo.png"), "png", "txt", operation="blurhash", across=6, down=5).file
    rows = blurhash.decode(told.decode().strip(), 32, 24)
    shown = Image.new("RGB", (32, 24))
    shown.putdata([tuple(pixel) for row in rows for pixel in row])
    truth = Seen(sample("photo.png"), "png").rgb().resize((32, 24), Image.Resampling.BOX)
    assert psnr(shown, truth) > 18


def test_a_blurhash_is_of_what_is_seen() -> None:
    hashes = {
        convert(sample(f"orientation-{n}.jpg"), "jpeg", "txt", operation="blurhash").file[:4]
        for n in (1, 3, 6)
    }
    assert len(hashes) == 1


@pytest.mark.parametrize("name", ["photo.jpg", "cmyk.jpg", "grey.jpg", "orientation-5.jpg"])
def test_an_optimised_jpeg_is_smaller_and_has_the_same_pixels(name: str) -> None:
    made = convert(sample(name), "jpeg", "jpeg", operation="optimise").file
    assert len(made) < len(sample(name))
    before, after = Seen(sample(name), "jpeg"), Seen(made, "jpeg")
    assert psnr(before.rgb(), after.rgb()) == 99


def test_an_optimised_jpeg_keeps_orientation_and_profile_but_no_metadata() -> None:
    made = convert(sample("photo.jpg"), "jpeg", "jpeg", operation="optimise").file
    assert b"Camera Works" not in made
    assert b"must not leak" not in made
    told = run("identify", "-format", "%[orientation]|%[icc:description]", "-", stdin=made)
    assert told == b"RightTop|swapped primaries"
    kept = convert(sample("photo.jpg"), "jpeg", "jpeg", operation="optimise", metadata="keep").file
    assert b"Camera Works" in kept


def test_a_truncated_jpeg_is_not_optimised() -> None:
    whole = sample("photo.jpg")
    half = convert(whole[: len(whole) // 2], "jpeg", "jpeg", operation="optimise")
    assert half.error == "SourceUnreadable"


def _icon(entries: list[bytes], *, count: int | None = None) -> bytes:
    table, at = struct.pack("<HHH", 0, 1, count or len(entries)), 6 + 16 * len(entries)
    for entry in entries:
        table += struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(entry), at)
        at += len(entry)
    return table + b"".join(entries)


def test_an_icon_of_thousands_of_pictures_is_refused() -> None:
    assert convert(_icon([b""], count=60_000), "ico", "png").error == "SourceTooComplex"


def test_an_icon_whose_picture_is_larger_than_it_says_is_measured() -> None:
    inside = convert(sample("photo.png"), "png", "png").file
    made = convert(_icon([inside]), "ico", "png", width=64)
    assert Seen(made.file, "png").size == (64, 48)


def test_an_icon_with_a_bomb_inside_is_refused() -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + header + bytes(12)
    assert convert(_icon([bomb]), "ico", "png").error in {"SourceTooComplex", "SourceUnreadable"}
