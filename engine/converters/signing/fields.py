"""Signatures in a document: found among its form fields, and judged by its bytes."""

from typing import Any, NamedTuple

import msgspec
import pikepdf
from pikepdf import Array, Dictionary, String

from engine.converters.qpdf import reading
from engine.converters.signing.cms import common_name, look
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.job import Buffer

_SIGNATURES_MAX = 500
_RANGE_NUMBERS = 4


class Found(NamedTuple):
    """A field that is signed, and its value."""

    name: str
    value: pikepdf.Object


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of one signature. `holds`: yes, no, or unknown for a kind not known here."""

    field: str
    signer: str = ""
    organisation: str = ""
    issuer: str = ""
    serial_number: str = ""
    valid_from: str = ""
    valid_to: str = ""
    signed_at: str = ""
    reason: str = ""
    location: str = ""
    kind: str = ""
    digest: str = ""
    holds: str = "unknown"
    covers_all: bool = False


def find_signatures(document: pikepdf.Pdf) -> list[Found]:
    """Signed fields in the order of their places in the file, so the latest is last."""
    with reading():
        found = [
            Found(field.fully_qualified_name, value)
            for field in document.acroform.fields
            if field.field_type == "/Sig"
            and isinstance(value := field.get_inheritable_field_value("/V"), Dictionary)
        ]
        if len(found) > _SIGNATURES_MAX:
            raise SourceTooComplex(f"the document has more than {_SIGNATURES_MAX} signatures")
        return sorted(found, key=lambda one: sum(_range(one.value)[2:]))


def is_signed(document: pikepdf.Pdf) -> bool:
    """Whether there is a signature that a new version of the file would break."""
    return bool(find_signatures(document))


def _range(value: pikepdf.Object) -> list[int]:
    held = value.get("/ByteRange")
    if not isinstance(held, Array) or len(held) != _RANGE_NUMBERS:
        return [0] * _RANGE_NUMBERS
    return [int(number) for number in held]


def judge(found: Found, file: Buffer) -> Signature:
    """Everything about one signature; `file` is the document as it arrived."""
    with reading():
        begin, first, second, rest = _range(found.value)
        contents = found.value.get("/Contents")
        der = bytes(contents) if isinstance(contents, String) else b""
        told: dict[str, Any] = {
            "field": found.name,
            "reason": str(found.value.get("/Reason", "")),
            "location": str(found.value.get("/Location", "")),
            "kind": str(found.value.get("/SubFilter", "")).removeprefix("/"),
        }
    if begin != 0 or not 0 < first <= second <= second + rest <= len(file):
        return Signature(**told)
    view = memoryview(file)
    try:
        seen = look(der, bytes(view[:first]) + bytes(view[second : second + rest]))
    except SourceUnreadable:
        return Signature(**told)
    # Between the two ranges stands the signature and nothing else.
    hole = bytes(view[first:second])
    is_sole = hole.startswith(b"<") and hole.endswith(b">") and _is_hex(hole[1:-1])
    holds = {None: "unknown", True: "yes" if is_sole else "no", False: "no"}[seen.is_intact]
    if seen.certificate is not None:
        held = seen.certificate["tbs_certificate"]["validity"]
        told |= {
            "signer": common_name(seen.certificate.subject),
            "organisation": str(seen.certificate.subject.native.get("organization_name", "")),
            "issuer": common_name(seen.certificate.issuer),
            "serial_number": f"{seen.certificate.serial_number:x}",
            "valid_from": held["not_before"].native.isoformat(),
            "valid_to": held["not_after"].native.isoformat(),
        }
    return Signature(
        **told,
        signed_at=seen.when.isoformat() if seen.when else "",
        digest=seen.digest_name,
        holds=holds,
        covers_all=second + rest == len(file),
    )


def _is_hex(text: bytes) -> bool:
    return not text.strip(b"0123456789abcdefABCDEF \r\n\t")
