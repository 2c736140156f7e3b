"""Detection: what files look like, from their first and last bytes alone."""

import gzip
import io
import struct
import zipfile
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.formats import FORMATS, find
from engine.likeness import fits, kinds, known
from engine.magics import MAGICS, Magic
from engine.sniff import sniff
from tests.engine.calls import FILES, sample


def _zip(members: dict[str, str], *, pad: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        if pad:
            archive.writestr(zipfile.ZipInfo("padding.bin"), bytes(pad))
        for name, content in members.items():
            method = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            archive.writestr(name, content, method)
    return buffer.getvalue()


def _ooxml(part: str, folder: str, *, pad: int = 0) -> bytes:
    types = (
        f'<Types><Override ContentType="application/vnd.{part}.main+xml" PartName="/x"/></Types>'
    )
    return _zip({"[Content_Types].xml": types, f"{folder}/document.xml": "<x/>"}, pad=pad)


_NONE = 0xFFFFFFFF


def _ole(stream: str, embedded: str = "") -> bytes:
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    struct.pack_into("<H", header, 30, 9)
    struct.pack_into("<I", header, 48, 1)
    # The root and a child of it; a third entry belongs to an object inside of the child.
    names = ("Root Entry", stream, embedded or "Data")
    entries = b"".join(
        name.encode("utf-16-le").ljust(64, b"\0")
        + struct.pack("<HBBIII", 2 * len(name) + 2, 1, 1, *([_NONE] * 2), child).ljust(64, b"\0")
        for name, child in zip(names, (1, 2, _NONE), strict=True)
    )
    table = struct.pack("<II", 0xFFFFFFFD, 0xFFFFFFFE).ljust(512, b"\xff")
    return bytes(header) + table + entries.ljust(512, b"\0")


def _bmff(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands)
    return struct.pack(">I", len(body) + 4) + body + bytes(100)


_MADE = {
    "docx": _ooxml("openxmlformats-officedocument.wordprocessingml.document", "word"),
    "xlsx": _ooxml("openxmlformats-officedocument.spreadsheetml.sheet", "xl"),
    "pptx": _ooxml("openxmlformats-officedocument.presentationml.presentation", "ppt"),
    "xlsb": _ooxml("ms-excel.sheet.binary.macroEnabled", "xl"),
    "vsdx": _ooxml("ms-visio.drawing", "visio"),
    "odt": _zip({"mimetype": "application/vnd.oasis.opendocument.text", "content.xml": "<x/>"}),
    "ods": _zip({"mimetype": "application/vnd.oasis.opendocument.spreadsheet"}),
    "odp": _zip({"mimetype": "application/vnd.oasis.opendocument.presentation"}),
    "epub": _zip({"mimetype": "application/epub+zip", "META-INF/container.xml": "<x/>"}),
    "jar": _zip({"META-INF/MANIFEST.MF": "Manifest-Version: 1.0"}),
    "apk": _zip({"AndroidManifest.xml": "x", "META-INF/MANIFEST.MF": "x"}),
    "zip": _zip({"hello.txt": "hello"}),
    "doc": _ole("WordDocument"),
    "xls": _ole("Workbook"),
    "ppt": _ole("PowerPoint Document"),
    "vsd": _ole("VisioDocument"),
    "msg": _ole("__properties_version1.0"),
    "ooxml-encrypted": _ole("EncryptedPackage"),
    "ole": _ole("Something"),
    "avif": _bmff(b"avif", b"mif1", b"miaf"),
    "heic": _bmff(b"heic", b"mif1"),
    "m4a": _bmff(b"M4A ", b"isom"),
    "mov": _bmff(b"qt  "),
    "3gp": _bmff(b"3gp5", b"isom"),
    "mp4": _bmff(b"isom", b"avc1", b"mp42"),
    "wav": b"RIFF\x24\0\0\0WAVEfmt ",
    "avi": b"RIFF\x24\0\0\0AVI LIST",
    "opus": b"OggS" + bytes(22) + b"\x01\x13OpusHead",
    "ogg": b"OggS" + bytes(22) + b"\x01\x1e\x01vorbis",
    "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm",
    "mkv": b"\x1a\x45\xdf\xa3\xa3\x42\x82\x88matroska",
    "cr2": b"II*\0\x10\0\0\0CR\x02\0",
    "dng": b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, 0xC612, 1, 4, 1) + bytes(4),
    "mp3": (b"\xff\xfb\x90\x64" + bytes(413)) * 3,
    "ts": (b"\x47" + bytes(187)) * 4,
    "tar": bytes(257) + b"ustar\x0000" + bytes(300),
    "gz": gzip.compress(b"some text"),
    "tgz": gzip.compress(bytes(257) + b"ustar\x0000" + bytes(300)),
    "txt": b"Just a few words,\nover two lines.\n",
    "html": b"<!-- hi --><!DOCTYPE html><html><body>",
    "svg": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "xml": b'<?xml version="1.0"?><note/>',
    "json": b'{"a": [1, 2, 3]}',
    "ipynb": b'{"cells": [], "nbformat": 4}',
    "rtf": b"{\\rtf1\\ansi hello}",
    "eml": b"Received: by x\nFrom: a@b\nTo: c@d\nSubject: hello\n\nbody",
    "mhtml": b"From: <saved>\nSubject: x\nDate: y\nContent-Type: multipart/related;\n\n--b",
    "ics": b"BEGIN:VCALENDAR\nVERSION:2.0",
    "vcf": b"BEGIN:VCARD\nVERSION:3.0",
    "srt": b"1\n00:00:01,000 --> 00:00:02,000\nhello\n",
    "vtt": b"WEBVTT\n\n00:01.000 --> 00:02.000\nhello",
    "latex": b"\\documentclass{article}",
    "csv": b"name,count\nbolt,3\nnut,5\n",
    "tsv": b"name\tcount\nbolt\t3\n",
    "ndjson": b'{"a": 1}\n{"a": 2}\n',
    "geojson": b'{"type": "Feature", "geometry": {"type": "Point", "coordinates": [1, 2]}}',
    "gltf": b'{"asset": {"version": "2.0"}, "scenes": []}',
    "yaml": b"title: x\nowner:\n  name: y\n  ages:\n  - 1\n",
    "toml": b'title = "x"\n[owner]\nages = [1, 2]\n',
    "md": b"# Title\n\nA [link](https://example.org/) and\n\n```\ncode\n```\n",
    "rst": b"Title\n=====\n\n.. note:: See ``code`` and :ref:`there`.\n",
    "org": b"#+TITLE: x\n* Heading\n** Another\n",
    "asciidoc": b"= Title\n:toc:\n\n== Section\n\ntext\n",
    "textile": b'h1. Title\n\n* one\n* "two":https://example.org/\n',
    "mediawiki": b"== Title ==\nSee [[Page]] and '''bold'''.\n",
    "man": b".TH LS 1\n.SH NAME\nls\n",
    "docbook": b'<?xml version="1.0"?><article xmlns="http://docbook.org/ns/docbook"/>',
    "fb2": b'<?xml version="1.0"?><FictionBook><body/></FictionBook>',
    "ttml": b'<tt xmlns="http://www.w3.org/ns/ttml"><body/></tt>',
    "gpx": b'<?xml version="1.0"?><gpx version="1.1"/>',
    "kml": b'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"/>',
    "ass": b"[Script Info]\nTitle: x\n",
    "sub": b"{1}{25}Hello\n",
    "obj": b"# a mesh\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n",
    "dxf": b"  0\nSECTION\n  2\nHEADER\n",
    "stl": bytes(80) + struct.pack("<I12fH", 1, *range(1, 13), 0),
    "tga": struct.pack("<BBBHHBHHHHBB", 0, 0, 2, 0, 0, 0, 0, 0, 2, 2, 24, 0) + bytes(12),
    "ico": struct.pack("<HHHBBBBHHII", 0, 1, 1, 16, 16, 0, 0, 1, 32, 40, 22) + bytes(40),
    "cur": struct.pack("<HHHBBBBHHII", 0, 2, 1, 16, 16, 0, 0, 1, 1, 40, 22) + bytes(40),
    "ppm": b"P6\n# a comment\n2 2\n255\n" + bytes(12),
}


