"""What went wrong with a customer's storage, in words for the customer. Pure.

A storage's own error code (`NoSuchBucket`) is passed on, because it is the best hint there is; its
sentences are not.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import (
    FetchCrowded,
    FetchError,
    FetchFailed,
    FetchTooLarge,
    FetchTooSlow,
    GatewayError,
    StorageFailed,
    StorageRefused,
    StorageTooSlow,
)
from gateway.outbound.client import PASSING
from gateway.outbound.exchange import Answered

# Why, by the labels of `gateway.outbound.client.OUTCOMES`.
_SENTENCES = {
    "address": "the storage's host is not found, or is none that is asked from here",
    "unresolved": "the storage's host is not found, or is none that is asked from here",
    "scheme": "the storage's address begins with another scheme than is allowed here: https",
    "encoding": "the storage sends the file packed (Content-Encoding); it is not unpacked here",
    "redirects": "the storage redirects too often",
    "unreachable": "the storage cannot be reached",
    "tls": "the storage does not show a valid certificate",
    "broken": "the storage broke off, or did not take the whole file",
    "slow": "the storage did not answer in time, or is too slow",
}
_HINTS = {
    401: "; check the credentials: write them anew",
    403: "; check the credentials, and what they may do",
    404: ": there is no such file, or no such bucket or folder",
    409: ": the folder is not there, or something is in the way; none is made here",
    412: ": a condition of the storage is not met",
}
# What a check finds, where it is no label of `OUTCOMES`.
_FINDINGS = {
    "ok": "the storage answers, and takes the credentials",
    "denied": "the storage answers and refuses; check the credentials, and what they may do here: "
    "whoever may not list files may not learn that one is missing, so try with read or write",
    "missing": "the storage answers, and there is no such file, bucket or folder",
    "redirected": "the storage is elsewhere: give the region or the address that it names",
    "unexpected": "the storage answers something that it should not; see its status",
}
_REDIRECTION = range(300, 400)
_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,64})</Code>")


def code_of(answered: Answered) -> str | None:
    """The storage's own error code, where it is one (S3's `<Code>`)."""
    found = _CODE.search(answered.said)
    return found[1].decode() if found else None


def refusal(status: int, code: str | None = None) -> GatewayError:
    """The error for an answer that is no success."""
    said = f"the storage answers {status} {code}" if code else f"the storage answers {status}"
    if status in PASSING:
        return StorageFailed(f"{said}; nothing was charged, try again")
    if status in _REDIRECTION:
        return StorageRefused(
            f"{said}, and a file is not sent elsewhere: give the region or the address it names"
        )
    return StorageRefused(said + _HINTS.get(status, ""))


def finding(found: str) -> str:
    """A sentence for what a check found."""
    return _FINDINGS.get(found) or _SENTENCES.get(found, "the storage cannot be asked as it is")


@contextmanager
def told() -> Iterator[None]:
    """Errors of the way out become errors of a storage.

    Raises StorageRefused, StorageFailed, StorageTooSlow, FetchTooLarge, FetchCrowded.
    """
    try:
        yield
    except (FetchTooLarge, FetchCrowded):
        raise
    except FetchError as error:
        raise _translated(error) from error


def _translated(error: FetchError) -> GatewayError:
    if error.status is not None:
        return refusal(error.status)
    sentence = _SENTENCES.get(error.reason, str(error))
    if isinstance(error, FetchTooSlow):
        return StorageTooSlow(sentence)
    if isinstance(error, FetchFailed):
        return StorageFailed(sentence)
    return StorageRefused(sentence)
