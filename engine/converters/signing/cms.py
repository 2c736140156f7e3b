"""The signature itself: CMS SignedData, detached, as PAdES wants it (RFC 5652, RFC 5035).

asn1crypto knows the structures, cryptography does the mathematics. Keys are RSA or elliptic; the
digest is SHA-256.
"""

import hashlib
from datetime import datetime
from typing import NamedTuple

from asn1crypto import algos, cms, tsp, x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key, pkcs12

from engine.errors import PasswordRequired, SourceUnreadable, TargetImpossible

# Smaller keys are broken or soon will be (BSI TR-02102, NIST SP 800-57).
_RSA_BITS_MIN = 2048
_HASHES: dict[
    str, type[hashes.SHA1 | hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | hashes.SHA512]
] = {
    "sha1": hashes.SHA1,
    "sha224": hashes.SHA224,
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


class Signer(NamedTuple):
    """A private key, its certificate, and those that stand above it."""

    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...]

    @property
    def name(self) -> str:
        """Who signs, as the certificate has it."""
        return common_name(self.certificate.subject)

    @property
    def size_max(self) -> int:
        """Bytes that a signature needs at most."""
        held = sum(len(one.dump()) for one in (self.certificate, *self.others))
        return held + 2_048 + 1_024


def open_key(upload: bytes, password: str) -> Signer:
    """Read a PKCS#12 file. Raises PasswordRequired, SourceUnreadable, TargetImpossible."""
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(
            upload, password.encode() or None
        )
    except ValueError as error:
        if "password" in str(error).lower() or "mac" in str(error).lower():
            raise PasswordRequired(
                "the key file does not open with this password; pass it in the option key_password"
            ) from error
        raise SourceUnreadable("the key file cannot be read: it is no PKCS#12 file") from error
    except (TypeError, UnsupportedAlgorithm) as error:
        raise SourceUnreadable("the key file uses a cipher that is not supported") from error
    if key is None or certificate is None:
        raise TargetImpossible("the key file has no private key with a certificate of its own")
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TargetImpossible("only RSA and elliptic-curve keys can sign documents here")
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _RSA_BITS_MIN:
        raise TargetImpossible(f"an RSA key of {key.key_size} bits is too short; 2048 are needed")
    loaded = [
        x509.Certificate.load(one.public_bytes(Encoding.DER)) for one in (certificate, *others)
    ]
    return Signer(key, loaded[0], tuple(loaded[1:]))


def common_name(name: x509.Name) -> str:
    """The name of a person or machine, or the next best part of a name."""
    parts = name.native
    for wanted in ("common_name", "pseudonym", "organization_name"):
        if wanted in parts:
            found = parts[wanted]
            return str(found if isinstance(found, str) else found[0])
    return ""


def sign(signer: Signer, digest: bytes, when: datetime) -> bytes:
    """SignedData over a SHA-256 digest, in DER."""
    certificate = signer.certificate
    attributes = cms.CMSAttributes([
        cms.CMSAttribute({"type": "content_type", "values": ["data"]}),
        cms.CMSAttribute({"type": "message_digest", "values": [digest]}),
        cms.CMSAttribute({"type": "signing_time", "values": [cms.Time({"utc_time": when})]}),
        cms.CMSAttribute({"type": "signing_certificate_v2", "values": [_own(certificate)]}),
    ])  # fmt: skip
    if isinstance(signer.key, rsa.RSAPrivateKey):
        signature = signer.key.sign(attributes.dump(), padding.PKCS1v15(), hashes.SHA256())
        algorithm = "rsassa_pkcs1v15"
    else:
        signature = signer.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256()))
        algorithm = "sha256_ecdsa"
    sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
    info = cms.SignerInfo({
        "version": "v1",
        "sid": cms.SignerIdentifier({
            "issuer_and_serial_number": cms.IssuerAndSerialNumber({
                "issuer": certificate.issuer,
                "serial_number": certificate.serial_number,
            })
        }),
        "digest_algorithm": sha256,
        "signed_attrs": attributes,
        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": algorithm}),
        "signature": signature,
    })  # fmt: skip
    signed = cms.SignedData({
        "version": "v1",
        "digest_algorithms": [sha256],
        "encap_content_info": {"content_type": "data"},
        "certificates": [certificate, *signer.others],
        "signer_infos": [info],
    })  # fmt: skip
    found: bytes = cms.ContentInfo({"content_type": "signed_data", "content": signed}).dump()
    return found


