"""Signed receipts: what was converted, how it was confined, and what it cost, for those who ask.

A receipt is a JSON Web Signature in its compact form (RFC 7515) by Ed25519 (RFC 8037), so that any
JOSE library checks it. Its payload is canonical JSON: sorted names, no blanks. It holds digests,
names of formats and figures; never content, a file name, a password or an account.
`docs/receipts.md` says what it proves and what it does not. Pure: keys and files are elsewhere.
"""

import base64
import binascii
import functools
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from engine.job import Buffer
from gateway.errors import ReceiptInvalid

VERSION = 1
TYPE = "ephemera-receipt+jws"
# Below what common proxies take for one header line (8 KiB).
BYTES_MAX = 6 * 1024
# More inputs than this are told by one digest over all of their digests.
LISTED_MAX = 16


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """One file: SHA-256 in hexadecimal, and its size."""

    sha256: str
    bytes: int


class Inputs(msgspec.Struct, frozen=True, kw_only=True):
    """The uploads in their order. `sha256` is over the hexadecimal digests, a line each."""

    count: int
    bytes: int
    sha256: str
    # Empty where there are more than a header line can list.
    files: tuple[Digest, ...] = ()


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """Where the conversion ran. `layers` are what the worker attested before it got the file."""

    policy: str
    level: str
    layers: tuple[str, ...]
    worker: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The payload. Times are seconds, `issued_at` is RFC 3339 in UTC."""

    receipt: int = VERSION
    issued_at: str
    service: str
    request_id: str
    source: str
    target: str
    converter: str
    # A secret option is named, and its value is null.
    options: Mapping[str, Any]
    libraries: Mapping[str, str]
    inputs: Inputs
    output: Digest
    isolation: Isolation
    limits: Mapping[str, float]
    credits: int
    # Paid for by an earlier request with the same idempotency key.
    repeat: bool
    queue_s: float
    convert_s: float
    cpu_s: float


class PublicKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A JSON Web Key (RFC 8037), and when receipts were signed by it."""

    kid: str
    x: str
    valid_from: str
    # None for the key that signs now.
    valid_until: str | None = None
    kty: str = msgspec.field(default="OKP")
    crv: str = msgspec.field(default="Ed25519")
    alg: str = msgspec.field(default="EdDSA")
    use: str = msgspec.field(default="sig")


class KeySet(msgspec.Struct, frozen=True):
    """What `/.well-known/ephemera-receipts.json` says (RFC 7517)."""

    keys: tuple[PublicKey, ...]


class _Head(msgspec.Struct, frozen=True):
    alg: str
    kid: str
    typ: str = ""


def digest(*file: Buffer) -> Digest:
    """SHA-256 and size of a file in pieces; lets other threads run meanwhile where it is large."""
    whole = hashlib.sha256()
    for piece in file:
        whole.update(piece)
    return Digest(sha256=whole.hexdigest(), bytes=sum(memoryview(piece).nbytes for piece in file))


def inputs_of(files: Sequence[Digest]) -> Inputs:
    """What a receipt says of the uploads."""
    lines = "".join(f"{file.sha256}\n" for file in files)
    return Inputs(
        count=len(files),
        bytes=sum(file.bytes for file in files),
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        files=tuple(files) if len(files) <= LISTED_MAX else (),
    )


def told_options(options: msgspec.Struct) -> dict[str, Any]:
    """Options by name; one whose schema calls it a password has no value here."""
    secret = _secrets(type(options))
    return {
        name: None if name in secret else value
        for name, value in msgspec.to_builtins(options).items()
        if value or name not in secret
    }


def signed(receipt: Receipt, key: Ed25519PrivateKey) -> str:
    """The compact form. Raises ReceiptInvalid for one too long for a header."""
    head = _canonical(_Head(alg="EdDSA", kid=key_id(key.public_key()), typ=TYPE))
    text = f"{_text(head)}.{_text(_canonical(receipt))}"
    text = f"{text}.{_text(key.sign(text.encode()))}"
    if len(text) > BYTES_MAX:
        raise ReceiptInvalid(f"the receipt has {len(text)} bytes, more than a header should")
    return text


def checked(text: str, keys: Iterable[PublicKey]) -> tuple[Receipt, PublicKey]:
    """The receipt and the key that signed it. Raises ReceiptInvalid, saying what is wrong."""
    head, _, rest = text.strip().partition(".")
    payload, _, signature = rest.partition(".")
    try:
        said = msgspec.json.decode(_bytes(head), type=_Head)
    except msgspec.MsgspecError as error:
        raise ReceiptInvalid("this is not a receipt: its head cannot be read") from error
    # A receipt must not choose its own algorithm.
    if said.alg != "EdDSA":
        raise ReceiptInvalid("the receipt is not signed by Ed25519")
    key = next((one for one in keys if one.kid == said.kid), None)
    if key is None:
        raise ReceiptInvalid(f"the receipt's key {said.kid} is not among the published keys")
    try:
        public = Ed25519PublicKey.from_public_bytes(_bytes(key.x))
        public.verify(_bytes(signature), f"{head}.{payload}".encode())
    except (InvalidSignature, ValueError) as error:
        raise ReceiptInvalid("the signature is wrong: the receipt was changed") from error
    try:
        receipt = msgspec.json.decode(_bytes(payload), type=Receipt)
    except msgspec.MsgspecError as error:
        raise ReceiptInvalid("this receipt is of a version that is not known here") from error
    _check_time(receipt, key)
    return receipt, key


def check_files(receipt: Receipt, inputs: Sequence[Digest], output: Digest | None) -> None:
    """Compare with files at hand; none given are not compared. Raises ReceiptInvalid."""
    if inputs and inputs_of(inputs) != receipt.inputs:
        raise ReceiptInvalid("the inputs are not those of the receipt, or in another order")
    if output is not None and output != receipt.output:
        raise ReceiptInvalid("the output is not that of the receipt")


def key_id(key: Ed25519PublicKey) -> str:
    """The key's thumbprint (RFC 7638)."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": public_text(key)}
    return _text(hashlib.sha256(_canonical(members)).digest())


def public_text(key: Ed25519PublicKey) -> str:
    """The key's 32 bytes as a JSON Web Key has them."""
    return _text(key.public_bytes(Encoding.Raw, PublicFormat.Raw))


@functools.cache
def _secrets(kind: type[msgspec.Struct]) -> frozenset[str]:
    """The options whose schema says that they are passwords."""
    _, parts = msgspec.json.schema_components([kind])
    fields = parts[kind.__name__]["properties"]
    return frozenset(name for name, field in fields.items() if field.get("format") == "password")


def _check_time(receipt: Receipt, key: PublicKey) -> None:
    # Both are RFC 3339 in UTC with the same number of digits: they compare as text.
    late = key.valid_until is not None and receipt.issued_at > key.valid_until
    if late or receipt.issued_at < key.valid_from:
        raise ReceiptInvalid("the receipt was issued outside of its key's validity")


def _canonical(document: object) -> bytes:
    return msgspec.json.encode(document, order="sorted")


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReceiptInvalid("this is not a receipt: it is not base64url") from error