@pytest.mark.parametrize("name", _MADE)
def test_a_file_made_by_hand_is_recognised(name: str) -> None:
    assert sniff(_MADE[name]) == name


@pytest.mark.parametrize("path", sorted(FILES.glob("*.*")), ids=lambda path: path.name)
def test_every_committed_input_is_recognised_by_its_bytes(path: object) -> None:
    name = path.name  # type: ignore[attr-defined]
    expected = {"py": "txt"}.get(name.rpartition(".")[2]) or find(name.rpartition(".")[2]).name
    assert sniff(sample(name)) == expected


@pytest.mark.parametrize("magic", MAGICS, ids=lambda magic: f"{magic.name}-{magic.signature[:4]!r}")
def test_every_signature_is_reached(magic: Magic) -> None:
    head = bytearray(33_000)
    head[magic.offset : magic.offset + len(magic.signature)] = magic.signature
    head[magic.also_at : magic.also_at + len(magic.also)] = magic.also
    assert sniff(bytes(head)) in {*known(magic.name)[:1], None}
    if known(magic.name):
        assert sniff(bytes(head)) == known(magic.name)[0]


def test_more_than_fifty_formats_are_recognised() -> None:
    assert len({magic.name for magic in MAGICS} | set(_MADE)) > 90


def test_a_table_embedded_in_a_letter_does_not_make_it_a_workbook() -> None:
    assert sniff(_ole("WordDocument", "Workbook")) == "doc"
    assert sniff(_ole("ObjectPool", "Workbook")) == "ole"


