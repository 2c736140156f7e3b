"""When two requests with one `Idempotency-Key` are the same request.

The fingerprint covers all that decides the result: method, path, the parameters in a canonical
order, and the uploaded bytes. The ledger keeps key and fingerprint for 24 hours: a repeat of a
conversion that was paid for is converted again without a debit (results are not stored); the same
key with another fingerprint is refused; a failed or refunded attempt leaves no trace.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from gateway.errors import RequestMalformed

HEADER = "Idempotency-Key"
# The draft's examples are UUIDs; 255 leaves room for a client's own naming and fits an index row.
KEY_CHARS_MAX = 255


def checked_key(header: str | None) -> str | None:
    """The client's key, or None where it sent none. Raises RequestMalformed."""
    if header is None:
        return None
    if not 1 <= len(header) <= KEY_CHARS_MAX or not header.isascii() or not header.isprintable():
        raise RequestMalformed(
            f"{HEADER} is 1 to {KEY_CHARS_MAX} printable ASCII characters; a UUID is a good one"
        )
    return header


def fingerprint(
    method: str, path: str, parameters: Mapping[str, str], digests: Sequence[bytes]
) -> bytes:
    """32 bytes that are equal for equal requests. `digests` are the uploads' SHA-256 in order."""
    digest = hashlib.sha256()
    for text in (method, path, *_flat(sorted(parameters.items()))):
        _framed(digest, text.encode())
    for upload in digests:
        _framed(digest, upload)
    return digest.digest()


def _flat(pairs: Iterable[tuple[str, str]]) -> Iterable[str]:
    for name, value in pairs:
        yield name
        yield value


def _framed(digest: "hashlib._Hash", field: bytes) -> None:
    """Length first, so that no two lists of fields run together to the same bytes."""
    digest.update(len(field).to_bytes(8, "big"))
    digest.update(field)
