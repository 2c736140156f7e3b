"""What a task is asked to do, and what became of it, as both stand sealed in the ledger.

Both hold handles, which open stored files, so neither exists in the clear but in memory.
"""

from typing import Literal

import msgspec

from engine.pipeline import Step
from gateway.errors import RequestMalformed
from gateway.problems import Problem
from ledger.credits.terms import PAYING, Terms

# A task's files, whatever their number: each handle has at most 65 characters, a URL 2,000.
REQUEST_BYTES_MAX = 512 * 1024


class TaskRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion, or several steps, of files that are elsewhere."""

    source: str
    target: str
    # The converter's own, `operation` among them.
    options: dict[str, str] = {}
    # In place of target and options: several conversions, each of what the one before made.
    steps: tuple[Step, ...] = ()
    # Handles of stored files, URLs, or places in storage of their owner's, in their order. Empty:
    # they are in their holder's memory.
    files: tuple[str, ...] = ()
    # What the result is named after; without it, after the first file.
    name: str | None = None
    hold: Literal["store", "memory"] = "store"
    # How long the results are stored.
    lifetime_s: float
    # From the moment that it runs.
    timeout_s: float
    # CONNECTION/path: the result is written there, and not stored.
    deliver_to: str | None = None
    # Several results are stored one by one, and not as one archive.
    separate: bool = False
    # Their handles are 32 letters and digits.
    short: bool = False
    # Whose words are used when it is answered; there, the extension of the results, and whether the
    # client wants the results themselves in place of their handles.
    dialect: Literal["native", "convertapi"] = "native"
    called: str | None = None
    inline: bool = False
    # On what terms its account pays, by the key that asked.
    terms: Terms = PAYING
    # That key, for the records; None: somebody who had signed in.
    key_id: str | None = None
    # What its client lets it cost.
    credits_max: int | None = None

    def encoded(self) -> bytes:
        """It as the ledger keeps it. Raises RequestMalformed where it is too long."""
        encoded = msgspec.msgpack.encode(self)
        if len(encoded) > REQUEST_BYTES_MAX:
            raise RequestMalformed(
                f"a task's options and its list of files have at most {REQUEST_BYTES_MAX} bytes"
            )
        return encoded


class ResultFile(msgspec.Struct, frozen=True, kw_only=True):
    """One result. With `hold=memory`, and one that was delivered, has neither handle nor id."""

    name: str
    bytes: int
    media_type: str
    handle: str | None = None
    id: str | None = None
    expires_at: str | None = None
    # CONNECTION/path where it was written, and what the storage calls this version.
    delivered_to: str | None = None
    etag: str | None = None


class TaskOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Results, or the problem that there is in place of them."""

    files: tuple[ResultFile, ...] = ()
    warnings: tuple[str, ...] = ()
    # How far its worker was shared.
    isolation: str | None = None
    # In the worker, without its wait.
    convert_s: float = 0.0
    # As the request had it.
    inline: bool = False
    problem: Problem | None = None
    # Of a problem: what was tried, and whether a password was given.
    converter: str = ""
    with_password: bool = False


def request_of(encoded: bytes) -> TaskRequest:
    """What a task was asked to do."""
    return msgspec.msgpack.decode(encoded, type=TaskRequest)


def outcome_of(encoded: bytes | None) -> TaskOutcome:
    """What became of a task; nothing yet where it is not over."""
    if encoded is None:
        return TaskOutcome()
    return msgspec.msgpack.decode(encoded, type=TaskOutcome)
