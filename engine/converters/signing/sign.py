"""signing.sign: a signature that covers the whole document, made with a customer's own key.

A document without signatures is written anew first, plainly; one that has some is only added to,
byte behind byte, or those would break. The signature's place is left open, the rest is digested,
and the signature put into the place. At last it is read back and judged: a signature that does not
hold is an error, not a result.
"""

import hashlib
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec
import pikepdf
from pikepdf import Array, Dictionary, Name, ObjectStreamMode, String

from engine.converter import Result, Work
from engine.converters.qpdf import (
    open_document,
    read_pages,
    reading,
    save,
    unencrypted_warning,
)
from engine.converters.signing.catalogue import SignOptions
from engine.converters.signing.cms import Signer, open_key
from engine.converters.signing.cms import sign as sign_digest
from engine.converters.signing.fields import find_signatures, is_signed, judge
from engine.converters.signing.look import drawn_on
from engine.converters.signing.update import Part, append, part_of
from engine.errors import TargetImpossible, TargetTooLarge
from engine.job import Buffer

# Of ByteRange, until the places are known: ten digits for files of up to 10 GB.
_RANGE = b"/ByteRange [0 0000000000 0000000000 0000000000]"
_RANGE_FORM = b"/ByteRange [0 %010d %010d %010d]"
_HOLE = re.compile(rb"/Contents <(0+)>")
# Bits of SigFlags: there are signatures, and the file is only to be added to.
_SIGNED_APPEND_ONLY = 3
# Of the widget: printed, and its place not to be changed.
_FLAGS = 4 | 128


class _Base(NamedTuple):
    """The bytes that the signature is appended to."""

    file: Buffer
    warnings: tuple[str, ...]


def sign(work: Work) -> Result:
    """Sign. Raises PasswordRequired, TargetImpossible, and what opening raises."""
    options: SignOptions = work.options
    signer = open_key(bytes(work.inputs[1]), options.key_password)
    base = _base(work)
    when = datetime.now(UTC).replace(microsecond=0)
    plain = msgspec.structs.replace(work, inputs=(base.file,))
    with open_document(plain, 0, "", inherit_page_attributes=False) as document:
        count = read_pages(document, work.bounds)
        with reading():
            parts = _parts(document, options, signer, when, count)
            open_file = append(bytes(base.file), parts, dict(document.trailer.items()))
    signed = _closed(open_file, signer, when)
    if len(signed) > work.bounds.output_bytes_max:
        raise TargetTooLarge("the signed document would be larger than the limit")
    warnings = [*base.warnings, *_validity(signer, when)]
    with open_document(msgspec.structs.replace(work, inputs=(signed,)), 0, "") as document:
        last = find_signatures(document)[-1]
        if judge(last, signed).holds != "yes":
            raise TargetImpossible("the signature that was made does not hold; nothing is returned")
    return Result(files=(signed,), warnings=tuple(warnings))


