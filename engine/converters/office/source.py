"""Look at a document before LibreOffice does: is it encrypted, what of it will not be used.

Only directories of archives and small parts are read here, with bounds. A file that is not what it
should be is no error at this point: LibreOffice has the last word on what can be read.
"""

import io
import re
import zipfile
import zlib
from typing import Any, NamedTuple
from xml.parsers import expat

import msoffcrypto
import olefile
from msoffcrypto.exceptions import DecryptionError, InvalidKeyError

from engine.converters.office import odf
from engine.errors import PasswordRequired, SourceTooComplex, SourceUnreadable
from engine.job import Buffer

_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Microsoft's formats that are encrypted as a whole, inside or outside of the OLE container.
_MICROSOFT = frozenset(
    {"docx", "xlsx", "xlsb", "pptx", "vsdx", "doc", "xls", "ppt", "ooxml-encrypted"}
)
# Where an encrypted document turns out to be one of these, by the folder its parts lie in.
_KINDS = {"word/": "docx", "xl/": "xlsx", "ppt/": "pptx"}

# A workbook of a thousand sheets has some thousands of parts; each costs memory before it is read.
_PARTS_MAX = 20_000
# All parts unpacked: LibreOffice holds several times of this, and has 2 GiB.
_UNPACKED_BYTES_MAX = 1024 * 1024 * 1024
# Of a text that is no XML any more LibreOffice makes an empty page, and does not say so.
_TEXT_PART = "word/document.xml"
# A part that is searched here; relations and lists of fonts are small.
_PART_BYTES_MAX = 4 * 1024 * 1024

_MACRO_PARTS = re.compile(r"(^|/)vbaProject\.bin$|^Basic/|^Scripts/")
_MACRO_STREAMS = frozenset({"macros", "_vba_project_cur", "vba"})
_RELATION = re.compile(rb"<Relationship\b[^>]*>")
_EXTERNAL_CONTENT = re.compile(
    rb"<(?:\w+:)?(?:image|object|section-source|plugin|table-source)\b[^>]*"
    rb"xlink:href=\"(?:https?|ftp|file|smb):",
    re.IGNORECASE,
)

MACROS = "the document contains macros; they were not run"
LINKS = "the document refers to files or addresses outside of it; they were not loaded"
DECRYPTED = "the result is not encrypted; the source was"


class Source(NamedTuple):
    """A document as LibreOffice gets it."""

    content: Buffer
    kind: str  # the format, also of one that was encrypted
    warnings: tuple[str, ...]


def examine(upload: Buffer, kind: str, password: str) -> Source:
    """Decrypt where needed, and say what will be missed.

    Raises PasswordRequired, SourceUnreadable, SourceTooComplex.
    """
    content, warnings = upload, []
    if kind in _MICROSOFT and bytes(upload[:8]) == _OLE:
        content, was_encrypted = _decrypted(upload, password)
        if was_encrypted:
            warnings.append(DECRYPTED)
    start = bytes(content[:8])
    if start.startswith(_ZIP):
        return _examine_archive(content, kind, password, warnings)
    if start == _OLE and _has_macro_streams(content):
        warnings.append(MACROS)
    return Source(content, kind, tuple(warnings))


def _decrypted(upload: Buffer, password: str) -> tuple[Buffer, bool]:
    """The document without its encryption, and whether it had one."""
    try:
        file: Any = msoffcrypto.OfficeFile(io.BytesIO(upload))
        if not file.is_encrypted():
            return upload, False
    except Exception:  # noqa: BLE001  # a parser without limits of its own raises what it likes
        return upload, False
    if not password:
        raise _locked("pass its password in the option password")
    plain = io.BytesIO()
    try:
        file.load_key(password=password)
        file.decrypt(plain)
    except (DecryptionError, InvalidKeyError) as error:
        raise _locked("the password that was given does not open it") from error
    except Exception as error:  # as above
        raise SourceUnreadable(
            "the document is encrypted, and damaged or encrypted in an unusual way"
        ) from error
    return plain.getbuffer(), True


