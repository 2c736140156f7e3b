"""Names and archives of results: pure functions on hostile input."""

import io
import zipfile

import pytest
from aiohttp import content_disposition_filename, parse_content_disposition
from hypothesis import given
from hypothesis import strategies as st

from engine.job import Output
from gateway import downloads


@pytest.mark.parametrize(
    ("claimed", "stem"),
    [
        (None, "converted"),
        ("", "converted"),
        ("photo.jpg", "photo"),
        ("archive.tar.gz", "archive.tar"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\scan.pdf", "scan"),
        ("...", "converted"),
        (".htaccess", "htaccess"),
        ('a"; filename="evil.exe', "a__ filename=_evil"),
        ("naïve ☃.png", "naïve ☃"),
        ("a\r\nSet-Cookie: b.png", "a__Set-Cookie_ b"),
        ("invoice\u202egnp.exe", "invoice_gnp"),
        ("x" * 500 + ".png", "x" * 120),
    ],
)
def test_a_claimed_name_becomes_a_safe_stem(claimed: str | None, stem: str) -> None:
    assert downloads.stem(claimed) == stem


@given(st.text())
def test_whatever_a_client_claims_the_header_names_one_plain_file(claimed: str) -> None:
    name = f"{downloads.stem(claimed)}.png"
    header = downloads.disposition(name)
    assert header.isascii()
    assert header.isprintable()
    kind, parameters = parse_content_disposition(header)
    assert kind == "attachment"
    read_back = content_disposition_filename(parameters)
    assert read_back == name
    assert "/" not in name
    assert "\\" not in name


def test_a_plain_name_has_no_extended_form() -> None:
    assert downloads.disposition("photo.webp") == 'attachment; filename="photo.webp"'


def test_a_name_beyond_ascii_has_both_forms() -> None:
    header = downloads.disposition("naïve.webp")
    assert header == "attachment; filename=\"na_ve.webp\"; filename*=UTF-8''na%C3%AFve.webp"


def _archive(files: list[bytes | bytearray], base: str) -> bytes:
    return b"".join(downloads.zipped(downloads.named(Output(target="png", files=files), base)))


def test_several_results_become_one_archive_with_numbered_names() -> None:
    archive = _archive([b"one", bytearray(b"two")], "scan")
    with zipfile.ZipFile(io.BytesIO(archive)) as members:
        assert members.namelist() == ["scan-1.png", "scan-2.png"]
        assert members.read("scan-2.png") == b"two"


@pytest.mark.parametrize(
    ("own", "called"),
    [
        (("docs/a.txt", "docs/b.txt"), ["docs/a.txt", "docs/b.txt"]),
        (("a.txt", "A.TXT"), ["a.txt", "A (2).TXT"]),
        (("/etc/passwd", "../../x"), ["etc/passwd", "x"]),
        (
            (
                "",
                "..",
            ),
            ["converted", "converted (2)"],
        ),
        (("a\\b", 'c"\r\n'), ["a_b", "c___"]),
        ((".gitignore", "x/" * 5000), [".gitignore", "converted"]),
        (("a", "b", "c"), ["scan-1.bin", "scan-2.bin"]),
    ],
)
def test_names_that_results_bring_along_are_kept_and_made_harmless(
    own: tuple[str, ...], called: list[str]
) -> None:
    assert downloads.called(own, 2, "scan", "bin") == called


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_whatever_a_worker_calls_its_results_they_stay_where_they_are_unpacked(
    own: list[str],
) -> None:
    names = downloads.called(own, len(own), "scan", "bin")
    assert len({name.lower() for name in names}) == len(own)
    for name in names:
        parts = name.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert name.isprintable() or not any(char < " " for char in name)


def test_the_same_results_make_the_same_archive() -> None:
    assert _archive([b"a", b"b"], "x") == _archive([b"a", b"b"], "x")


def test_an_archive_holds_the_results_themselves_and_no_copies() -> None:
    result = bytearray(b"one")
    archive = downloads.zipped([("a.png", result), ("b.png", b"two")])
    assert any(piece is result for piece in archive)


def test_the_numbers_in_an_archive_sort_as_text() -> None:
    names = zipfile.ZipFile(io.BytesIO(_archive([b""] * 11, "p"))).namelist()
    assert names == sorted(names)


def test_warnings_from_a_worker_cannot_break_the_header() -> None:
    header = downloads.warnings_header(['a "quote" \\', "line\r\nX-Evil: 1", "☃", "x" * 1000])
    assert header.isascii()
    assert "\r" not in header
    assert "\n" not in header
    assert header.startswith(r'"a \"quote\" \\", "line??X-Evil: 1", "?", "xxx')
    assert len(header) < 400


def test_only_so_many_warnings_are_repeated() -> None:
    assert downloads.warnings_header(["w"] * 100).count('"w"') == downloads.WARNINGS_MAX
