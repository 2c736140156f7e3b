"""Web archives (MHTML, RFC 2557): a page and what it refers to, as parts of one mail message.

The standard library's mail parser is not used: it imports sockets, which a zygote never does.
"""

import binascii
import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote, urljoin

from engine.errors import SourceTooComplex, SourceUnreadable

# A saved page of a news site has some two hundred; each is held twice.
_PARTS_MAX = 5_000
# Multiparts within multiparts: a mail saved as an archive has two.
_DEPTH_MAX = 8
# A host that no name resolves to (RFC 2606), for what has no address of its own.
_NOWHERE = "https://archive.invalid/"


class Part(NamedTuple):
    """One file of an archive."""

    media_type: str  # with its charset, where it has one
    location: str
    content_id: str
    content: bytes


class Archive(NamedTuple):
    """A page: its address, and by address the media type and the bytes of all it consists of."""

    address: str
    files: dict[str, tuple[str, bytes]]


def unpack(upload: bytes) -> Archive:
    """Read an archive. Raises SourceUnreadable, SourceTooComplex."""
    parts: list[Part] = []
    for part in _parts(upload, 0):
        if len(parts) == _PARTS_MAX:
            raise SourceTooComplex(f"the archive has more than {_PARTS_MAX} parts, the limit")
        parts.append(part)
    page = next((one for one in parts if one.media_type.startswith("text/html")), None)
    if page is None:
        raise SourceUnreadable("the archive holds no HTML page")
    addresses = [_address(part, number, page.location) for number, part in enumerate(parts)]
    renamed = _renamed(parts, addresses)
    files = {
        address: (part.media_type, _rename(part, renamed))
        for address, part in zip(addresses, parts, strict=True)
    }
    return Archive(addresses[parts.index(page)], files)


def _parts(message: bytes, depth: int) -> Iterator[Part]:
    headers, content = _split(message)
    kind = headers.get("content-type", "text/plain")
    if kind.lower().startswith("multipart/"):
        boundary = re.search(r'boundary="?([^";\s]{1,70})', kind, re.IGNORECASE)
        if boundary is None or depth == _DEPTH_MAX:
            raise SourceUnreadable("the archive's parts cannot be told apart")
        mark = re.escape(b"--" + boundary[1].encode("latin-1"))
        for inner in re.split(rb"(?:^|\r?\n)" + mark + rb"(?:--)?[ \t]*(?:\r?\n|$)", content)[1:]:
            if inner.strip():
                yield from _parts(inner, depth + 1)
        return
    yield Part(
        _media_type(kind),
        "".join(headers.get("content-location", "").split()),
        headers.get("content-id", "").strip("<> "),
        _decoded(content, headers.get("content-transfer-encoding", "").strip().lower()),
    )


def _split(message: bytes) -> tuple[dict[str, str], bytes]:
    head, _, content = message.replace(b"\r\n\r\n", b"\n\n", 1).partition(b"\n\n")
    text = re.sub(r"\r?\n[ \t]+", " ", head.decode("latin-1"))
    headers: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return headers, content


def _decoded(content: bytes, encoding: str) -> bytes:
    try:
        if encoding == "base64":
            return binascii.a2b_base64(content)
    except binascii.Error:
        return b""  # a damaged picture is a missing picture
    return binascii.a2b_qp(content) if encoding == "quoted-printable" else content


def _media_type(kind: str) -> str:
    found = re.match(r"[\w.+-]{1,60}/[\w.+-]{1,60}", kind)
    charset = re.search(r'charset="?([\w.:-]{1,40})', kind, re.IGNORECASE)
    name = found[0].lower() if found else "application/octet-stream"
    return f"{name}; charset={charset[1]}" if charset else name


def _is_web(location: str) -> bool:
    return location.lower().startswith(("http://", "https://"))


def _address(part: Part, number: int, page: str) -> str:
    """Where a part is for the browser; `page` is where the page itself was saved from."""
    if _is_web(part.location):
        return part.location.partition("#")[0]
    folder = page[: page.rfind("/") + 1]
    if folder and not _is_web(page) and part.location.startswith(folder):
        # Beside the page on somebody's disk: the page may call it by the rest of its path.
        return urljoin(_NOWHERE, part.location.removeprefix(folder))
    if part.location and not _has_scheme(part.location):
        return urljoin(page if _is_web(page) else _NOWHERE, part.location)
    return f"{_NOWHERE}{number}"


def _has_scheme(location: str) -> bool:
    return re.match(r"[A-Za-z][\w.+-]*:", location) is not None


def _renamed(parts: list[Part], addresses: list[str]) -> dict[bytes, bytes]:
    """What pages of the archive call its parts, where no browser could ask for them so."""
    names: dict[bytes, bytes] = {}
    for part, address in zip(parts, addresses, strict=True):
        if part.content_id:
            for spelt in {part.content_id, quote(part.content_id)}:
                names[b"cid:" + spelt.encode("latin-1", "replace")] = address.encode()
        if _has_scheme(part.location) and not _is_web(part.location):
            names[part.location.encode("latin-1", "replace")] = address.encode()
    return names


def _rename(part: Part, names: dict[bytes, bytes]) -> bytes:
    if not names or not part.media_type.startswith(("text/html", "text/css")):
        return part.content
    # The longest first: a name may begin like another one.
    either = b"|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(either, lambda found: names[found[0]], part.content)
