"""pdf.metadata, pdf.set_metadata, pdf.strip_metadata: what a document says of itself.

It says it twice: in the information dictionary of old and in an XML packet (XMP). Both are read,
both are written, and both are removed.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec
import pikepdf
from pikepdf import Dictionary, Name, Stream
from pikepdf.models.metadata import PdfMetadata, decode_pdf_date
from pikepdf.sanitize import Sanitizer

from engine.converter import Result, Work
from engine.converters.jpeg import without_metadata
from engine.converters.pdf.attachments import find_files
from engine.converters.pdf.catalogue_parts import SetMetadataOptions
from engine.converters.pdf.files import losses, open_document, read_pages, reading, save
from engine.converters.pdf.geometry import MM, view
from engine.converters.pdf.objects import dictionaries
from engine.converters.pdf.outlines import Bookmark, read_bookmarks
from engine.errors import OptionInvalid, SourceUnreadable

# Our options, and where their text stands in XMP and in the information dictionary.
_PLACES = {
    "title": ("dc:title", "/Title"),
    "author": ("dc:creator", "/Author"),
    "subject": ("dc:description", "/Subject"),
    "keywords": ("pdf:Keywords", "/Keywords"),
    "creator": ("xmp:CreatorTool", "/Creator"),
    "producer": ("pdf:Producer", "/Producer"),
}
_DATES = {
    "created": ("xmp:CreateDate", "/CreationDate"),
    "modified": ("xmp:ModifyDate", "/ModDate"),
}
_PERMISSIONS = {
    "print": "print_highres",
    "modify": "modify_other",
    "copy": "extract",
    "annotate": "modify_annotation",
    "forms": "modify_form",
    "assemble": "modify_assembly",
}
# Different page sizes that are told; a scan of a thousand pages has a thousand.
_SIZES_MAX = 50


class PageSize(msgspec.Struct, frozen=True, kw_only=True):
    """Pages of one size as seen, in millimetres."""

    width_mm: float
    height_mm: float
    pages: int


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What pdf.metadata answers."""

    title: str
    author: str
    subject: str
    keywords: str
    creator: str
    producer: str
    created: str
    modified: str
    language: str
    pages: int
    page_sizes: list[PageSize]
    version: str
    encrypted: bool
    allowed: list[str]
    linearised: bool
    tagged: bool
    pdfa_claimed: str
    form_fields: int
    has_xfa: bool
    signatures: int
    attachments: int
    bookmarks: int
    has_javascript: bool


def metadata(work: Work) -> Result:
    """Read it all, as JSON."""
    with open_document(work, 0, work.options.password) as document:
        count = read_pages(document, work.bounds)
        told = _told(document, count)
    return Result(files=(msgspec.json.format(msgspec.json.encode(told)),))


def _told(document: pikepdf.Pdf, count: int) -> Metadata:
    sizes = Counter(view(page).size for page in document.pages)
    bookmarks = sum(1 for _ in _all(read_bookmarks(document)))
    attachments = sum(1 for _ in find_files(document))
    with reading():
        packet = document.open_metadata()
        texts = {
            name: _text(packet, document, *places) for name, places in {**_PLACES, **_DATES}.items()
        }
        form = document.Root.get("/AcroForm")
        fields = document.acroform.fields if isinstance(form, Dictionary) else ()
        marks = document.Root.get("/MarkInfo")
        return Metadata(
            **texts,
            language=str(document.Root.get("/Lang") or ""),
            pages=count,
            page_sizes=[
                PageSize(
                    width_mm=round(size[0] / MM, 1), height_mm=round(size[1] / MM, 1), pages=pages
                )
                for size, pages in sizes.most_common(_SIZES_MAX)
            ],
            version=document.pdf_version,
            encrypted=document.is_encrypted,
            allowed=[name for name, of in _PERMISSIONS.items() if getattr(document.allow, of)],
            linearised=document.is_linearized,
            tagged=isinstance(marks, Dictionary) and bool(marks.get("/Marked", False)),
            pdfa_claimed=str(packet.pdfa_status or ""),
            form_fields=len(fields),
            has_xfa=isinstance(form, Dictionary) and "/XFA" in form,
            signatures=sum(
                1
                for field in fields
                if field.field_type == "/Sig" and field.obj.get("/V") is not None
            ),
            attachments=attachments,
            bookmarks=bookmarks,
            has_javascript=_has_javascript(document),
        )


