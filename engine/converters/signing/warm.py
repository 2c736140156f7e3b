"""Sign once and look at it, with a key made on the spot, so that workers load nothing any more."""

import contextlib
import io
from datetime import UTC, datetime

import pikepdf
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12

from engine.converter import Work
from engine.converters import lettering
from engine.converters.signing.catalogue import SignaturesOptions, SignOptions
from engine.converters.signing.sign import sign
from engine.converters.signing.signatures import signatures
from engine.errors import EngineError
from engine.job import Bounds, Buffer

_SECRET = "warm"  # noqa: S105  # protects nothing

# What a spare is touched with, made before the fork.
_touchstone: list[Buffer] = []


def warm() -> None:
    """A signature that is seen, one upon it that is not, a wrong password, and the judgement.

    An elliptic key is made in a millisecond, an RSA key in up to a second.
    """
    lettering.load()
    document = _sample()
    held = _held(ec.generate_private_key(ec.SECP256R1()))
    options = SignOptions(key_password=_SECRET, reason="warm", visible=True)
    _look(_sign(_sign(document, held, options), held, SignOptions(key_password=_SECRET)))
    with contextlib.suppress(EngineError):
        _sign(document, held, SignOptions())
    _touchstone.append(document)


def touch() -> None:
    """Look for signatures where there are none."""
    _look(_touchstone[0])


def _sign(document: Buffer, held: bytes, options: SignOptions) -> Buffer:
    work = Work(
        sources=("pdf", "p12"),
        target="pdf",
        inputs=(document, held),
        options=options,
        bounds=Bounds(),
    )
    return sign(work).files[0]


def _look(document: Buffer) -> None:
    work = Work(
        sources=("pdf",),
        target="json",
        inputs=(document,),
        options=SignaturesOptions(),
        bounds=Bounds(),
    )
    signatures(work)


def _sample() -> bytes:
    with pikepdf.new() as document:
        document.add_blank_page(page_size=(300, 300))
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def _held(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key with a certificate that it signed itself, as a PKCS#12 file."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "warm")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2000, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .sign(key, hashes.SHA256())
    )
    lock = BestAvailableEncryption(_SECRET.encode())
    return pkcs12.serialize_key_and_certificates(b"warm", key, certificate, None, lock)
