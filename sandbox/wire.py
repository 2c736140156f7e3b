"""The bytes that cross a worker's two pipes, without the pipes.

Both directions speak records: one byte of kind, a u32 length, that many bytes (little endian).

    up    HEADER  u32 length, header, u32 number of inputs, u64 most bytes of each
          DATA    bytes of the current input           (as many records as the sender likes)
          END     the current input is complete        (one for each input, in order)
          GO      convert now                          (so receiving never occupies a slot)
          WATCH   convert now, and say meanwhile how far it is; in place of GO
    down  READY   the worker's attestation
          REFUSED why the worker cannot serve, in place of READY: no customer's byte is here yet
          PART    u32 hundredths that are done, before REPLY: each more than the one before
          REPLY   header (the record's length), u32 number of files, u64 size of each, the files

A PART is as long as what a REPLY begins with, so whoever reads one asks for the same bytes either
way, and there are at most 100, because each is more than the one before.

The declared size of an input is a ceiling, not a promise: a sender that does not know the length
of an upload declares its limit, and END says where the input ended. That costs address space,
never memory, because the receiver's buffer is zero pages until bytes arrive.

A reader here is a script (a generator) that yields the piece of memory it wants filled next and
goes on when it is full. Whoever has the pipe reads straight into that memory, so a payload is
copied once, by the kernel. Nothing from the far side is allocated, counted or believed before it
was checked against a cap: a worker's answer is hostile until proven otherwise.
"""

import io
import struct
from collections.abc import Callable, Generator, Iterator, Sequence

from sandbox.errors import ProgressInvalid, ReplyInvalid, ReplyTooLarge, RequestInvalid

Buffer = bytes | bytearray | memoryview

# What a worker's exit status means; every other status is a crash.
EXIT_DONE = 0
EXIT_FAILED = 70
EXIT_MEMORY = 71
EXIT_REFUSED = 72

# A header is names, options and bounds in msgpack: a few hundred bytes, and what a thousand files
# are called where that matters (255 KiB); twice that is a generous lie.
HEADER_BYTES_MAX = 512 * 1024
# An attestation, or one sentence.
NOTICE_BYTES_MAX = 16 * 1024
# A merge of a thousand documents is the largest request anybody has described.
INPUTS_MAX = 1_000
# One page a file, for the longest document that is converted at all.
FILES_MAX = 10_000
# A record's length is a u32; a gibibyte a record keeps far away from its edge.
DATA_BYTES_MAX = 1024 * 1024 * 1024
# What writev takes at once (IOV_MAX of Linux).
PIECES_MAX = 1024

# What a conversion is divided into where it says how far it is.
PARTS = 100

_HEADER, _DATA, _END, _GO, _WATCH, _READY, _REFUSED, _PART, _REPLY = b"HDEGWRXPA"

_HEAD = struct.Struct("<BI")
_REPLY_HEAD = struct.Struct("<BII")
_U32 = struct.Struct("<I")

END = _HEAD.pack(_END, 0)
GO = _HEAD.pack(_GO, 0)
WATCH = _HEAD.pack(_WATCH, 0)

Script = Generator[memoryview, None, None]


class Reader:
    """Drives a script: `wanted` is the memory to fill next (never empty), None when all is read."""

    def __init__(self) -> None:
        self._script = self._read()
        self.wanted: memoryview | None = None
        self._next()

    def filled(self, count: int) -> None:
        """Say that `count` bytes were written to the start of `wanted`."""
        if self.wanted is None or not 0 < count <= len(self.wanted):
            raise ValueError("more was filled than was wanted")
        self.wanted = self.wanted[count:]
        if not self.wanted:
            self._next()

    def _next(self) -> None:
        for piece in self._script:
            if piece:
                self.wanted = piece
                return
        self.wanted = None

    def _read(self) -> Script:
        raise NotImplementedError


