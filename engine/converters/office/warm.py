"""Start LibreOffice in the zygote and have it print, so that every worker finds it warm."""

import io
import time
import zipfile
from pathlib import Path

import pikepdf
from msoffcrypto.format import doc97, ooxml, ppt97, xls97
from PIL import Image

from engine.converter import Work
from engine.converters.office import convert, kit, odf, settings, source, store
from engine.converters.office.catalogue_options import ImageOptions, TextPdfOptions
from engine.errors import EngineError
from engine.job import Bounds, Buffer

# msoffcrypto imports the one that it needs when it needs it.
LOADED = (doc97, ooxml, ppt97, xls97)

# What takes longer is no thread on its way out, and the zygote refuses to start with it.
_THREADS_END_WITHIN_S = 5.0
_TOUCHSTONE = b"{\\rtf1 warm}"
_SECRET = "warm"  # noqa: S105  # protects nothing
# As little as msoffcrypto takes for a document; and a name that is not ASCII.
_TYPES = (
    b'<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    b'<Default Extension="rels"'
    b' ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    b'<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats'
    b'-officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_MANIFEST = (
    '<manifest:file-entry manifest:full-path="content.xml"><manifest:encryption-data'
    ' manifest:checksum-type="#sha256-1k" manifest:checksum="AAAA"><manifest:algorithm'
    ' manifest:algorithm-name="http://www.w3.org/2001/04/xmlenc#aes256-cbc"'
    ' manifest:initialisation-vector="AAAAAAAAAAAAAAAAAAAAAA=="/><manifest:key-derivation'
    ' manifest:key-derivation-name="PBKDF2" manifest:iteration-count="1" manifest:salt="AAAA"/>'
    '<manifest:start-key-generation manifest:start-key-generation-name="#sha256"/>'
    "</manifest:encryption-data></manifest:file-entry>"
)
_PARTS = {
    "[Content_Types].xml": _TYPES,
    "_rels/.rels": b"",
    "word/caf\xe9.xml": b"",
    "META-INF/manifest.xml": b"",
}


def warm() -> None:
    """Start the office, and use once what a conversion uses. Raises RuntimeError."""
    if not store.is_loaded():
        raise RuntimeError("the library that keeps LibreOffice's files in memory is not loaded")
    settings.install()
    office = kit.kit()
    with store.holding():
        office.prepare()
        office.start()
        # Nothing in OpenDocument: to look for signatures the office would execute gpg here, where
        # it still could.
        touch()
    _warm_examination()
    _warm_drawing()
    _let_threads_end()


def touch() -> None:
    """Print one word, for which the office finds its fonts, lays out and writes pages."""
    convert.to_pdf(
        Work(
            sources=("rtf",),
            target="pdf",
            inputs=(_TOUCHSTONE,),
            options=TextPdfOptions(),
            bounds=Bounds(),
        )
    )


def _let_threads_end() -> None:
    """Printing had threads; the kernel still counts one for a moment after it was joined."""
    latest = time.monotonic() + _THREADS_END_WITHIN_S
    while len(list(Path("/proc/self/task").iterdir())) > 1 and time.monotonic() < latest:
        time.sleep(0.001)


def _warm_examination() -> None:
    """Look at a plain, an encrypted and a broken document."""
    plain, locked = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, content)
    ooxml.OOXMLFile(io.BytesIO(plain.getvalue())).encrypt(_SECRET, locked)
    with zipfile.ZipFile(odf_locked := io.BytesIO(), "w") as archive:
        archive.writestr(odf.MANIFEST, _MANIFEST)
        archive.writestr("content.xml", bytes(16))
    for content in (plain.getvalue(), locked.getvalue(), odf_locked.getvalue()):
        for password in ("", _SECRET, "wrong"):
            _attempt(content, password)
            _attempt(content[: len(content) // 2], password)


def _attempt(content: bytes, password: str) -> None:
    try:
        source.examine(content, "ooxml-encrypted", password)
    except EngineError:
        return


def _warm_drawing() -> None:
    """Draw an empty page in each format, and encrypt it."""
    printed = _page()
    for target in ("png", "jpeg", "webp"):
        work = Work(
            sources=("rtf",),
            target=target,
            inputs=(),
            options=ImageOptions(dpi=18),
            bounds=Bounds(),
        )
        convert.drawn(printed, work)
    convert.protected(printed, _SECRET, Bounds())


def _page() -> Buffer:
    buffer = io.BytesIO()
    with pikepdf.new() as document:
        document.add_blank_page(page_size=(100, 100))
        document.save(buffer)
    Image.init()
    return buffer.getvalue()