def _base(work: Work) -> _Base:
    """The upload where it is signed already, else the same document written plainly."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        if not is_signed(document):
            plain = save(document, work, object_stream_mode=ObjectStreamMode.disable)
            return _Base(plain, unencrypted_warning(document))
        if document.is_encrypted:
            raise TargetImpossible(
                "the document is encrypted and signed: a further signature would break the first"
            )
        if document.get_warnings():
            raise TargetImpossible("the document is damaged and signed: it cannot be added to")
        return _Base(work.inputs[0], ())


def _validity(signer: Signer, when: datetime) -> list[str]:
    """What readers will say of the certificate."""
    held = signer.certificate["tbs_certificate"]["validity"]
    begin, end = held["not_before"].native, held["not_after"].native
    if when < begin or when > end:
        return ["the certificate is not valid at present; readers will say so"]
    return []


def _parts(
    document: pikepdf.Pdf, options: SignOptions, signer: Signer, when: datetime, count: int
) -> list[Part]:
    """Everything that is new or changes, and the signature with a hole."""
    last = max((one.objgen[0] for one in document.objects), default=0)
    before = {one.obj.objgen for one in document.acroform.fields}
    field, changed = _field(document, options, count)
    if options.visible or _has_room(field):
        look = drawn_on(document, field, options, signer.name, when)
        field[Name.AP] = Dictionary(N=look)
    value = document.make_indirect(Dictionary(Type=Name.Sig))
    field[Name.V] = value
    form = _form(document, field, changed, before)
    form[Name.SigFlags] = _SIGNED_APPEND_ONLY
    new = [one for one in document.objects if one.objgen[0] > last]
    things = {one.objgen: one for one in (*changed, *new)}
    del things[value.objgen]
    parts = [part_of(one) for one in things.values()]
    return [*parts, Part(*value.objgen, _value(options, signer, when))]


def _field(
    document: pikepdf.Pdf, options: SignOptions, count: int
) -> tuple[pikepdf.Object, list[pikepdf.Object]]:
    """The field to sign, and what of the document it changes."""
    named = [one for one in document.acroform.fields if one.fully_qualified_name == options.field]
    if named:
        field = named[0].obj
        if named[0].field_type != "/Sig" or "/V" in field:
            raise TargetImpossible("field: it is signed already, or no signature field")
        return field, [field]
    page = _page(document, options, count)
    taken = {one.fully_qualified_name for one in document.acroform.fields}
    number = 1
    while f"Signature{number}" in taken:
        number += 1
    field = document.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=Name.Sig,
            T=String(options.field or f"Signature{number}"),
            F=_FLAGS,
            P=page,
            Rect=[0, 0, 0, 0],
        )
    )
    held = page.get(Name.Annots)
    if isinstance(held, Array) and held.is_indirect:
        held.append(field)
        return field, [held]
    page[Name.Annots] = Array([*(held if isinstance(held, Array) else ()), field])
    return field, [page]


def _page(document: pikepdf.Pdf, options: SignOptions, count: int) -> pikepdf.Object:
    if options.page > count:
        raise TargetImpossible(f"page {options.page} does not exist: the document has {count}")
    return document.pages[options.page - 1 if options.page else count - 1].obj


def _has_room(field: pikepdf.Object) -> bool:
    left, bottom, right, top = (float(side) for side in field[Name.Rect])
    return abs(right - left) > 1 and abs(top - bottom) > 1


def _form(
    document: pikepdf.Pdf,
    field: pikepdf.Object,
    changed: list[pikepdf.Object],
    before: Collection[tuple[int, int]],
) -> pikepdf.Object:
    """The form that lists the field; notes what has to be written again."""
    form = document.Root.get(Name.AcroForm)
    if not isinstance(form, Dictionary):
        document.Root.AcroForm = Dictionary(Fields=Array())
        form = document.Root.AcroForm
    changed.append(form if form.is_indirect else document.Root)
    listed = form.get(Name.Fields)
    if not isinstance(listed, Array):
        form.Fields = Array()
        listed = form.Fields
    # One that was there is somewhere in the tree of fields.
    if field.objgen not in before:
        listed.append(field)
        if listed.is_indirect:
            changed.append(listed)
    return form


def _value(options: SignOptions, signer: Signer, when: datetime) -> bytes:
    texts = {
        "/Name": signer.name,
        "/Reason": options.reason,
        "/Location": options.location,
        "/ContactInfo": options.contact,
    }
    said = b"".join(
        f"{name} ".encode() + String(text).unparse() + b"\n" for name, text in texts.items() if text
    )
    date = when.strftime("D:%Y%m%d%H%M%S+00'00'").encode()
    hole = b"0" * (2 * signer.size_max)
    return (
        b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached\n"
        + said
        + b"/M (" + date + b")\n" + _RANGE + b"\n/Contents <" + hole + b"> >>"
    )  # fmt: skip


def _closed(open_file: bytes, signer: Signer, when: datetime) -> bytes:
    """Digest all but the hole, and fill it."""
    at = open_file.rindex(_RANGE)
    hole = _HOLE.search(open_file, at)
    if hole is None:
        raise TargetImpossible("the signature has no place in the document")
    begin, end = hole.start(1) - 1, hole.end(1) + 1
    file = bytearray(open_file)
    file[at : at + len(_RANGE)] = _RANGE_FORM % (begin, end, len(file) - end)
    digest = hashlib.sha256(file[:begin])
    digest.update(file[end:])
    made = sign_digest(signer, digest.digest(), when).hex().encode()
    if len(made) > end - begin - 2:
        raise TargetImpossible("the certificates are too large for a signature")
    file[begin + 1 : begin + 1 + len(made)] = made
    return bytes(file)
