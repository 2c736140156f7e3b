"""What a task is to the ledger: as it is handed in, as an attempt at it, as its owner sees it."""

from datetime import datetime
from uuid import UUID

import msgspec

from ledger.tasks.states import LIVE, State


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task to take. `request` and `callback` are sealed here."""

    account_id: int
    id: str
    source: str
    target: str
    request: bytes
    hold: str = "store"
    # Of a task in memory: the process that has its bytes.
    holder: UUID | None = None
    callback: bytes | None = None
    hook_id: str | None = None
    # Ids of stored files that came with it and go with it.
    inputs: tuple[str, ...] = ()
    client_key: str | None = None
    fingerprint: bytes | None = None


class Submitted(msgspec.Struct, frozen=True):
    """The task, and whether it was there already (same client's key, same request)."""

    seq: int
    id: str
    repeat: bool


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a task, with its request in the clear."""

    seq: int
    account_id: int
    id: str
    hold: str
    source: str
    target: str
    request: bytes
    attempt: int
    conversion_id: UUID


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A task as its owner may see it. `outcome` is in the clear."""

    seq: int
    account_id: int
    id: str
    state: State
    hold: str
    source: str
    target: str
    outcome: bytes | None
    code: str | None
    attempt: int
    conversion_id: UUID | None
    holder: UUID | None
    stage: str
    progress: float
    credits: int
    settled: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.state not in LIVE


class Beat(msgspec.Struct, frozen=True):
    """That a task is still in hand, and how far it is."""

    seq: int
    conversion_id: UUID | None
    stage: str | None = None
    progress: float | None = None
