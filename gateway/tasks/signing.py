"""How a webhook is signed: Standard Webhooks 1.0.0, symmetric (`v1`).

    webhook-id          the event, the same at every attempt: a receiver keeps it to see repeats
    webhook-timestamp   of the attempt, so that an old one cannot be sent again by somebody else
    webhook-signature   v1,base64(HMAC-SHA256(secret, id "." timestamp "." body)), one a secret

Two secrets sign while one takes the other's place. Standard Webhooks' own library is the judge in
the tests.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from datetime import datetime

from gateway.errors import RequestMalformed
from ledger.tasks.hooks import SECRET_PREFIX

# What the specification takes for a secret.
SECRET_BYTES = range(24, 65)


def headers(event_id: str, at: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of one attempt; without a secret, unsigned."""
    timestamp = str(int(at.timestamp()))
    signed = {"webhook-id": event_id, "webhook-timestamp": timestamp}
    if secrets:
        message = f"{event_id}.{timestamp}.".encode() + body
        signed["webhook-signature"] = " ".join(_signature(one, message) for one in secrets)
    return signed


def checked_secret(text: str) -> str:
    """A secret that a client brings along. Raises RequestMalformed."""
    try:
        key = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(SECRET_PREFIX) or len(key) not in SECRET_BYTES:
        raise RequestMalformed(
            f"a webhook's secret is {SECRET_PREFIX} and base64 of {SECRET_BYTES.start} to"
            f" {SECRET_BYTES.stop - 1} random bytes"
        )
    return text


def _signature(secret: str, message: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    digest = hmac.new(key, message, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
