"""The id of a conversion: a UUIDv7 (RFC 9562), made before the first byte is sent anywhere.

Ids of one moment lie beside each other, so that the indexes of the entries grow at their right
edge; a random UUID costs a full page image for nearly every insert.
"""

import os
import time
from uuid import UUID


def new_conversion_id() -> UUID:
    """Give a fresh id: 48 bits of milliseconds, 74 random bits."""
    milliseconds = time.time_ns() // 1_000_000
    random = int.from_bytes(os.urandom(10))
    return UUID(
        int=(milliseconds & (1 << 48) - 1) << 80
        | 0x7 << 76
        | (random >> 68) << 64
        | 0b10 << 62
        | random & (1 << 62) - 1
    )