class RequestReader(Reader):
    """The worker's side of one request; complete at GO. Raises RequestInvalid."""

    def __init__(self, *, input_bytes_max: int) -> None:
        self._input_bytes_max = input_bytes_max
        self.header = b""
        self.inputs: list[bytes] = []
        # Whether the host wants to hear how far the conversion is.
        self.watched = False
        super().__init__()

    def _read(self) -> Script:
        length = yield from self._head(_HEADER)
        if length > HEADER_BYTES_MAX:
            raise RequestInvalid(f"a header of {length} bytes is beyond {HEADER_BYTES_MAX}")
        header = bytearray(length + _U32.size)
        yield memoryview(header)
        (count,) = _U32.unpack_from(header, length)
        if count > INPUTS_MAX:
            raise RequestInvalid(f"{count} inputs are beyond {INPUTS_MAX}")
        declared = yield from _sizes(count)
        if sum(declared) > self._input_bytes_max:
            raise RequestInvalid(f"inputs are beyond {self._input_bytes_max} bytes")
        self.header = bytes(header[:length])
        for ceiling in declared:
            yield from self._input(ceiling)
        self.watched = (yield from self._record(_GO, _WATCH))[0] == _WATCH

    def _input(self, ceiling: int) -> Script:
        # BytesIO hands its own bytes out and takes them back: calloc's untouched zero pages are
        # filled by readv and become the input without a copy.
        file = io.BytesIO(bytes(ceiling))
        room = file.getbuffer()
        received = 0
        while length := (yield from self._head(_DATA, _END)):
            if length > ceiling - received:
                raise RequestInvalid("an input is longer than was declared")
            yield room[received : received + length]
            received += length
        room.release()
        file.truncate(received)
        self.inputs.append(file.getvalue())

    def _head(self, *kinds: int) -> Generator[memoryview, None, int]:
        """Read the head of one record of one of these kinds; its length (0 for END)."""
        return (yield from self._record(*kinds))[1]

    def _record(self, *kinds: int) -> Generator[memoryview, None, tuple[int, int]]:
        head = bytearray(_HEAD.size)
        yield memoryview(head)
        kind, length = _HEAD.unpack(head)
        if kind not in kinds or (length == 0) != (kind in (_END, _GO, _WATCH)):
            raise RequestInvalid("a record out of place")
        return kind, length


class ReadyReader(Reader):
    """The host's side of READY: `attestation`, or the `refusal` of a worker that cannot serve."""

    def __init__(self) -> None:
        self.attestation: bytes | None = None
        self.refusal = ""
        super().__init__()

    def _read(self) -> Script:
        head = bytearray(_HEAD.size)
        yield memoryview(head)
        kind, length = _HEAD.unpack(head)
        if kind == _PART:
            raise ProgressInvalid("the worker spoke of progress after its reply")
        if kind not in (_READY, _REFUSED) or length > NOTICE_BYTES_MAX:
            raise ReplyInvalid("the worker did not announce itself")
        notice = bytearray(length)
        yield memoryview(notice)
        if kind == _READY:
            self.attestation = bytes(notice)
        else:
            self.refusal = notice.decode("utf-8", "replace") or "the worker refused to serve"


