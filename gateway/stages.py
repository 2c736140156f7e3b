"""The named moments of a conversion's life, and whoever wants to know of them.

A `Trail` is one conversion's way through the gateway. At each stage it tells every observer that
the composition root was given: metrics always; in tests one that stops or kills the process there.
The order below is the order of a conversion that succeeds; a failed one stops at some stage.
"""

import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol
from uuid import UUID


class Stage(StrEnum):
    """Where a conversion is. The gaps between two of them are what the metrics time."""

    RECEIVED = "received"  # the request's head is there
    AUTHENTICATED = "authenticated"  # its key belongs to an account
    READ = "read"  # the whole upload is in memory
    PLANNED = "planned"  # it is a job, and has a price
    DEBITING = "debiting"  # the debit is about to be sent
    DEBITED = "debited"  # the debit is committed
    CONVERTING = "converting"  # it asks the engine for a worker
    CONVERTED = "converted"  # the result is in memory
    RESPONDING = "responding"  # the first byte is about to be written
    DELIVERED = "delivered"  # the last byte was handed to the socket
    SETTLED = "settled"  # the debit is final


class Observer(Protocol):
    """Called at each stage, synchronously, in the conversion's own task."""

    def __call__(self, stage: Stage, trail: "Trail") -> None:
        """Take note. Must be quick: the conversion waits."""


class Trail:
    """One conversion's stages so far, and when they were reached, in seconds of a steady clock."""

    __slots__ = (
        *("_observers", "charged", "conversion_id", "credits", "operation", "reached_at"),
        "repeated",
    )

    def __init__(self, conversion_id: UUID, observers: Sequence[Observer]) -> None:
        self.conversion_id = conversion_id
        self.credits = 0
        # Of a batch: what earlier requests with its idempotency key were charged.
        self.repeated = 0
        # What was settled in the end.
        self.charged = 0
        # source/target:operation, once that is known (`gateway/records.py`).
        self.operation = ""
        self.reached_at: dict[Stage, float] = {}
        self._observers = observers

    def reached(self, stage: Stage) -> None:
        """Note the stage and tell the observers."""
        self.reached_at[stage] = time.monotonic()
        if stage is Stage.SETTLED:
            self.charged = self.credits - self.repeated
        for observe in self._observers:
            observe(stage, self)

    @property
    def last(self) -> Stage | None:
        """The stage reached last."""
        return next(reversed(self.reached_at), None)

    def seconds(self, start: Stage, end: Stage) -> float:
        """How long it took from one stage to another, both reached."""
        return self.reached_at[end] - self.reached_at[start]
