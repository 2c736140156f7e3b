"""Overwriting what was a customer's.

`bytes` cannot be overwritten, and what is freed is not erased: it waits in the allocator's lists
until something else happens to need the room. So what holds a file is a `bytearray`, and whoever
is done with one wipes it.
"""

from engine.job import Buffer

# Copied from in pieces that stay in a core's second cache.
_ZERO_BYTES = 256 * 1024
_ZEROS = memoryview(bytes(_ZERO_BYTES))


def wipe(buffer: Buffer) -> None:
    """Overwrite it with zeros. Does nothing for one that cannot be written."""
    with memoryview(buffer) as view:
        if view.readonly:
            return
        for start in range(0, len(view), _ZERO_BYTES):
            piece = view[start : start + _ZERO_BYTES]
            piece[:] = _ZEROS[: len(piece)]
