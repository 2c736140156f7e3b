"""Web archives taken apart without a browser: names, encodings, damage and bounds."""

import random
import re
from urllib.parse import urljoin

import msgspec
import pytest

from engine import registry
from engine.converters.browser import mhtml
from engine.converters.browser.catalogue import FAMILY
from engine.errors import EngineError, SourceTooComplex, SourceUnreadable
from tests.engine.browsing import sample

ARCHIVE = sample("archive.mhtml")


def written(*parts: tuple[str, bytes], boundary: str = "b") -> bytes:
    head = f'MIME-Version: 1.0\r\nContent-Type: multipart/related; boundary="{boundary}"\r\n\r\n'
    pieces = [
        f"--{boundary}\r\n{headers}\r\n\r\n".encode() + content + b"\r\n"
        for headers, content in parts
    ]
    return head.encode() + b"".join(pieces) + f"--{boundary}--\r\n".encode()


def test_the_page_and_its_files_have_the_addresses_they_were_saved_from() -> None:
    archive = mhtml.unpack(ARCHIVE)
    assert archive.address == "https://example.com/dir/page.html"
    kind, page = archive.files[archive.address]
    assert kind == "text/html"
    assert "Grüße archive".encode() in page
    picture = archive.files["https://example.com/dir/pic.png"]
    assert picture[0] == "image/png"
    assert picture[1].startswith(b"\x89PNG")


def test_what_only_an_archive_can_name_gets_an_address() -> None:
    archive = mhtml.unpack(ARCHIVE)
    page = archive.files[archive.address][1]
    assert b"cid:" not in page
    named = [address for address in archive.files if address.startswith("https://archive.invalid")]
    assert len(named) == 2
    assert all(address.encode() in page for address in named)


def test_relative_and_local_names_lead_to_their_parts() -> None:
    place = "Content-Type: image/png\r\nContent-Location: "
    page = b'<img src="a.png"><img src="file:///C:/x/b.png"><img src="p_files/c.png">a.png'
    archive = mhtml.unpack(
        written(
            (
                "Content-Type: text/html; charset=utf-16\r\nContent-Location: file:///C:/x/p.htm",
                page,
            ),
            (f"{place}a.png", b"A"),
            (f"{place}file:///C:/x/b.png", b"B"),
            (f"{place}file:///C:/x/p_files/c.png", b"C"),
        )
    )
    kind, content = archive.files[archive.address]
    assert kind == "text/html; charset=utf-16"
    asked = [
        urljoin(archive.address, name.decode()) for name in re.findall(rb'src="(.*?)"', content)
    ]
    assert [archive.files[address][1] for address in asked] == [b"A", b"B", b"C"]
    assert content.endswith(b">a.png")


@pytest.mark.parametrize(
    ("archive", "error"),
    [
        (b"", SourceUnreadable),
        (b"Content-Type: multipart/related\r\n\r\n--b", SourceUnreadable),
        (written(("Content-Type: text/plain", b"x")), SourceUnreadable),
        (written(*[("Content-Type: image/png", b"x")] * 5_001), SourceTooComplex),
    ],
)
def test_what_is_no_archive_is_refused(archive: bytes, error: type[EngineError]) -> None:
    with pytest.raises(error):
        mhtml.unpack(archive)


def test_parts_within_parts_have_an_end() -> None:
    inner = ("Content-Type: text/html", b"<p>deep")
    for depth in range(12):
        content = written(inner, boundary=f"b{depth}x").partition(b"\r\n\r\n")[2]
        inner = (f"Content-Type: multipart/related; boundary=b{depth}x", content)
    with pytest.raises(SourceUnreadable, match="told apart"):
        mhtml.unpack(written(inner))


def test_a_damaged_archive_is_read_or_refused_and_nothing_else() -> None:
    chance = random.Random(5)  # noqa: S311 - the same damage each time
    for _ in range(300):
        damaged = bytearray(ARCHIVE)
        for _ in range(chance.randrange(1, 40)):
            damaged[chance.randrange(2_000)] = chance.randrange(256)
        try:
            mhtml.unpack(bytes(damaged[: chance.randrange(len(damaged))]))
        except EngineError:
            continue


@pytest.mark.parametrize(("needed", "exists"), [((), True), (("/not/installed",), False)])
def test_a_family_whose_program_is_not_installed_does_not_exist(
    needed: tuple[str, ...], *, exists: bool
) -> None:
    family = msgspec.structs.replace(FAMILY, needs_files=(__file__, *needed))
    assert registry._is_installed(family) is exists