class ReplyReader(Reader):
    """The host's side of a reply: its `header` and the `sizes` of its files, whose bytes follow.

    `progress` hears what part is done (1 to PARTS), where it is wanted. Raises ReplyInvalid, and
    ReplyTooLarge before anything is allocated.
    """

    def __init__(
        self, *, output_bytes_max: int, progress: Callable[[int], None] | None = None
    ) -> None:
        self._output_bytes_max = output_bytes_max
        self._progress = progress
        self.header = b""
        self.sizes: tuple[int, ...] = ()
        super().__init__()

    def _read(self) -> Script:
        head = bytearray(_REPLY_HEAD.size)
        yield memoryview(head)
        kind, length, count = _REPLY_HEAD.unpack(head)
        done = 0
        while kind == _PART:
            done = self._parts(length, count, done)
            yield memoryview(head)
            kind, length, count = _REPLY_HEAD.unpack(head)
        if kind != _REPLY or length > HEADER_BYTES_MAX or count > FILES_MAX:
            raise ReplyInvalid("the worker's answer is not a reply")
        header = bytearray(length)
        yield memoryview(header)
        sizes = yield from _sizes(count)
        if sum(sizes) > self._output_bytes_max:
            raise ReplyTooLarge(f"the worker announced more than {self._output_bytes_max} bytes")
        self.header, self.sizes = bytes(header), sizes

    def _parts(self, length: int, part: int, before: int) -> int:
        """Take one PART, which is more than the one before."""
        if self._progress is None:
            raise ProgressInvalid("the worker spoke of progress that nobody had asked for")
        if length != _U32.size or not before < part <= PARTS:
            raise ProgressInvalid("the worker's progress is none")
        self._progress(part)
        return part


class Filling(Reader):
    """Fills one piece of memory: bytes whose number both sides know."""

    def __init__(self, room: memoryview) -> None:
        self._room = room
        super().__init__()

    def _read(self) -> Script:
        yield self._room


def header_frame(header: Buffer, ceilings: Sequence[int]) -> bytes:
    """Open a request: the header and the most bytes each input may have. Raises RequestInvalid."""
    if len(header) > HEADER_BYTES_MAX:
        raise RequestInvalid(f"a header of {len(header)} bytes is beyond {HEADER_BYTES_MAX}")
    if len(ceilings) > INPUTS_MAX:
        raise RequestInvalid(f"{len(ceilings)} inputs are beyond {INPUTS_MAX}")
    if not header:
        raise RequestInvalid("a request needs a header")
    sizes = struct.pack(f"<I{len(ceilings)}Q", len(ceilings), *ceilings)
    return b"".join((_HEAD.pack(_HEADER, len(header)), header, sizes))


def data_head(length: int) -> bytes:
    """Head of a DATA record; exactly `length` (1 to DATA_BYTES_MAX) payload bytes follow it."""
    if not 0 < length <= DATA_BYTES_MAX:
        raise RequestInvalid(f"a piece of {length} bytes is not between 1 and {DATA_BYTES_MAX}")
    return _HEAD.pack(_DATA, length)


def ready_frame(attestation: bytes) -> bytes:
    """Announce a worker that is confined and waiting."""
    return _HEAD.pack(_READY, len(attestation)) + attestation


def refused_frame(sentence: str) -> bytes:
    """Say why a worker cannot serve, in place of READY."""
    reason = sentence.encode("utf-8", "replace")[:NOTICE_BYTES_MAX]
    return _HEAD.pack(_REFUSED, len(reason)) + reason


def part_frame(part: int) -> bytes:
    """Say that so many hundredths are done."""
    return _REPLY_HEAD.pack(_PART, _U32.size, part)


def reply_frames(header: Buffer, files: Sequence[Buffer]) -> Iterator[Buffer]:
    """Yield one whole reply, ready for writev; the files' bytes are not copied."""
    sizes = struct.pack(f"<{len(files)}Q", *(memoryview(file).nbytes for file in files))
    yield b"".join((_REPLY_HEAD.pack(_REPLY, len(header), len(files)), header, sizes))
    yield from files


def unsent(pieces: Sequence[memoryview], sent: int) -> list[memoryview]:
    """Return what is left of the pieces after `sent` bytes of them were written."""
    for index, piece in enumerate(pieces):
        if sent < len(piece):
            return [piece[sent:], *pieces[index + 1 :]]
        sent -= len(piece)
    return []


def _sizes(count: int) -> Generator[memoryview, None, tuple[int, ...]]:
    table = bytearray(8 * count)
    yield memoryview(table)
    return struct.unpack(f"<{count}Q", table)
