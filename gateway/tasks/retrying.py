"""When an event is sent again, and when no more. Pure: the schedule is a table.

The schedule is Standard Webhooks' example; jitter keeps many that failed together from coming back
together. A receiver's Retry-After only ever makes it later.
"""

import random
from enum import StrEnum

MINUTE = 60.0
HOUR = 60 * MINUTE
# Before the 2nd attempt, the 3rd, ...; the first one is at once. Three days in all.
PAUSES_S = (
    *(5.0, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR),
    *(10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR),
)
ATTEMPTS_MAX = len(PAUSES_S) + 1
JITTER = 0.1
# Of Retry-After: whoever wants more time than the longest pause has to be asked before.
RETRY_AFTER_S_MAX = 24 * HOUR

GONE = 410
SUCCESS = range(200, 300)


class Verdict(StrEnum):
    """What an attempt's answer means."""

    DELIVERED = "delivered"
    GONE = "gone"
    FAILED = "failed"


def verdict(status: int | None) -> Verdict:
    """2xx is delivered; 410 wants no more; all else, redirects too, has failed."""
    if status is not None and status in SUCCESS:
        return Verdict.DELIVERED
    return Verdict.GONE if status == GONE else Verdict.FAILED


def pause_s(
    attempts: int, retry_after_s: float | None = None, jitter: float | None = None
) -> float | None:
    """How long after the attempt of this number the next one is; None: that was the last.

    `jitter` is from -1 to 1; random without it.
    """
    if attempts >= ATTEMPTS_MAX:
        return None
    spread = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311 (not a secret)
    planned = PAUSES_S[attempts - 1] * (1 + JITTER * spread)
    return max(planned, min(retry_after_s or 0.0, RETRY_AFTER_S_MAX))
