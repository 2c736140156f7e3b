"""What a webhook says: that a task ended, and how. A thin payload: whoever wants more asks for it.

No handle, no file name, no word of a problem: an address outside of the customer's reach learns
nothing from it but an id that opens nothing without an API key.
"""

import secrets
from datetime import UTC, datetime

import msgspec

from ledger.tasks.states import State, event_of


class TaskFacts(msgspec.Struct, frozen=True, kw_only=True):
    """`data` of an event."""

    id: str
    state: State
    source: str
    target: str
    credits: int
    code: str | None


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The body, as Standard Webhooks 1.0.0 wants it."""

    type: str
    timestamp: str
    data: TaskFacts


def new_event_id() -> str:
    """Make a `webhook-id`."""
    return f"msg_{secrets.token_hex(16)}"


def body_of(facts: TaskFacts) -> str:
    """The event of a task that ends now, as JSON."""
    event = Event(
        type=event_of(facts.state),
        timestamp=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        data=facts,
    )
    return msgspec.json.encode(event).decode()
