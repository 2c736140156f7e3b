"""Take the encryption off an OpenDocument file (ODF 1.2, part 3, 3.8 and 4.8).

LibreOffice itself asks for a password and opens such a file, but the kit it is called through then
copies the document once more, encrypted, and fails at that. So it gets the document in the clear.
"""

import base64
import hashlib
import hmac
import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from engine.errors import PasswordRequired, SourceTooComplex, SourceUnreadable

MANIFEST = "META-INF/manifest.xml"

_ENTRY = re.compile(
    rb"<manifest:file-entry\b[^>]*>(?:(?<!/>).*?</manifest:file-entry>)?", re.DOTALL
)
_ENCRYPTION = re.compile(rb"<manifest:encryption-data\b.*?</manifest:encryption-data>", re.DOTALL)
_ATTRIBUTE = re.compile(rb"manifest:([\w-]+)\s*=\s*\"([^\"]*)\"")
_AES = b"http://www.w3.org/2001/04/xmlenc#aes256-cbc"
# The digest of what was packed, of its first kilobyte, that says whether the password is right.
_DIGESTS = {b"sha256-1k": hashlib.sha256, b"sha1-1k": hashlib.sha1}
_STARTS = {b"sha256": hashlib.sha256, b"sha1": hashlib.sha1}
_DIGESTED_BYTES = 1024
# LibreOffice writes 100,000; a file of more asks for minutes.
_ROUNDS_MAX = 2_000_000
_BLOCK = 16

_WRONG = "the password that was given does not open it"


class _Secret(NamedTuple):
    """How one part was encrypted."""

    vector: bytes
    salt: bytes
    rounds: int
    start: bytes
    digest: bytes
    checksum: bytes


def is_encrypted(manifest: bytes) -> bool:
    """Whether parts of the file that has this manifest are encrypted."""
    return b"encryption-data" in manifest


def decrypted(document: zipfile.ZipFile, password: str, bytes_max: int) -> bytes:
    """The same document in the clear.

    Raises PasswordRequired, SourceUnreadable, SourceTooComplex.
    """
    manifest = document.read(MANIFEST)
    made, size = io.BytesIO(), 0
    secrets = dict(_secrets(manifest))
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name in document.namelist():
            content = document.read(name)
            if name == MANIFEST:
                content = _ENCRYPTION.sub(b"", manifest)
            elif name in secrets:
                content = _part(content, secrets[name], password, bytes_max - size)
            size += len(content)
            if size > bytes_max:
                raise SourceTooComplex("the document unpacks to more than the limit")
            kind = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            target.writestr(name, content, kind)
    return made.getvalue()


def _secrets(manifest: bytes) -> Iterator[tuple[str, _Secret]]:
    for entry in _ENTRY.findall(manifest):
        if not is_encrypted(entry):
            continue
        said = dict(_ATTRIBUTE.findall(entry))
        try:
            if said[b"algorithm-name"] != _AES or said[b"key-derivation-name"] != b"PBKDF2":
                raise _unusual()
            yield (
                said[b"full-path"].decode(),
                _Secret(
                    vector=base64.b64decode(said[b"initialisation-vector"]),
                    salt=base64.b64decode(said[b"salt"]),
                    rounds=int(said[b"iteration-count"]),
                    start=said.get(b"start-key-generation-name", b"#sha1").rpartition(b"#")[2],
                    digest=said[b"checksum-type"].rpartition(b"#")[2],
                    checksum=base64.b64decode(said[b"checksum"]),
                ),
            )
        except (LookupError, ValueError) as error:
            raise _unusual() from error


def _part(content: bytes, secret: _Secret, password: str, bytes_max: int) -> bytes:
    usual = secret.start in _STARTS and secret.digest in _DIGESTS
    if not usual or not 0 < secret.rounds <= _ROUNDS_MAX:
        raise _unusual()
    if not content or len(content) % _BLOCK or len(secret.vector) != _BLOCK:
        raise SourceUnreadable("the document cannot be read: it is damaged or cut off")
    start = _STARTS[secret.start](password.encode()).digest()
    key = hashlib.pbkdf2_hmac("sha1", start, secret.salt, secret.rounds, 32)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(secret.vector)).decryptor()
    padded = decryptor.update(content) + decryptor.finalize()
    packed = padded[: -padded[-1]] if padded[-1] <= _BLOCK else padded
    checksum = _DIGESTS[secret.digest](packed[:_DIGESTED_BYTES]).digest()
    if not hmac.compare_digest(checksum, secret.checksum):
        raise PasswordRequired(f"the document is encrypted; {_WRONG}")
    try:
        unpacker = zlib.decompressobj(-15)
        plain = unpacker.decompress(packed, bytes_max + 1)
    except zlib.error as error:
        raise SourceUnreadable("the document cannot be read: it is damaged") from error
    return plain


def _unusual() -> SourceUnreadable:
    return SourceUnreadable("the document is encrypted in a way that is not supported")
