"""What a gateway under chaos asked for and was told: the oracle that the books are compared with.

Fixed-size records in an append-only file a process. A record is one write, so whatever the process
did before it was killed is in the page cache and survives it. A request is on record before it can
be sent, an answer after it was received; times are of CLOCK_MONOTONIC, which all processes share.
"""

import os
import struct
import time
from collections.abc import Iterator
from enum import IntEnum, auto
from pathlib import Path
from typing import NamedTuple

# event, time, account, key, credits, balance, id of the conversion or the purchase
_RECORD = struct.Struct("<Q5q16s")
RECORD_BYTES = _RECORD.size


class Event(IntEnum):
    """One line of the oracle."""

    DEBIT = auto()  # asked
    DEBITED = auto()  # answered, with the balance
    REPEATED = auto()  # answered: the key is paid for
    INSUFFICIENT = auto()  # refused, with the balance that was too small
    KEY_IN_FLIGHT = auto()
    KEY_MISMATCH = auto()
    UNAVAILABLE = auto()
    FAILED = auto()  # the conversion went wrong, and its block has been left
    DELIVERED = auto()  # the last byte is with the client; the settle is about to be asked for
    SETTLED = auto()  # answered
    LAPSED = auto()  # answered: refunded before
    CANCELLED = auto()  # the task ended by cancellation, wherever it was
    PURCHASE = auto()
    PURCHASED = auto()
    GOODWILL = auto()
    GOODWILLED = auto()


class Line(NamedTuple):
    """A record as it was written."""

    event: int
    at_ns: int
    account: int
    key: int
    credits: int
    balance: int
    id: bytes


class OracleLog:
    """Appends to the file of one process."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)

    def write(
        self,
        event: Event,
        account: int,
        id_: bytes,
        *,
        key: int = 0,
        amount: int = 0,
        balance: int = 0,
    ) -> None:
        """Put one line on record, now."""
        line = _RECORD.pack(event, time.monotonic_ns(), account, key, amount, balance, id_)
        os.write(self._descriptor, line)


def read(path: Path) -> Iterator[Line]:
    """Give the lines of one process, in their order."""
    with path.open("rb") as file:
        while chunk := file.read(RECORD_BYTES << 14):
            whole = len(chunk) - len(chunk) % RECORD_BYTES
            yield from map(Line._make, _RECORD.iter_unpack(chunk[:whole]))


class Counter:
    """Counts an event in files that still grow, without decoding them."""

    def __init__(self, event: Event) -> None:
        self.count = 0
        self._event = bytes([event])
        self._offsets: dict[Path, int] = {}

    def look(self, folder: Path) -> int:
        """Give the count by now."""
        for path in folder.iterdir():
            offset = self._offsets.get(path, 0)
            with path.open("rb") as file:
                file.seek(offset)
                chunk = file.read()
            whole = len(chunk) - len(chunk) % RECORD_BYTES
            # The event is the lowest byte of each record.
            self.count += chunk[:whole:RECORD_BYTES].count(self._event)
            self._offsets[path] = offset + whole
        return self.count
