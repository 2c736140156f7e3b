"""Encrypt an OpenDocument file with a password, by the specification (ODF 1.2 part 3, 3.8)."""

import base64
import hashlib
import io
import os
import zipfile
import zlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_ROUNDS = 1000
_BLOCK = 16
_ENTRY = (
    '<manifest:file-entry manifest:full-path="{name}" manifest:media-type="{media}"'
    ' manifest:size="{size}"><manifest:encryption-data'
    ' manifest:checksum-type="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0#sha256-1k"'
    ' manifest:checksum="{checksum}">'
    '<manifest:algorithm manifest:algorithm-name="http://www.w3.org/2001/04/xmlenc#aes256-cbc"'
    ' manifest:initialisation-vector="{vector}"/>'
    '<manifest:key-derivation manifest:key-derivation-name="PBKDF2" manifest:key-size="32"'
    ' manifest:iteration-count="{rounds}" manifest:salt="{salt}"/>'
    "<manifest:start-key-generation"
    ' manifest:start-key-generation-name="http://www.w3.org/2000/09/xmldsig#sha256"'
    ' manifest:key-size="32"/></manifest:encryption-data></manifest:file-entry>'
)
_MANIFEST = (
    '<?xml version="1.0" encoding="UTF-8"?><manifest:manifest'
    ' xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.3">'
    '<manifest:file-entry manifest:full-path="/" manifest:version="1.3"'
    ' manifest:media-type="{media}"/>{entries}</manifest:manifest>'
)


def locked(document: bytes, password: str) -> bytes:
    """The same document, its parts encrypted."""
    made, entries = io.BytesIO(), []
    with zipfile.ZipFile(io.BytesIO(document)) as source, zipfile.ZipFile(made, "w") as target:
        media = source.read("mimetype").decode()
        target.writestr("mimetype", media)
        for name in ("content.xml", "styles.xml", "meta.xml", "settings.xml"):
            if name not in source.namelist():
                continue
            content = source.read(name)
            entry, secret = _part(name, content, password)
            entries.append(entry)
            target.writestr(name, secret)
        manifest = _MANIFEST.format(media=media, entries="".join(entries))
        target.writestr("META-INF/manifest.xml", manifest)
    return made.getvalue()


def _part(name: str, content: bytes, password: str) -> tuple[str, bytes]:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(content) + packer.flush()
    salt, vector = os.urandom(16), os.urandom(16)
    start = hashlib.sha256(password.encode()).digest()
    key = hashlib.pbkdf2_hmac("sha1", start, salt, _ROUNDS, 32)
    missing = _BLOCK - len(packed) % _BLOCK
    padded = packed + os.urandom(missing - 1) + bytes([missing])
    encryptor = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
    entry = _ENTRY.format(
        name=name,
        media="text/xml",
        size=len(content),
        checksum=_base64(hashlib.sha256(packed[:1024]).digest()),
        vector=_base64(vector),
        rounds=_ROUNDS,
        salt=_base64(salt),
    )
    return entry, encryptor.update(padded) + encryptor.finalize()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
