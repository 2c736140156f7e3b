"""A request's files in memory that is ours, so that it can be wiped when the request is over."""

from collections.abc import Iterable
from types import TracebackType
from typing import Self

from engine.job import Buffer
from engine.memory import untouched
from engine.wiping import wipe

# The usual small upload fits; an announced size costs at most this much before a byte of it came.
_LEAST_BYTES = 16 * 1024
_MOST_BYTES_AT_ONCE = 8 * 1024 * 1024


class Gathering:
    """A file that grows from pieces; a `bytearray` that grows moves, and leaves a copy behind."""

    def __init__(self, expected: int) -> None:
        """`expected` bytes are likely; more may come. Room that is not needed costs nothing."""
        self._room = untouched(min(max(expected, _LEAST_BYTES), _MOST_BYTES_AT_ONCE))
        self._filled = 0

    def __len__(self) -> int:
        """How many bytes are here."""
        return self._filled

    def expect(self, expected: int) -> None:
        """So many bytes are likely, after all."""
        size = min(expected, _MOST_BYTES_AT_ONCE)
        if size > len(self._room):
            self._move(size)

    def add(self, piece: Buffer) -> None:
        """Append a copy of the piece."""
        end = self._filled + len(piece)
        if end > len(self._room):
            self._move(max(end, 2 * len(self._room)))
        # Through a view: a slice of a bytearray makes a copy of what it is assigned.
        with memoryview(self._room) as room:
            room[self._filled : end] = piece
        self._filled = end

    def view(self) -> memoryview:
        """What is here, where it lies. Nothing can be added while somebody has the view."""
        return memoryview(self._room)[: self._filled]

    def complete(self) -> None:
        """Nothing more is likely: let go of the room that is left."""
        del self._room[self._filled :]

    def whole(self) -> bytearray:
        """The file. Nothing can be added any more; whoever takes it wipes it."""
        self.complete()
        whole, self._room = self._room, bytearray()
        return whole

    def wipe(self) -> None:
        """Forget what was gathered and not taken."""
        wipe(memoryview(self._room)[: self._filled])

    def _move(self, size: int) -> None:
        larger = untouched(size)
        with memoryview(self._room) as old, memoryview(larger) as new:
            new[: self._filled] = old[: self._filled]
        self.wipe()
        self._room = larger


class Wiper:
    """Wipes all that it was told of when its block ends, however it ends."""

    def __init__(self) -> None:
        self._buffers: list[Buffer] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for buffer in self._buffers:
            wipe(buffer)
        self._buffers.clear()

    def add(self, buffers: Iterable[Buffer]) -> None:
        """Wipe these too."""
        self._buffers.extend(buffers)
