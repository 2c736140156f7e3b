"""One audit record, and the chain: h = BLAKE2b-256(previous h || the row in its canonical form).

The canonical form is the JSON array of the row's values in the order of the table, the time as
whole microseconds since 1970, the id as its text, without spaces: whoever has the rows can check
the chain with any program. The first row follows 32 zero bytes. Whoever notes a head (a seq and
its hash) elsewhere can show later that everything up to it is as it was.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from uuid import UUID

import msgspec

HASH_BYTES = 32
# What the first row follows.
GENESIS = bytes(HASH_BYTES)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Outcome(StrEnum):
    """How an action ended."""

    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `outcome` is None in the row that is written before the action."""

    seq: int
    at: datetime
    action_id: UUID
    # `uid:1000`, or `token:` and the first digits of the token's hash.
    actor: str
    # The process that was addressed: host name and process id.
    gateway: str
    action: str
    # JSON of the action's typed parameters.
    parameters: str
    outcome: Outcome | None
    # JSON of what a done action gave back, or the name of the error of a failed one.
    detail: str

    def canonical(self) -> bytes:
        """Give the bytes that are hashed."""
        microseconds = (self.at - _EPOCH) // _MICROSECOND
        return msgspec.json.encode(
            [
                *(self.seq, microseconds, self.action_id, self.actor, self.gateway, self.action),
                *(self.parameters, self.outcome, self.detail),
            ]
        )

    def hash_after(self, previous: bytes) -> bytes:
        """Give this row's hash when it follows a row with the hash `previous`."""
        return hashlib.blake2b(previous + self.canonical(), digest_size=HASH_BYTES).digest()


class Head(msgspec.Struct, frozen=True):
    """The last row of a chain: enough to note elsewhere, and to compare with later."""

    seq: int
    hash: bytes

    def __str__(self) -> str:
        """Give the form that `ephemera audit verify` prints and takes."""
        return f"{self.seq}:{self.hash.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read that form. Raises ValueError with a sentence."""
        seq, _, digits = text.partition(":")
        try:
            head = cls(int(seq), bytes.fromhex(digits))
        except ValueError:
            head = cls(0, b"")
        if head.seq < 1 or len(head.hash) != HASH_BYTES:
            raise ValueError(
                "a head is a number, a colon and 64 hexadecimal digits, as `ephemera audit verify`"
                " printed it"
            )
        return head


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """What a walk along the chain found."""

    records: int
    # None while there is no record.
    head: Head | None
    # Where the chain is broken: the row was changed, or the one before it is missing.
    broken: tuple[int, ...] = ()
    # A head that was noted before is still in the chain; None where none was given.
    holds: bool | None = None
    # Heads that were signed and are not in the chain.
    missing: tuple[Head, ...] = ()

    @property
    def intact(self) -> bool:
        """Say whether everything is as it was written, as far as can be seen."""
        return not self.broken and not self.missing and self.holds is not False


class Walk:
    """Checks rows in the order of their seq, each against the stored hash of the one before.

    Against the stored one, so that one changed row is one broken place and not all that follow.
    """

    def __init__(self, noted: Head | None = None, signed: Iterable[Head] = ()) -> None:
        self._noted = noted
        self._signed = set(signed)
        self._holds = False
        self._head = Head(0, GENESIS)
        self._records = 0
        self._broken: list[int] = []

    def step(self, record: Record, stored: bytes) -> None:
        """Take the next row and the hash that is stored with it."""
        follows = record.seq == self._head.seq + 1
        if not follows or record.hash_after(self._head.hash) != stored:
            self._broken.append(record.seq)
        self._head = Head(record.seq, stored)
        self._records += 1
        self._holds = self._holds or self._head == self._noted
        self._signed.discard(self._head)

    def end(self) -> Chain:
        """Give what was found."""
        return Chain(
            records=self._records,
            head=self._head if self._records else None,
            broken=tuple(self._broken),
            holds=self._holds if self._noted else None,
            missing=tuple(sorted(self._signed, key=lambda one: one.seq)),
        )
