"""Files that lie, break, explode or are locked: each gets its own error, none a crash."""

import io
import random
import resource
import struct
import zlib

import msgspec
import pikepdf
import pytest
from PIL import Image

from engine import errors, task
from engine.converters.image.catalogue import RASTER
from engine.job import Bounds, TaskReply
from tests.engine.calls import Reply, convert, sample

_SMALL = Bounds(pixels_max=2_000_000, animation_pixels_max=4_000_000)
_REFUSALS = {
    "SourceUnreadable",
    "SourceTooComplex",
    "PasswordRequired",
    "TargetImpossible",
    "TargetTooLarge",
    "ConversionOutOfMemory",
}
_INPUTS = {
    "jpeg": "photo.jpg",
    "png": "alpha.png",
    "webp": "animation.webp",
    "avif": "photo.avif",
    "gif": "animation.gif",
    "tiff": "pages.tiff",
    "bmp": "photo.bmp",
}


def _fails_well(reply: Reply) -> None:
    assert reply.error in {"", *_REFUSALS}, f"{reply.error}: {reply.detail}"


def _png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(100))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("source", RASTER)
@pytest.mark.parametrize("content", [b"", b"\0", b"not an image at all", bytes(5000)])
def test_what_is_no_image_is_unreadable(source: str, content: bytes) -> None:
    assert convert(content, source, "png").error == "SourceUnreadable"


@pytest.mark.parametrize("source", RASTER)
def test_a_mislabelled_image_is_not_decoded_by_another_decoder(source: str) -> None:
    other = "png" if source != "png" else "gif"
    assert convert(sample(_INPUTS[other]), source, "bmp").error == "SourceUnreadable"


