"""The chunked transfer coding (RFC 9112, section 7.1), taken apart without a copy that stays.

Strict, because two readers that disagree about where a body ends are how requests are smuggled:
sizes are hexadecimal digits and nothing else, lines end in CRLF, extensions and trailers are
skipped and short. aiohttp's parser has checked the head: there is one Transfer-Encoding, it is
`chunked`, and there is no Content-Length.
"""

import re
from enum import Enum

# The largest size of 2**60 bytes, and an extension; nobody sends one, and RFC 9112 lets us refuse.
LINE_BYTES_MAX = 256
# All trailers together. They are thrown away.
TRAILER_BYTES_MAX = 8 * 1024

_LINE_END = re.compile(rb"\n")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n\Z")


class ChunksBroken(Exception):
    """This is not a chunked body."""


class _Expects(Enum):
    SIZE = "size"
    BYTES = "bytes"
    CRLF = "crlf"
    TRAILER = "trailer"
    NOTHING = "nothing"


class Chunked:
    """What is between the chunks' lines. `ended` once the last trailer was seen."""

    def __init__(self) -> None:
        self._expects = _Expects.SIZE
        self._line = b""
        self._left = 0
        self._trailer_bytes = 0

    @property
    def ended(self) -> bool:
        """Nothing more belongs to this body."""
        return self._expects is _Expects.NOTHING

    def take(self, arrived: memoryview) -> tuple[bytearray, memoryview]:
        """The body's bytes in what arrived, and what comes after the body. Raises ChunksBroken."""
        # As large as it can become, so that it never moves and leaves a copy behind.
        body, filled = bytearray(len(arrived)), 0
        with memoryview(body) as room:
            while arrived and not self.ended:
                if self._expects is _Expects.BYTES:
                    piece = arrived[: self._left]
                    room[filled : filled + len(piece)] = piece
                    filled += len(piece)
                    self._left -= len(piece)
                    arrived = arrived[len(piece) :]
                    if not self._left:
                        self._expects = _Expects.CRLF
                else:
                    arrived = self._take_line(arrived)
        del body[filled:]
        return body, arrived

    def _take_line(self, arrived: memoryview) -> memoryview:
        """One line, or as much of it as is here."""
        # Not `bytes.find`: what follows the line is the body, and no copy is to be made of it.
        found = _LINE_END.search(arrived, 0, LINE_BYTES_MAX + 1)
        end = found.end() if found else min(len(arrived), LINE_BYTES_MAX + 1)
        self._line += bytes(arrived[:end])
        if len(self._line) > LINE_BYTES_MAX:
            raise ChunksBroken("a line of a chunked body is too long")
        if self._line.endswith(b"\n"):
            line, self._line = self._line, b""
            self._read_line(line)
        return arrived[end:]

    def _read_line(self, line: bytes) -> None:
        match self._expects:
            case _Expects.SIZE:
                found = _SIZE.match(line)
                if found is None:
                    raise ChunksBroken("a chunk does not begin with its size")
                self._left = int(found[1], 16)
                self._expects = _Expects.BYTES if self._left else _Expects.TRAILER
            case _Expects.CRLF:
                if line != b"\r\n":
                    raise ChunksBroken("a chunk is longer than its size")
                self._expects = _Expects.SIZE
            case _:
                self._trailer_bytes += len(line)
                if self._trailer_bytes > TRAILER_BYTES_MAX or not line.endswith(b"\r\n"):
                    raise ChunksBroken("the trailers are too long or not well formed")
                if line == b"\r\n":
                    self._expects = _Expects.NOTHING
