"""Many small results on their way out together: one write for dozens of them.

A batch of a hundred icons is four hundred pieces of an archive, of which few have a kibibyte. Each
handed to the socket by itself is a system call and a turn of the loop; so they are gathered in one
chunk of memory, which is wiped in the end. What is large goes out from where it lies.
"""

from collections.abc import AsyncGenerator, Sequence

from engine.job import Buffer
from engine.wiping import wipe
from gateway.downloads import CHUNK_BYTES

# Above this a copy costs more than the write that it saves.
SMALL_BYTES = 16 * 1024


class Joined:
    """A body (`gateway.downloads.Body`) that is in memory, in many buffers."""

    def __init__(self, buffers: Sequence[Buffer]) -> None:
        self._buffers = buffers
        self.size = sum(len(buffer) for buffer in buffers)

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        """The bytes in order; a piece is free again when the next one is asked for."""
        chunk = memoryview(bytearray(min(CHUNK_BYTES, self.size)))
        try:
            filled = 0
            for buffer in self._buffers:
                size = len(buffer)
                if filled and (size > SMALL_BYTES or size > len(chunk) - filled):
                    yield chunk[:filled]
                    filled = 0
                if size > SMALL_BYTES:
                    view = memoryview(buffer)
                    for offset in range(0, size, CHUNK_BYTES):
                        yield view[offset : offset + CHUNK_BYTES]
                else:
                    chunk[filled : filled + size] = buffer
                    filled += size
            if filled:
                yield chunk[:filled]
        finally:
            wipe(chunk)
