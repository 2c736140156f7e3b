"""The limits that several gateways share: when all that a subject used will be paid for.

The database's clock is the only one that counts, and it knows no quota: it is asked for parts of a
window, in nanoseconds. Subjects are stored as keyed hashes, because an address is personal.
"""

import asyncio
import hashlib
import logging
import random
from collections.abc import Sequence

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import LedgerError, LedgerFault, LedgerUnavailable

_SUBJECT_BYTES = 16
_PERIOD_S = 60.0
# Bounded, so that no round is a long transaction.
_FORGOTTEN_MAX = 5000
_TAKE = "select granted, ahead from limits.take($1, $2, $3, $4, $5, $6)"
_FORGET = "select limits.forget($1)"

_log = logging.getLogger(__name__)


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """What one subject asks for, in nanoseconds of its window."""

    policy: str
    subject: str
    window_ns: int
    # Was used already, and is taken whatever there is.
    must_ns: int = 0
    # Is wanted on top, as far as there is room.
    want_ns: int = 0
    # Less than this is not taken.
    least_ns: int = 0


class Taken(msgspec.Struct, frozen=True):
    """What became of it."""

    # Of what was wanted.
    granted_ns: int
    # How far the subject's moment is ahead of now.
    ahead_ns: int


class Moments:
    """Takes, and forgets what has passed."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        self._database = database
        self._pepper = pepper

    async def take(self, asks: Sequence[Ask]) -> list[Taken]:
        """Take for all of them, each subject once, in one statement. Raises LedgerUnavailable."""
        hashed = sorted(
            ((ask.policy, self._hash(ask), number) for number, ask in enumerate(asks)),
        )
        ordered = [asks[number] for *_, number in hashed]
        try:
            row = await self._database.row(
                _TAKE,
                [policy for policy, *_ in hashed],
                [subject for _, subject, _ in hashed],
                [ask.window_ns for ask in ordered],
                [ask.must_ns for ask in ordered],
                [ask.want_ns for ask in ordered],
                [ask.least_ns for ask in ordered],
            )
        except asyncpg.PostgresError as error:
            raise LedgerFault("the moments of limits could not be taken") from error
        taken = [Taken(0, 0)] * len(asks)
        if row is not None:
            for (*_, number), granted, ahead in zip(
                hashed, row["granted"] or (), row["ahead"] or (), strict=True
            ):
                taken[number] = Taken(granted, ahead)
        return taken

    async def run(self) -> None:
        """Forget once a minute until cancelled; any number of gateways does no harm."""
        while True:
            await asyncio.sleep(_PERIOD_S * random.uniform(0.5, 1.5))  # noqa: S311 (not a secret)
            try:
                await self.forget()
            except LedgerUnavailable:
                pass  # there will be a next round
            except (LedgerError, asyncpg.PostgresError):
                _log.exception("the moments of limits were not forgotten")

    async def forget(self) -> int:
        """Remove moments that have passed; gives their number."""
        number = 0
        while (gone := int(await self._database.value(_FORGET, _FORGOTTEN_MAX))) > 0:
            number += gone
        return number

    def _hash(self, ask: Ask) -> bytes:
        return hashlib.blake2b(
            f"{ask.policy}|{ask.subject}".encode(),
            key=self._pepper,
            digest_size=_SUBJECT_BYTES,
            person=b"limits.moment",
        ).digest()