def _all(bookmarks: list[Bookmark]) -> Iterator[Bookmark]:
    for one in bookmarks:
        yield one
        yield from _all(one.children)


def _text(packet: PdfMetadata, document: pikepdf.Pdf, xmp: str, old: str) -> str:
    """A text from the packet, or else from the old place; dates as ISO 8601 has them."""
    found = packet.get(xmp)
    if isinstance(found, list | set | tuple):
        found = ", ".join(str(one) for one in found)
    if not found:
        found = str(document.docinfo.get(old, ""))
        if old.endswith("Date"):
            try:
                found = decode_pdf_date(found).isoformat()
            except (ValueError, TypeError):
                found = ""
    return str(found)


def _has_javascript(document: pikepdf.Pdf) -> bool:
    """Whether any action is a script, or scripts have names."""
    return any(
        thing.get("/S") == Name.JavaScript or "/JavaScript" in thing
        for thing in dictionaries(document)
    )


def set_metadata(work: Work) -> Result:
    """Write what is given into both places."""
    options: SetMetadataOptions = work.options
    given = {name: getattr(options, name, None) for name in _PLACES}
    if options.language is None and not any(text is not None for text in given.values()):
        raise OptionInvalid(
            "title: pdf.set_metadata needs a title, author, subject, keywords, creator or language"
        )
    with open_document(work, 0, options.password) as document:
        read_pages(document, work.bounds)
        with reading(), document.open_metadata(set_pikepdf_as_editor=False) as packet:
            for name, text in given.items():
                if text is not None:
                    _write(packet, document, *_PLACES[name], text)
        if options.language is not None:
            document.Root.Lang = pikepdf.String(options.language)
            if not options.language:
                del document.Root.Lang
        return Result(files=(save(document, work),), warnings=losses(document))


def _write(packet: PdfMetadata, document: pikepdf.Pdf, xmp: str, old: str, text: str) -> None:
    if text:
        packet[xmp] = [text] if xmp == "dc:creator" else text
        document.docinfo[old] = pikepdf.String(text)
        return
    if xmp in packet:
        del packet[xmp]
    if old in document.docinfo:
        del document.docinfo[old]


def strip_metadata(work: Work) -> Result:
    """Remove both places, those of single objects, and what cameras wrote into JPEG pictures."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        warnings = losses(document)
        remove_metadata(document)
        return Result(files=(save(document, work),), warnings=warnings)


def remove_metadata(document: pikepdf.Pdf) -> None:
    """Take all metadata out of the open document. Raises SourceUnreadable."""
    with reading():
        for name in ("/Info", "/ID"):  # the identifier tells which documents have one origin
            if name in document.trailer:
                del document.trailer[name]
        for thing in list(dictionaries(document)):
            for name in ("/Metadata", "/LastModified"):
                if name in thing:
                    del thing[name]
        Sanitizer().remove_private_app_data().remove_thumbnails().remove_web_capture().apply(
            document
        )
    for thing in document.objects:
        if isinstance(thing, Stream) and thing.get("/Filter") == Name.DCTDecode:
            _clean_jpeg(thing)


def _clean_jpeg(picture: Stream) -> None:
    try:
        with reading():
            before = picture.read_raw_bytes()
            after = without_metadata(before, b"", icc=True)
            if after is not None and len(after) < len(before):
                held = picture.get("/DecodeParms")
                parms = held if isinstance(held, Dictionary) else None
                picture.write(after, filter=Name.DCTDecode, decode_parms=parms)
    except SourceUnreadable:
        return