def test_no_word_names_two_formats() -> None:
    words = Counter(word for row in FORMATS for word in {row.name, *row.aliases, *row.extensions})
    assert [word for word, count in words.items() if count > 1] == []


@pytest.mark.parametrize(
    ("claimed", "seen", "believed"),
    [
        ("xml", "svg", True),  # true, and less particular than the bytes
        ("zip", "docx", True),
        ("docx", "zip", False),
        ("html", "txt", True),  # any text can be text of any kind
        ("txt", "html", True),
        ("csv", None, True),
        ("txt", "png", False),
        ("tbz2", "bz2", True),  # as unpacking would tell
        ("tbz2", "xz", False),
        ("mp3", None, True),  # told by fields, and so sometimes not told
        ("png", None, False),
        ("png", "jpeg", False),
    ],
)
def test_a_claim_is_believed_where_the_bytes_allow_it(
    claimed: str, seen: str | None, *, believed: bool
) -> None:
    assert fits(claimed, seen) is believed


def test_a_format_without_a_row_of_its_own_is_what_it_is_a_kind_of() -> None:
    assert kinds("gltf") == ("gltf", "json", "txt")
    assert known("musicxml")[-1] == "txt"
    assert known("a format that nobody knows") == ()


def test_every_name_the_sniffer_gives_is_a_format() -> None:
    assert {sniff(content) for content in _MADE.values()} <= {row.name for row in FORMATS}


@pytest.mark.parametrize("pad", [0, 200_000])
def test_an_office_file_is_recognised_however_far_back_its_parts_lie(pad: int) -> None:
    made = _ooxml("openxmlformats-officedocument.wordprocessingml.document", "word", pad=pad)
    assert sniff(made) == "docx"


def test_a_large_stored_member_in_front_does_not_hide_what_a_zip_is() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("word/media/image.jpg", bytes(300_000))
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<x/>")
    assert sniff(buffer.getvalue()) == "docx"


@pytest.mark.parametrize(
    "content",
    [
        "grüße aus köln\n".encode(),
        "grüße aus köln\n".encode("cp1252"),
        "\ufeffgrüße".encode("utf-16"),
        "\ufeffgrüße".encode(),
    ],
)
def test_text_is_text_in_the_common_encodings(content: bytes) -> None:
    assert sniff(content) == "txt"


def test_a_pdf_after_a_little_rubbish_is_still_one() -> None:
    assert sniff(b"\r\n\r\n" * 50 + b"%PDF-1.4\n") == "pdf"


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"\0\0\0\0", bytes(range(256)), b"\x93\x81\x00\x01" * 9]
)
def test_what_is_nothing_is_said_to_be_nothing(content: bytes) -> None:
    assert sniff(content) is None


@given(st.binary(max_size=600))
def test_any_bytes_at_all_are_survived(content: bytes) -> None:
    assert sniff(content) in {row.name for row in FORMATS} | {None}


@given(st.sampled_from(sorted(_MADE)), st.integers(0, 600), st.binary(min_size=1, max_size=8))
def test_damaged_containers_are_survived(name: str, at: int, damage: bytes) -> None:
    content = bytearray(_MADE[name])
    content[at : at + len(damage)] = damage
    assert sniff(bytes(content[: at + 40])) in {row.name for row in FORMATS} | {None}
