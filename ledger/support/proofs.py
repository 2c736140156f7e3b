"""Proofs of work that were shown: each is good once, whichever process is shown it."""

import hashlib
from datetime import datetime

from ledger.database import Database

_SPEND = """
insert into support.proof (hash, expires_at) values ($1, $2)
on conflict do nothing returning true
"""


class Proofs:
    """Remembers hashes until they are over (`support/sweeper.py`). Raises LedgerUnavailable."""

    def __init__(self, database: Database, pepper: bytes) -> None:
        # What challenges are signed with, by all processes of one service alike.
        self.key = hashlib.blake2b(b"proofs of work", digest_size=32, key=pepper).digest()
        self._database = database

    async def spend(self, digest: bytes, expires_at: datetime) -> bool:
        """Say whether it is shown for the first time."""
        return bool(await self._database.value(_SPEND, digest, expires_at))
