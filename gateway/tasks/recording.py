"""A task among the records of requests: its submission was one request, its work is another."""

import time

from gateway.tasks.attempt import Attempt
from ledger.requests.requests import Requests

METHOD = "TASK"
PATH = "/v1/tasks/{id}"


def note(requests: Requests, attempt: Attempt, status: int, *, credits: int) -> None:
    """Remember that a task is over, with the status that a request would have had."""
    claimed = attempt.claimed
    requests.writer.note(
        (
            requests.clock(),
            claimed.conversion_id,
            claimed.account_id,
            attempt.request.key_id,
            METHOD,
            PATH,
            attempt.operation,
            status,
            attempt.bytes_in,
            int((time.monotonic() - attempt.began) * 1000),
            credits,
            None,
        )
    )
