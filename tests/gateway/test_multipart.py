"""Names of parts: those that are usual mean what aiohttp's own parser says of them."""

import warnings
from collections.abc import AsyncIterator

import pytest
from aiohttp import content_disposition_filename, parse_content_disposition

from gateway.multipart import PartHead, Parts

SAID = [
    'form-data; name="file"; filename="photo 1.png"',
    'form-data;name="file";filename="photo.png"',
    'form-data; name="file[]"; filename="Grüße, 50% (Kopie).png"',
    'form-data; name="file"; filename=""',
    'form-data; name="file"',
    'form-data; name="file"; filename="a=b.png"',
    'form-data; name="file"; filename="a;b.png"',
    'form-data; name="file"; filename="/etc/passwd"',
    'form-data; name="file"; filename="\\\\share\\file.png"',
    'form-data; name="file"; filename="say \\"a\\".png"',
    'form-data; name="file"; filename="a"b.png"',
    "form-data; name=file; filename=photo.png",
    'form-data; filename="photo.png"; name="file"',
    "form-data; name=\"file\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe.png",
    'form-data; name="file"; filename="a.png"; filename*=UTF-8\'\'b.png',
    'form-data; name="file"; filename="a.png"; filename="b.png"',
    'FORM-DATA; NAME="file"; FILENAME="photo.png"',
    'form-data; name="fi le"; filename="photo.png";',
    'form-data; name="file"; filename="photo.png" ',
    "attachment",
    "",
]


async def _head(disposition: str) -> PartHead:
    async def body() -> AsyncIterator[bytes]:
        yield f"--b\r\nContent-Disposition: {disposition}\r\n\r\nX\r\n--b--\r\n".encode()

    with Parts(body(), "b") as parts:
        head = await parts.next()
    assert head is not None
    return head


@pytest.mark.parametrize("disposition", SAID)
async def test_a_part_is_called_what_aiohttp_would_call_it(disposition: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        head = await _head(disposition)
        wanted = parse_content_disposition(disposition.strip())[1]
    assert head.name == wanted.get("name")
    assert head.filename == content_disposition_filename(wanted)


async def test_a_part_without_a_disposition_has_no_name() -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"--b\r\nX-Other: 1\r\n\r\nX\r\n--b--\r\n"

    with Parts(body(), "b") as parts:
        head = await parts.next()
    assert head is not None
    assert (head.name, head.filename, head.headers) == (None, None, {"x-other": "1"})