@pytest.mark.parametrize("source", RASTER)
def test_an_image_cut_off_anywhere_fails_well(source: str) -> None:
    whole = sample(_INPUTS[source])
    for part in range(1, 24):
        _fails_well(convert(whole[: len(whole) * part // 24], source, "webp", effort=1))
    half = convert(whole[: len(whole) // 2], source, "png")
    # The first page or frame may lie before the cut; nothing else may pass for whole.
    assert half.error == "SourceUnreadable" or source in {"gif", "tiff"}


@pytest.mark.parametrize("source", RASTER)
def test_a_thousand_small_damages_fail_well(source: str) -> None:
    chance = random.Random(source)  # noqa: S311  # seeded damage
    whole = sample(_INPUTS[source])
    for _ in range(140):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        _fails_well(
            convert(bytes(damaged), source, "jpeg", width=40, frames="first", bounds=_SMALL)
        )


@pytest.mark.parametrize("target", ["webp", "gif", "png", "tiff"])
def test_damaged_animations_fail_well(target: str) -> None:
    chance = random.Random(target)  # noqa: S311  # seeded damage
    source = "tiff" if target == "tiff" else "gif"
    whole = sample(_INPUTS[source])
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        _fails_well(convert(bytes(damaged), source, target, width=32, effort=1, bounds=_SMALL))


@pytest.mark.claim("C-BOMB-1")
def test_a_header_of_60000_by_60000_pixels_is_refused_without_decoding() -> None:
    reply = convert(_png_header(60_000, 60_000), "png", "jpeg")
    assert reply.error == "SourceTooComplex"
    assert "pixels" in reply.detail


def test_the_limit_of_pixels_is_exact() -> None:
    bounds = Bounds(pixels_max=320 * 240)
    assert not convert(sample("photo.png"), "png", "jpeg", bounds=bounds).error
    smaller = Bounds(pixels_max=320 * 240 - 1)
    for source, name in (("png", "photo.png"), ("jpeg", "photo.jpg")):
        reply = convert(sample(name), source, "jpeg", bounds=smaller)
        assert reply.error == "SourceTooComplex"


@pytest.mark.parametrize("source", ["webp", "gif", "bmp", "tiff"])
def test_huge_headers_of_other_formats_are_refused(source: str) -> None:
    header = {
        "webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\x10\0\0\0" + b"\xff\xff\x00" * 2 + bytes(8),
        "gif": b"GIF89a"
        + struct.pack("<HH", 65_535, 65_535)
        + b"\0\0\0,\0\0\0\0"
        + b"\xff" * 4
        + b"\0\x02\0;",
        "bmp": b"BM"
        + bytes(12)
        + struct.pack("<IiiHHI", 40, 60_000, 60_000, 1, 24, 0)
        + bytes(120),
        "tiff": b"II*\0\x08\0\0\0"
        + struct.pack("<H", 6)
        + b"".join(
            struct.pack("<HHII", tag, 4, 1, value)
            for tag, value in (
                (256, 60_000),
                (257, 60_000),
                (258, 8),
                (259, 1),
                (262, 1),
                (273, 200),
            )
        )
        + bytes(200),
    }[source]
    assert convert(header, source, "png").error == "SourceTooComplex"


def test_a_result_with_too_many_pixels_is_refused() -> None:
    reply = convert(
        sample("photo.png"), "png", "png", width=16384, height=16384, fit="fill", enlarge=True
    )
    assert reply.error == "TargetTooLarge"


def test_a_result_beyond_the_byte_limit_is_refused() -> None:
    for target in ("png", "jpeg", "webp", "bmp", "tiff", "gif", "avif"):
        reply = convert(sample("photo.png"), "png", target, bounds=Bounds(output_bytes_max=900))
        assert reply.error == "TargetTooLarge", target


def test_a_side_longer_than_the_target_can_hold_is_said() -> None:
    wide = io.BytesIO()
    Image.new("L", (20_000, 10)).save(wide, "PNG")
    reply = convert(wide.getvalue(), "png", "webp")
    assert (reply.error, "16383" in reply.detail) == ("TargetImpossible", True)


def test_an_apng_that_claims_a_billion_frames_is_refused() -> None:
    honest = sample("animation.png")
    at = honest.index(b"acTL")
    control = b"acTL" + struct.pack(">II", 10**9, 0)
    lying = honest[:at] + control + struct.pack(">I", zlib.crc32(control)) + honest[at + 16 :]
    assert convert(lying, "png", "webp").error == "SourceTooComplex"


def test_a_tiff_whose_directories_form_a_ring_ends() -> None:
    ring = bytearray(sample("photo.tiff"))
    first = struct.unpack_from("<I", ring, 4)[0]
    count = struct.unpack_from("<H", ring, first)[0]
    struct.pack_into("<I", ring, first + 2 + 12 * count, first)
    _fails_well(convert(bytes(ring), "tiff", "tiff"))


@pytest.mark.parametrize(
    "operation", ["merge", "pages", "rotate", "split", "compress", "unlock", "text"]
)
@pytest.mark.parametrize(
    "content", [b"", b"%PDF-1.7\n", b"%PDF-1.4\n%%EOF", bytes(3000), b"\x89PNG\r\n\x1a\n"]
)
def test_what_is_no_document_is_unreadable(operation: str, content: bytes) -> None:
    target = "txt" if operation == "text" else "pdf"
    assert convert(content, "pdf", target, operation=operation).error == "SourceUnreadable"


@pytest.mark.parametrize("name", ["nine.pdf", "form.pdf", "encrypted.pdf"])
@pytest.mark.parametrize("operation", ["merge", "compress", "text"])
def test_documents_cut_off_or_damaged_anywhere_fail_well(name: str, operation: str) -> None:
    chance = random.Random(name + operation)  # noqa: S311  # seeded damage
    target = "txt" if operation == "text" else "pdf"
    whole = sample(name)
    for part in range(1, 16):
        _fails_well(convert(whole[: len(whole) * part // 16], "pdf", target, operation=operation))
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 10)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        _fails_well(convert(bytes(damaged), "pdf", target, operation=operation))


def _document(body: str) -> bytes:
    return f"%PDF-1.4\n{body}\ntrailer << /Root 1 0 R /Size 9 >>\nstartxref\n0\n%%EOF".encode()


@pytest.mark.parametrize("operation", ["rotate", "text"])
def test_a_claim_of_a_million_pages_costs_nothing(operation: str) -> None:
    lying = _document(
        "1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n"
        "2 0 obj << /Type /Pages /Kids [3 0 R] /Count 1000000 >> endobj\n"
        "3 0 obj << /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] >> endobj"
    )
    target = "txt" if operation == "text" else "pdf"
    _fails_well(convert(lying, "pdf", target, operation=operation))


@pytest.mark.parametrize("operation", ["rotate", "pages", "merge", "text"])
@pytest.mark.parametrize("kids", ["2 0 R", "3 0 R 2 0 R", "3 0 R 3 0 R 3 0 R"])
def test_a_page_tree_that_bites_its_tail_ends(operation: str, kids: str) -> None:
    looping = _document(
        "1 0 obj << /Type /Catalog /Pages 2 0 R >> endobj\n"
        f"2 0 obj << /Type /Pages /Kids [{kids}] /Count 3 >> endobj\n"
        "3 0 obj << /Type /Pages /Parent 2 0 R /Kids [2 0 R] /Count 1 >> endobj"
    )
    target = "txt" if operation == "text" else "pdf"
    _fails_well(convert(looping, "pdf", target, operation=operation))


def test_a_deeply_nested_document_fails_well() -> None:
    nested = _document(
        "1 0 obj << /Type /Catalog /Pages 2 0 R /X " + "[" * 5000 + "]" * 5000 + " >> endobj\n"
        "2 0 obj << /Type /Pages /Kids [] /Count 0 >> endobj"
    )
    assert convert(nested, "pdf", "pdf", operation="compress").error in _REFUSALS


def _packed_zeros(mib: int) -> bytes:
    """A valid zlib stream of so many zero bytes, put together from equal blocks in no time."""
    packer = zlib.compressobj(9)
    blocks = [packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH) for _ in range(2)]
    checksum = (((mib << 20) % 65_521) << 16) | 1  # Adler-32 of zeros
    return blocks[0] + blocks[1] * (mib - 1) + b"\x03\x00" + struct.pack(">I", checksum)


def _object_stream_bomb(mib: int) -> bytes:
    """A document whose catalogue lies in an object stream that unpacks to so much."""
    packed = _packed_zeros(mib)
    head = b"%PDF-1.5\n"
    holder = b"5 0 obj << /Type /ObjStm /N 2 /First 10 /Filter /FlateDecode /Length %d >> stream\n"
    body = head + holder % len(packed) + packed + b"\nendstream endobj\n"
    rows = [
        (0, 0, 255),
        (2, 5, 0),
        (2, 5, 1),
        (0, 0, 0),
        (0, 0, 0),
        (1, len(head), 0),
        (1, len(body), 0),
    ]
    table = b"".join(struct.pack(">BIB", *row) for row in rows)
    index = b"6 0 obj << /Type /XRef /Size 7 /W [1 4 1] /Root 1 0 R /Length %d >> stream\n" % len(
        table
    )
    return body + index + table + b"\nendstream endobj\nstartxref\n%d\n%%%%EOF" % len(body)


@pytest.mark.parametrize("target", ["pdf", "txt"])
@pytest.mark.claim("C-BOMB-1")
def test_an_object_stream_that_unpacks_to_gigabytes_is_refused_early(target: str) -> None:
    operation = "text" if target == "txt" else "rotate"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reply = convert(_object_stream_bomb(3000), "pdf", target, operation=operation)
    assert reply.error in {"SourceUnreadable", "SourceTooComplex"}
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 600 * 1024  # KiB


def test_a_page_that_unpacks_to_gigabytes_is_too_complex_to_read() -> None:
    with pikepdf.new() as bomb:
        page = bomb.add_blank_page()
        page.Contents = pikepdf.Stream(bomb, _packed_zeros(3000), Filter=pikepdf.Name.FlateDecode)
        buffer = io.BytesIO()
        bomb.save(buffer)
    assert convert(buffer.getvalue(), "pdf", "txt").error == "SourceTooComplex"
    # Operations that need not look inside pass it on as it is.
    assert not convert(buffer.getvalue(), "pdf", "pdf", operation="rotate").error


def test_every_error_a_worker_may_name_exists() -> None:
    for name in _REFUSALS:
        assert issubclass(getattr(errors, name), errors.EngineError)


def test_the_unforeseen_is_a_crash_without_a_word_of_content() -> None:
    header, files = task.handle(b"\x93not a request", [b"secret"])
    reply = msgspec.msgpack.decode(header, type=TaskReply)
    assert (reply.error, files) == ("ConversionCrashed", [])
    assert "secret" not in reply.detail


@pytest.mark.claim("C-LOG-2")
def test_error_sentences_hold_nothing_of_the_file() -> None:
    secret = b"TOP-SECRET-CONTENT"
    for source in RASTER:
        reply = convert(sample(_INPUTS[source])[:40] + secret * 20, source, "png")
        assert "SECRET" not in reply.detail
    reply = convert(b"%PDF-1.4\n" + secret * 9, "pdf", "pdf", operation="compress")
    assert "SECRET" not in reply.detail