def _own(certificate: x509.Certificate) -> tsp.SigningCertificateV2:
    """Ties the signature to this certificate, so that another for the same key does not do."""
    digest = hashlib.sha256(certificate.dump()).digest()
    return tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2({"cert_hash": digest})]})


class Seen(NamedTuple):
    """What a signature tells, and whether the mathematics agree."""

    certificate: x509.Certificate | None
    when: datetime | None
    digest_name: str
    is_intact: bool | None  # None: of a kind that is not known here


def look(der: bytes, signed: bytes) -> Seen:
    """Judge a detached signature over these bytes. Raises SourceUnreadable for no signature."""
    try:
        content = cms.ContentInfo.load(der)
        if content["content_type"].native != "signed_data":
            raise SourceUnreadable("a signature of the document cannot be read")
        data = content["content"]
        info = data["signer_infos"][0]
        certificate = _certificate_of(data, info)
        digest_name = str(info["digest_algorithm"]["algorithm"].native)
        attributes = {one["type"].native: one["values"] for one in info["signed_attrs"] or ()}
        when = attributes["signing_time"][0].native if "signing_time" in attributes else None
        is_intact = _is_intact(info, attributes, certificate, signed, digest_name)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        raise SourceUnreadable("a signature of the document cannot be read") from error
    return Seen(certificate, when, digest_name, is_intact)


def _certificate_of(data: cms.SignedData, info: cms.SignerInfo) -> x509.Certificate | None:
    wanted = info["sid"].chosen
    for choice in data["certificates"] or ():
        one = choice.chosen
        if not isinstance(one, x509.Certificate):
            continue
        if info["sid"].name == "issuer_and_serial_number":
            same = one.serial_number == wanted["serial_number"].native
            if same and one.issuer == wanted["issuer"]:
                return one
        elif one.key_identifier == wanted.native:
            return one
    return None


def _is_own(certificate: x509.Certificate, attributes: dict[str, cms.SetOf]) -> bool:
    """Whether the certificate is the one that was signed with, where that is said."""
    if "signing_certificate_v2" not in attributes:
        return True
    first = attributes["signing_certificate_v2"][0]["certs"][0]
    name = str(first["hash_algorithm"]["algorithm"].native)
    if name not in _HASHES:
        return False
    return bool(hashlib.new(name, certificate.dump()).digest() == first["cert_hash"].native)


def _is_intact(
    info: cms.SignerInfo,
    attributes: dict[str, cms.SetOf],
    certificate: x509.Certificate | None,
    signed: bytes,
    digest_name: str,
) -> bool | None:
    if certificate is None or digest_name not in _HASHES:
        return None
    if "message_digest" in attributes:
        if hashlib.new(digest_name, signed).digest() != attributes["message_digest"][0].native:
            return False
        message = info["signed_attrs"].untag().dump()
        if not _is_own(certificate, attributes):
            return False
    else:
        message = signed
    try:
        return _verified(info, certificate, message, digest_name)
    except InvalidSignature:
        return False
    except UnsupportedAlgorithm:
        return None


def _verified(
    info: cms.SignerInfo, certificate: x509.Certificate, message: bytes, digest_name: str
) -> bool | None:
    """True, or None for a kind of key that is not known here. Raises InvalidSignature."""
    public = load_der_public_key(certificate.public_key.dump())
    algorithm, signature = info["signature_algorithm"], info["signature"].native
    digest = _HASHES[digest_name]()
    if isinstance(public, rsa.RSAPublicKey):
        pad: padding.AsymmetricPadding = padding.PKCS1v15()
        if algorithm.signature_algo == "rsassa_pss":
            salt = algorithm["parameters"]["salt_length"].native
            pad = padding.PSS(padding.MGF1(digest), salt)
        public.verify(signature, message, pad, digest)
        return True
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, message, ec.ECDSA(digest))
        return True
    return None
