"""The life of a task as a table: which state follows which, what becomes of its debit, and why.

`tasks.finish` (migration 0007) implements it: state, money and webhooks in one transaction.
"""

from enum import StrEnum
from typing import Literal

import msgspec

# Of the debit: made final, given back, left open (until a result in memory is fetched), or there is
# none (whoever tests converts for nothing).
Money = Literal["settle", "refund", "leave", "free"]


class State(StrEnum):
    """Where a task is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TIMED_OUT = "timed_out"
    EXPIRED = "expired"


LIVE = (State.QUEUED, State.RUNNING)
OVER = tuple(state for state in State if state not in LIVE)


class End(msgspec.Struct, frozen=True, kw_only=True):
    """How a task ends: what is written in the one transaction that ends it."""

    state: State
    money: Money = "refund"
    # Of the refund's entry.
    reason: str | None = None
    # The gateway's document of results or of the problem; sealed before it is written.
    outcome: bytes | None = None
    # Ids of the stored results, which go with the task.
    results: tuple[str, ...] | None = None
    # The problem's code.
    code: str | None = None
    # For how long it is remembered; None: as long as before.
    keep_s: float | None = None
    # What it costs, for the webhook.
    credits: int = 0
    # Whether anybody is told.
    told: bool = True


def event_of(state: State) -> str:
    """The webhook event of an end."""
    return f"task.{state}"


# What an address can ask to hear of.
EVENTS = tuple(event_of(state) for state in OVER)
