"""What a finished conversion is answered with: JSON with ids or base64, the bytes, or parts.

Nothing here holds a whole result: what is sent passes through one chunk, as it comes from its
worker, and in base64 through the text of that chunk; both are wiped.
"""

import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Self
from urllib.parse import quote

import msgspec
from aiohttp import hdrs, web

from engine.wiping import wipe
from gateway import downloads
from gateway.compat.convertapi import names
from gateway.config import Settings
from ledger.files.files import Stored

# Of a result on its way; divisible by 3, so that base64 of the pieces is base64 of the whole.
CHUNK_BYTES = 192 * 1024

# The last field of a file, written by hand around its bytes.
_DATA_BEGINS, _DATA_ENDS = b',"FileData":"', b'"}'

_ENCODER = msgspec.json.Encoder()

Read = Callable[[memoryview], Awaitable[None]]


class FileAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """One result, or one upload."""

    file_name: str
    file_ext: str
    file_size: int
    # Of a stored file: opens it, and where it is fetched.
    file_id: str = ""
    url: str = ""
    # Of one that is not: base64, written where it passes through (`Inline`).
    file_data: str = ""


class ConvertAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A finished conversion."""

    # Credits. Clients insist on a number above 0.
    conversion_cost: int
    # Seconds, rounded up.
    conversion_time: int
    # Of an asynchronous one.
    job_id: str = ""
    files: tuple[FileAnswer, ...] = ()


def file_answer(name: str, size: int) -> FileAnswer:
    """A result that is not stored."""
    return FileAnswer(file_name=name, file_ext=names.extension_of(name), file_size=size)


def stored_answer(name: str, stored: Stored, base_url: str) -> FileAnswer:
    """A result that is stored, at the one moment at which its id is known."""
    return result_answer(name, stored.bytes, stored.handle, base_url)


def result_answer(name: str, size: int, handle: str, base_url: str) -> FileAnswer:
    """A stored result. Node's client takes the format of its next conversion from the URL's end.

    The name itself is left out of the URL, which proxies write down.
    """
    told = file_answer(name, size)
    end = f"/file.{told.file_ext}" if told.file_ext else ""
    return msgspec.structs.replace(told, file_id=handle, url=f"{base_url}/d/{handle}{end}")


def upload_answer(name: str, stored: Stored, base_url: str) -> FileAnswer:
    """An upload, likewise."""
    return msgspec.structs.replace(
        file_answer(name, stored.bytes), file_id=stored.handle, url=f"{base_url}/d/{stored.handle}"
    )


def base_url(settings: Settings, request: web.Request) -> str:
    """What this service is called outside: as the operator says, or as the client asked."""
    return settings.server.public_url.rstrip("/") or f"{request.scheme}://{request.host}"


class Inline:
    """The JSON of a conversion whose results are in it, in base64."""

    def __init__(self, told: ConvertAnswer, read: Read) -> None:
        """`read` gives the bytes of all files, which follow one another."""
        self._told = told
        self._read = read
        fields = len(_DATA_BEGINS + _DATA_ENDS) - len(b"}")
        encoded = sum(4 * -(-one.file_size // 3) + fields for one in told.files)
        self.size = len(msgspec.json.encode(told)) + encoded

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        """The document in order."""
        head = msgspec.json.encode(msgspec.structs.replace(self._told, files=()))
        yield memoryview(head.removesuffix(b"}") + b',"Files":[')
        for number, file in enumerate(self._told.files):
            begin = msgspec.json.encode(file).removesuffix(b"}") + _DATA_BEGINS
            yield memoryview(b"," + begin if number else begin)
            async with aclosing(_pieces(self._read, file.file_size)) as pieces:
                with _Base64() as text:
                    async for piece in pieces:
                        yield text.of(piece)
            yield memoryview(_DATA_ENDS)
        yield memoryview(b"]}")


class First:
    """The first result as it is."""

    def __init__(self, size: int, read: Read) -> None:
        self.size = size
        self._read = read

    def pieces(self) -> AsyncGenerator[memoryview, None]:
        """Through one chunk, wiped after."""
        return _pieces(self._read, self.size)


class Mixed:
    """All results as the parts of `multipart/mixed` (RFC 2046)."""

    def __init__(self, files: Sequence[FileAnswer], media_types: Sequence[str], read: Read) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/mixed; boundary={boundary}"
        self._files = files
        self._read = read
        self._heads = [
            _part_head(file, kind, boundary) for file, kind in zip(files, media_types, strict=True)
        ]
        self._end = f"--{boundary}--\r\n".encode()
        heads = sum(len(head) + len(b"\r\n") for head in self._heads)
        self.size = heads + sum(file.file_size for file in files) + len(self._end)

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        """The parts in order."""
        for head, file in zip(self._heads, self._files, strict=True):
            yield memoryview(head)
            async with aclosing(_pieces(self._read, file.file_size)) as pieces:
                async for piece in pieces:
                    yield piece
            yield memoryview(b"\r\n")
        yield memoryview(self._end)


def disposition(name: str, kind: str = "attachment") -> str:
    """`Content-Disposition` to be saved, or to be looked at."""
    return kind + downloads.disposition(name).removeprefix("attachment")


def _part_head(file: FileAnswer, media_type: str, boundary: str) -> bytes:
    return (
        f"--{boundary}\r\n{hdrs.CONTENT_TYPE}: {media_type}\r\n"
        f"{hdrs.CONTENT_DISPOSITION}: {_extended(file.file_name)}; size={file.file_size}\r\n"
        f"{hdrs.CONTENT_LENGTH}: {file.file_size}\r\n\r\n"
    ).encode()


def _extended(name: str) -> str:
    """With `filename*` also where ASCII would do: the command line client reads only that."""
    told = downloads.disposition(name)
    return told if "filename*" in told else f"{told}; filename*=UTF-8''{quote(name)}"


class _Base64:
    """Pieces as text in one room, wiped at the end.

    `binascii` gives `bytes`, which cannot be overwritten; the JSON encoder writes into what it is
    given. It may move a room at its first use, which is therefore one with zeros.
    """

    def __init__(self) -> None:
        self._room = bytearray()
        self._bytes = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        wipe(self._room)

    def of(self, piece: memoryview) -> memoryview:
        """Valid until the next call. All pieces but the last have 3n bytes."""
        if len(piece) != self._bytes:
            wipe(self._room)
            self._room, self._bytes = bytearray(), len(piece)
            _ENCODER.encode_into(bytes(len(piece)), self._room)
        _ENCODER.encode_into(piece, self._room)
        # Without the quotes.
        return memoryview(self._room)[1:-1]


async def _pieces(read: Read, size: int) -> AsyncGenerator[memoryview, None]:
    chunk = memoryview(bytearray(min(CHUNK_BYTES, size)))
    try:
        for offset in range(0, size, CHUNK_BYTES):
            piece = chunk[: size - offset]
            await read(piece)
            yield piece
    finally:
        wipe(chunk)
