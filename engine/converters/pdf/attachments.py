"""pdf.attach, pdf.attachments, pdf.extract_attachments: files inside the document.

Names inside documents are a stranger's: in an archive they keep their last part, and nothing of it
that means something to a file system.
"""

import re
import zipfile
from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import pikepdf
from pikepdf import Array, AttachedFileSpec, Dictionary, Name

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.pdf.catalogue_parts import AttachOptions
from engine.converters.pdf.files import losses, open_document, read_pages, reading, save
from engine.errors import OptionInvalid, SourceTooComplex, TargetImpossible, TargetTooLarge
from engine.formats import find
from engine.job import Buffer

# More than anybody lists; each is an entry of a tree that is walked in Python.
_FILES_MAX = 10_000
_NAME_MAX = 150
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\/]+')


class Attachment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One file in the document, as it is listed."""

    name: str
    bytes: int
    media_type: str = ""
    description: str = ""
    relationship: str = ""
    # Of a file that is pinned to a page; others belong to the document.
    page: int = 0


class _Found(NamedTuple):
    """A file specification that has a file (ISO 32000-1, 7.11.3)."""

    spec: pikepdf.Object
    page: int

    @property
    def name(self) -> str:
        """As it stands there."""
        return str(self.spec.get("/UF") or self.spec.get("/F") or "attachment")

    @property
    def file(self) -> pikepdf.Stream:
        """The file itself. Raises TypeError for something else in its place."""
        held = self.spec["/EF"]
        found = held.get("/UF") or held.get("/F")
        if not isinstance(found, pikepdf.Stream):
            raise TypeError("no stream")
        return found


def attach(work: Work) -> Result:
    """Put the second and all further uploads into the first. Raises OptionInvalid."""
    options: AttachOptions = work.options
    names = _names(work)
    with open_document(work, 0, options.password) as document:
        read_pages(document, work.bounds)
        with reading():
            for name, source, upload in zip(names, work.sources[1:], work.inputs[1:], strict=True):
                if name in document.attachments:
                    raise OptionInvalid(f"names: the document has a file {name[:60]!r} already")
                document.attachments[name] = _spec(document, name, source, upload, options)
            # Readers then show the list by themselves.
            document.Root.PageMode = Name.UseAttachments
        return Result(files=(save(document, work),), warnings=losses(document))


def _names(work: Work) -> list[str]:
    """Names from the options; for those that are not given, made from the formats."""
    given = [name.strip() for name in work.options.names.split("/")] if work.options.names else []
    sources = work.sources[1:]
    if len(given) > len(sources):
        raise OptionInvalid(f"names: there are {len(given)} names and {len(sources)} files")
    names = []
    for place, source in enumerate(sources):
        default = f"attachment-{place + 1}.{find(source).extensions[0]}"
        name = given[place] if place < len(given) and given[place] else default
        if _UNSAFE.search(name) or len(name) > _NAME_MAX or name in names:
            raise OptionInvalid(
                "names: a name is there twice, too long, or has characters that files cannot have"
            )
        names.append(name)
    return names


def _spec(
    document: pikepdf.Pdf, name: str, source: str, upload: Buffer, options: AttachOptions
) -> AttachedFileSpec:
    spec = AttachedFileSpec(
        document,
        bytes(upload),
        filename=name,
        description=options.description,
        mime_type=find(source).media_type,
        creation_date="",
        mod_date="",
    )
    spec.relationship = Name(f"/{options.relationship.capitalize()}")
    associated = document.Root.get(Name.AF)
    if not isinstance(associated, Array):
        document.Root.AF = associated = Array()
    associated.append(spec.obj)
    return spec


def attachments(work: Work) -> Result:
    """Name, size and kind of each, as JSON."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        with reading():
            listed = [_told(found) for found in find_files(document)]
    return Result(files=(msgspec.json.format(msgspec.json.encode(listed)),))


def _told(found: _Found) -> Attachment:
    return Attachment(
        name=found.name,
        bytes=len(found.file.read_bytes()),
        media_type=str(found.file.get("/Subtype") or "").removeprefix("/"),
        description=str(found.spec.get("/Desc") or ""),
        relationship=str(found.spec.get("/AFRelationship") or "").removeprefix("/").lower(),
        page=found.page,
    )


def extract_attachments(work: Work) -> Result:
    """All files in one archive. Raises TargetImpossible where there is none."""
    warnings = []
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    taken: set[str] = set()
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            unpacked = 0
            for found in find_files(document):
                with reading():
                    content = found.file.read_bytes()
                unpacked += len(content)
                if unpacked > work.bounds.output_bytes_max:
                    raise TargetTooLarge("the files are together larger than the limit")
                name = _safe(found.name, taken)
                if name != found.name:
                    warnings.append("files were given other names where theirs were not safe")
                archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    if not taken:
        raise TargetImpossible("the document has no files in it")
    return Result(files=(buffer.take(),), warnings=tuple(dict.fromkeys(warnings)))


def _safe(name: str, taken: set[str]) -> str:
    """A file name that means nothing to a file system and is not taken."""
    plain = _UNSAFE.sub("_", name.replace("\\", "/").rpartition("/")[2]).strip(". ")[-_NAME_MAX:]
    plain = plain or "attachment"
    stem, dot, extension = plain.rpartition(".")
    count = 1
    while plain in taken:
        count += 1
        plain = f"{stem}-{count}{dot}{extension}" if dot else f"{extension}-{count}"
    taken.add(plain)
    return plain


def find_files(document: pikepdf.Pdf) -> Iterator[_Found]:
    """Files of the document, then those pinned to its pages. Raises SourceTooComplex."""
    count = 0
    with reading():
        for spec in _specs(document):
            if isinstance(spec.spec.get("/EF"), Dictionary):
                count += 1
                if count > _FILES_MAX:
                    raise SourceTooComplex(f"the document has more than {_FILES_MAX} files in it")
                yield spec


def _specs(document: pikepdf.Pdf) -> Iterator[_Found]:
    for spec in document.attachments.values():
        yield _Found(spec.obj, 0)
    for index, page in enumerate(document.pages):
        for pin in page.obj.get("/Annots", ()):
            if isinstance(pin, Dictionary) and pin.get("/Subtype") == "/FileAttachment":
                held = pin.get("/FS")
                if isinstance(held, Dictionary):
                    yield _Found(held, index + 1)
