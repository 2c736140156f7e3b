"""The named awaits between a customer's credits and the database, and whoever wants to stop there.

At each of them the world may change: the caller is cancelled, something raises, the process dies.
An observer is called right there, in the task whose await it is; tests hand in one that does the
worst, and then look at the books. In production there is none.
"""

from collections.abc import Callable
from enum import StrEnum


class Step(StrEnum):
    """Where an operation is: the first seven in the task of its debit, the others in the writer."""

    DEBIT_QUEUED = "debit queued"  # its caller waits for the answer
    DEBIT_ANSWERED = "debit answered"  # committed; the caller does not know yet
    TAKING_BACK = "taking back"  # nobody waits for this debit any more, but it is on its way
    SETTLE_QUEUED = "settle queued"
    SETTLE_ANSWERED = "settle answered"
    REFUND_QUEUED = "refund queued"
    REFUND_ANSWERED = "refund answered"
    BATCH_TAKEN = "batch taken"  # out of the queue, no connection yet
    BATCH_SENDING = "batch sending"  # marked as sent, not sent yet
    BATCH_ANSWERED = "batch answered"  # committed; nobody was told yet
    LEASE_RENEWING = "lease renewing"  # the answer was that our lease is gone
    CONNECTING = "connecting"  # the connection is lost, another one is asked for
    IDLE = "idle"  # nothing is left to write


Observer = Callable[[Step], None]


def unobserved(_step: Step) -> None:
    """Be nobody."""
