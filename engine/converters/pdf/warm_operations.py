"""Run every operation once, on a document that has something of everything.

Codecs import and build tables at first use; a worker can open no file, so that use is here. How a
locked or a broken document fails is the same code for all operations: one of them meets both.
"""

import importlib
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pikepdf
from pikepdf import Array, Dictionary, Name, String
from PIL import Image

from engine.converter import Converter, Work
from engine.converters import lettering
from engine.converters.pdf import (
    catalogue_documents,
    catalogue_layout,
    catalogue_marks,
    catalogue_pages,
    catalogue_parts,
    catalogue_safety,
    pdfa,
)
from engine.errors import EngineError
from engine.job import Bounds, Buffer

_TOPICS = (
    catalogue_pages,
    catalogue_layout,
    catalogue_marks,
    catalogue_documents,
    catalogue_parts,
    catalogue_safety,
)
CONVERTERS = {one.operation: one for topic in _TOPICS for one in topic.CONVERTERS}
# Imported here so that preloading this module loads every implementation.
_IMPLEMENTATIONS = {
    path: importlib.import_module(path)
    for path in dict.fromkeys(one.run.partition(":")[0] for one in CONVERTERS.values())
}
_SECRET = "warm"  # noqa: S105  # protects nothing
_TEXT = b"BT /F1 12 Tf 9 20 Td (warm) Tj ET q 40 0 0 40 9 9 cm /I1 Do Q"


class _Trial(NamedTuple):
    """Options beside the defaults, and the format of a second upload."""

    options: Mapping[str, object] = {}
    beside: str = ""


# Where the defaults alone would not do, or would use less than all of an operation's code.
_TRIALS: Mapping[str, Sequence[_Trial]] = {
    "attach": (_Trial(beside="png"),),
    "compress": (_Trial({"preset": "screen"}),),
    "crop": (_Trial({"mode": "auto", "uniform": True}),),
    "delete": (_Trial({"pages": "1"}),),
    "fill": (_Trial({"values": '{"warm": "warm", "tick": true}', "flatten": True}),),
    "merge": (_Trial(beside="pdf"),),
    "nup": (_Trial({"frame": True}),),
    "overlay": (_Trial(beside="pdf"),),
    "pdfa": (_Trial({"fallback": "picture", "dpi": 100}),),
    "protect": (_Trial({"user_password": _SECRET}),),
    "redact": (_Trial({"words": '["warm"]', "dpi": 100}),),
    "sanitise": (_Trial({"strip_metadata": True}),),
    "set_bookmarks": (_Trial({"bookmarks": '[{"title": "warm", "page": 1}]'}),),
    "set_metadata": (_Trial({"title": "warm", "author": ""}),),
    "split": (_Trial({"size_mb": 1.0}),),
    "watermark": (_Trial({"text": "warm"}), _Trial({"position": "tiled"}, beside="png")),
}


def warm() -> Buffer:
    """Do it all; returns the smallest of the documents."""
    pdfa.load()
    lettering.load()
    full, companions = _sample(), {"pdf": _sample(), "png": _picture("PNG")}
    for operation, converter in CONVERTERS.items():
        for trial in _TRIALS.get(operation, (_Trial(),)):
            more = {trial.beside: companions[trial.beside]} if trial.beside else {}
            attempt(converter, full, converter.options(**trial.options), more)
    locked = run("protect", full, catalogue_documents.ProtectOptions(user_password=_SECRET))
    rotate = CONVERTERS["rotate"]
    attempt(rotate, locked, rotate.options())
    attempt(rotate, locked, rotate.options(password=_SECRET))
    attempt(rotate, full[: len(full) // 2], rotate.options())
    return run("pages", _plain(), catalogue_pages.PagesOptions())


def run(
    operation: str, upload: Buffer, options: object, more: Mapping[str, Buffer] | None = None
) -> Buffer:
    """The first file of an operation's result."""
    converter = CONVERTERS[operation]
    module, _, function = converter.run.partition(":")
    beside = more or {}
    work = Work(
        sources=("pdf", *beside),
        target=converter.targets[0],
        inputs=(upload, *beside.values()),
        options=options,
        bounds=Bounds(),
    )
    result: Buffer = getattr(_IMPLEMENTATIONS[module], function)(work).files[0]
    return result


def attempt(
    converter: Converter, upload: Buffer, options: object, more: Mapping[str, Buffer] | None = None
) -> None:
    """Run it; what it refuses was used too."""
    try:
        run(converter.operation, upload, options, more)
    except EngineError:
        return


def _plain() -> Buffer:
    with pikepdf.new() as document:
        document.add_blank_page(page_size=(72, 72))
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def _picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), "teal").save(buffer, kind)
    return buffer.getvalue()


def _sample() -> bytes:
    """Two pages with text, a picture, a field, a bookmark, a file, a script and metadata."""
    with pikepdf.new() as document:
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
        for _ in range(2):
            page = document.add_blank_page(page_size=(72, 72))
            picture = document.make_stream(
                _picture("JPEG"),
                Type=Name.XObject,
                Subtype=Name.Image,
                Width=16,
                Height=16,
                ColorSpace=Name.DeviceRGB,
                BitsPerComponent=8,
                Filter=Name.DCTDecode,
            )
            page.Resources = Dictionary(Font=Dictionary(F1=font), XObject=Dictionary(I1=picture))
            page.Contents = document.make_stream(_TEXT)
        fields = Array(
            [_field(document, "warm", Name.Tx, 9), _field(document, "tick", Name.Btn, 40)]
        )
        document.pages[0].Annots = fields
        document.Root.AcroForm = Dictionary(Fields=fields, DA=String("/F1 0 Tf 0 g"))
        document.Root.OpenAction = Dictionary(S=Name.JavaScript, JS=String("warm"))
        document.attachments["warm"] = pikepdf.AttachedFileSpec(
            document,
            b"warm",
            filename="warm.txt",
            description="warm",
            mime_type="text/plain",
            creation_date="",
            mod_date="",
        )
        with document.open_outline() as outline:
            outline.root.append(pikepdf.OutlineItem("warm", 1))
        with document.open_metadata() as packet:
            packet["dc:title"] = "warm"
            packet["xmp:CreateDate"] = "2000-01-01T00:00:00Z"
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def _field(document: pikepdf.Pdf, name: str, kind: pikepdf.Name, up: int) -> pikepdf.Object:
    return document.make_indirect(
        Dictionary(
            Type=Name.Annot,
            Subtype=Name.Widget,
            FT=kind,
            T=String(name),
            Rect=[9, up, 60, up + 20],
            F=4,
        )
    )