def _locked(how: str) -> PasswordRequired:
    return PasswordRequired(f"the document is encrypted; {how}")


def _examine_archive(content: Buffer, kind: str, password: str, warnings: list[str]) -> Source:
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return Source(content, kind, tuple(warnings))
    with archive:
        parts = archive.infolist()
        if len(parts) > _PARTS_MAX or sum(one.file_size for one in parts) > _UNPACKED_BYTES_MAX:
            raise SourceTooComplex(
                f"the document unpacks to more than {_PARTS_MAX} parts or"
                f" {_UNPACKED_BYTES_MAX >> 20} MiB, the limits"
            )
        if odf.is_encrypted(_part(archive, odf.MANIFEST)):
            if not password:
                raise _locked("pass its password in the option password")
            content = _readable_odf(archive, password)
            return _examine_archive(content, kind, "", [*warnings, DECRYPTED])
        _check_whole(archive)
        kind = _kind(archive, kind)
        if any(_MACRO_PARTS.search(one.filename) for one in parts):
            warnings.append(MACROS)
        if _has_links(archive):
            warnings.append(LINKS)
    return Source(content, kind, tuple(warnings))


def _readable_odf(archive: zipfile.ZipFile, password: str) -> bytes:
    try:
        return odf.decrypted(archive, password, _UNPACKED_BYTES_MAX)
    except (LookupError, OSError, ValueError, RuntimeError, EOFError) as error:
        raise SourceUnreadable("the document cannot be read: it is damaged") from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise SourceUnreadable("the document cannot be read: it is damaged") from error


def _check_whole(archive: zipfile.ZipFile) -> None:
    """LibreOffice would repair what it can, and nobody would learn what is missing."""
    try:
        damaged = archive.testzip()
    except (OSError, ValueError, RuntimeError, EOFError, NotImplementedError) as error:
        raise _damaged() from error
    except (zipfile.BadZipFile, zlib.error) as error:
        raise _damaged() from error
    if damaged is not None or not _is_well_formed(archive, _TEXT_PART):
        raise _damaged()


def _is_well_formed(archive: zipfile.ZipFile, name: str) -> bool:
    """Whether this part is XML, or is not there."""
    try:
        with archive.open(name) as part:
            expat.ParserCreate().ParseFile(part)
    except KeyError:
        return True
    except expat.ExpatError:
        return False
    return True


def _damaged() -> SourceUnreadable:
    return SourceUnreadable("the document cannot be read: it is damaged or cut off")


def _kind(archive: zipfile.ZipFile, kind: str) -> str:
    """The format of what was encrypted, by its parts; of anything else what it is said to be."""
    if kind == "ooxml-encrypted":
        for name in archive.namelist():
            for folder, found in _KINDS.items():
                if name.startswith(folder):
                    return found
        raise SourceUnreadable("what is encrypted here is no document that is known")
    return kind


def _has_links(archive: zipfile.ZipFile) -> bool:
    for name in archive.namelist():
        if name.endswith(".rels"):
            for relation in _RELATION.findall(_part(archive, name)):
                if b'TargetMode="External"' in relation and b"/hyperlink" not in relation:
                    return True
    return any(
        _EXTERNAL_CONTENT.search(_part(archive, name)) for name in ("content.xml", "styles.xml")
    )


def _part(archive: zipfile.ZipFile, name: str) -> bytes:
    """The beginning of a part; nothing where there is none, or none that can be read."""
    try:
        with archive.open(name) as part:
            return part.read(_PART_BYTES_MAX)
    except (LookupError, OSError, ValueError, RuntimeError, EOFError):
        return b""
    except (zipfile.BadZipFile, zlib.error):
        return b""


def _has_macro_streams(content: Buffer) -> bool:
    try:
        with olefile.OleFileIO(io.BytesIO(content)) as file:
            return any(_MACRO_STREAMS & {part.lower() for part in path} for path in file.listdir())
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False
