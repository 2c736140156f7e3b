"""An export as a ZIP: JSON for each table, what the fields mean, and a manifest that is signed.

    README.md        every field in words
    policy.json      what the privacy page said at that moment
    <table>.json     a JSON array of the rows
    manifest.json    SHA-256, size and rows of each of them, and whose they are
    manifest.sig     Ed25519 over manifest.json; the key is published with those of receipts

It is made piece by piece while the tables are read, and never held as a whole.
"""

import base64
import hashlib
import zipfile
from collections.abc import AsyncGenerator, Iterator
from datetime import datetime
from typing import IO, cast

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import ReceiptInvalid
from gateway.receipts import PublicKey, key_id
from ledger.privacy.exports import Opened, exported
from ledger.privacy.inventory import Table

MEDIA_TYPE = "application/zip"
NAME = "ephemera-export.zip"
_MANIFEST, _SIGNATURE = "manifest.json", "manifest.sig"
# Of a manifest that is read again: names of tables and digests.
_MANIFEST_BYTES_MAX = 1024 * 1024
_CHUNK_BYTES = 256 * 1024


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the export."""

    name: str
    sha256: str
    bytes: int
    rows: int | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the export holds. `policy` is the version of the privacy page."""

    export: int = 1
    service: str
    made_at: str
    account_id: int | None
    person_id: int
    policy: str
    files: tuple[Member, ...]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Ed25519 over the bytes of manifest.json, base64url without padding."""

    alg: str = "EdDSA"
    kid: str
    signature: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the manifest says beside the files."""

    service: str
    made_at: datetime
    account_id: int | None
    person_id: int
    policy: str
    policy_page: bytes


class _Sink:
    """Where the ZIP is written to: kept until the next piece is asked for."""

    def __init__(self) -> None:
        self._written = bytearray()

    def write(self, data: bytes) -> int:
        self._written += data
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def taken(self) -> bytes:
        taken = bytes(self._written)
        self._written.clear()
        return taken


class _Counted:
    """A file of the ZIP, counted and hashed while it is written."""

    def __init__(self, target: IO[bytes]) -> None:
        self.bytes = 0
        self.rows = 0
        self._sha256 = hashlib.sha256()
        self._target = target

    def write(self, data: bytes) -> None:
        self._sha256.update(data)
        self.bytes += len(data)
        self._target.write(data)

    def member(self, name: str, *, rows: bool) -> Member:
        return Member(
            name=name,
            sha256=self._sha256.hexdigest(),
            bytes=self.bytes,
            rows=self.rows if rows else None,
        )


async def pieces(
    opened: Opened, facts: Facts, key: Ed25519PrivateKey
) -> AsyncGenerator[bytes, None]:
    """The bytes of the ZIP, in order."""
    sink = _Sink()
    members = []
    with zipfile.ZipFile(cast("IO[bytes]", sink), "w", zipfile.ZIP_DEFLATED) as archive:
        members.append(_put(archive, "README.md", readme(opened.tables).encode()))
        members.append(_put(archive, "policy.json", facts.policy_page))
        for table in opened.tables:
            name = f"{table.name}.json"
            with archive.open(name, "w", force_zip64=True) as target:
                counted = _Counted(target)
                counted.write(b"[")
                async for rows in opened.rows(table):
                    lead = b",\n" if counted.rows else b"\n"
                    counted.write(lead + b",\n".join(rows))
                    counted.rows += len(rows)
                    yield sink.taken()
                counted.write(b"\n]\n")
            members.append(counted.member(name, rows=True))
        manifest = _manifest(facts, members)
        _put(archive, _MANIFEST, manifest)
        _put(archive, _SIGNATURE, _signed(manifest, key))
    yield sink.taken()


def readme(tables: list[Table]) -> str:
    """What every field means, for people."""
    return "\n".join(_readme(tables)) + "\n"


def checked(file: IO[bytes], keys: tuple[PublicKey, ...]) -> Manifest:
    """Check an export against published keys. Raises ReceiptInvalid, saying what is wrong."""
    try:
        with zipfile.ZipFile(file) as archive:
            with archive.open(_MANIFEST) as member:
                manifest = member.read(_MANIFEST_BYTES_MAX)
            with archive.open(_SIGNATURE) as member:
                signature = member.read(_MANIFEST_BYTES_MAX)
            said = _verified(manifest, signature, keys)
            for one in said.files:
                if _digest(archive, one.name) != one.sha256:
                    raise ReceiptInvalid(f"{one.name} is not what was exported")
    except (zipfile.BadZipFile, KeyError, NotImplementedError, msgspec.MsgspecError) as error:
        raise ReceiptInvalid("this is not an export, or it was damaged") from error
    return said


def _readme(tables: list[Table]) -> Iterator[str]:
    yield "# Your data"
    yield ""
    yield "Each file is a JSON array with an object for each row. `manifest.json` has the SHA-256"
    yield "of every file, and `manifest.sig` a signature over it: `ephemera privacy check FILE`."
    yield "What is not here: hashes of passwords, keys and codes; what is sealed with keys that are"
    yield "not in the database; and technical figures that say nothing of you."
    for table in tables:
        yield ""
        yield f"## {table.name}.json"
        yield ""
        yield f"Kept because of: {table.basis}. Purposes: {', '.join(table.purposes)}."
        yield ""
        for column in exported(table):
            yield f"- `{column.name}` ({column.category}): {column.meaning}"


def _put(archive: zipfile.ZipFile, name: str, body: bytes) -> Member:
    with archive.open(name, "w") as target:
        counted = _Counted(target)
        counted.write(body)
    return counted.member(name, rows=False)


def _manifest(facts: Facts, members: list[Member]) -> bytes:
    manifest = Manifest(
        service=facts.service,
        made_at=facts.made_at.isoformat(timespec="seconds"),
        account_id=facts.account_id,
        person_id=facts.person_id,
        policy=facts.policy,
        files=tuple(members),
    )
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"


def _signed(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    text = base64.urlsafe_b64encode(key.sign(manifest)).rstrip(b"=").decode()
    return msgspec.json.encode(Signature(kid=key_id(key.public_key()), signature=text)) + b"\n"


def _verified(manifest: bytes, signature: bytes, keys: tuple[PublicKey, ...]) -> Manifest:
    said = msgspec.json.decode(signature, type=Signature)
    key = next((one for one in keys if one.kid == said.kid), None)
    if key is None or said.alg != "EdDSA":
        raise ReceiptInvalid(f"the key {said.kid} is not among the published keys")
    try:
        public = Ed25519PublicKey.from_public_bytes(_raw(key.x))
        public.verify(_raw(said.signature), manifest)
    except (InvalidSignature, ValueError) as error:
        raise ReceiptInvalid("the signature is wrong: the manifest was changed") from error
    return msgspec.json.decode(manifest, type=Manifest)


def _digest(archive: zipfile.ZipFile, name: str) -> str:
    sha256 = hashlib.sha256()
    with archive.open(name) as member:
        while piece := member.read(_CHUNK_BYTES):
            sha256.update(piece)
    return sha256.hexdigest()


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
