"""Every version of the privacy page that was ever published, by the hash of what it says."""

from datetime import datetime

import msgspec

from ledger.database import Database
from ledger.errors import PolicyUnknown
from ledger.people.person import Clock

_LIST_MAX = 1000
_PUBLISH = """
insert into privacy.policy (hash, published_at, page) values ($1, $2, $3) on conflict do nothing
"""
_GET = "select hash, published_at, page from privacy.policy where hash = $1"
_LIST = "select hash, published_at from privacy.policy order by published_at desc limit $1"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version; `page` is JSON."""

    hash: str
    published_at: datetime
    page: str


class VersionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One version in the list of them."""

    hash: str
    published_at: datetime


class Policies:
    """Keeps versions. Raises LedgerUnavailable everywhere."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def publish(self, digest: str, page: str) -> None:
        """Keep a version; one that was published before keeps its date."""
        await self._database.value(_PUBLISH, digest, self._clock(), page)

    async def get(self, digest: str) -> Version:
        """Give a version. Raises PolicyUnknown."""
        row = await self._database.row(_GET, digest)
        if row is None:
            raise PolicyUnknown("there never was such a version; see GET /privacy/versions")
        return Version(**row)

    async def list(self) -> "list[VersionFacts]":
        """Give all versions, the newest first."""
        return [VersionFacts(**row) for row in await self._database.rows(_LIST, _LIST_MAX)]
