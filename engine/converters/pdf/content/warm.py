"""Use what takes contents out of documents once, before the fork.

A worker can open no file: what a library would load at first use has to be used here.
"""

import io

import pikepdf
from PIL import Image

from engine.converter import Converter, Work
from engine.converters import typefaces
from engine.converters.pdf.content import (
    catalogue,
    editable,
    inspect,
    pictures,
    plumber,
    render,
    tables,
    text,
)
from engine.errors import EngineError
from engine.job import Bounds, Buffer

_TEXT = b"BT /F1 12 Tf 20 20 Td (warm) Tj /F2 12 Tf (warm) Tj ET q 30 0 0 30 90 90 cm /I1 Do Q"
_SECRET = "warm"  # noqa: S105  # protects nothing
# Imported here so that preloading this module loads every implementation.
_IMPLEMENTATIONS = {
    module.__name__: module for module in (editable, inspect, pictures, render, tables, text)
}

# Options beside the defaults, where those would use less than all of the code.
_TRIALS: tuple[tuple[str, str, dict[str, object]], ...] = (
    *(("render", target, {"dpi": 20, "colour": "grey"}) for target in catalogue.DRAWN),
    *(("render", target, {"dpi": 20, "colour": "mono"}) for target in catalogue.DRAWN),
    *(("render", target, {"dpi": 20, "background": "transparent"}) for target in catalogue.DRAWN),
    ("text", "txt", {"order": "reading"}),
    ("text", "txt", {"order": "layout"}),
    ("text", "txt", {"pages": "2"}),
    ("editable", "docx", {"layout": "page"}),
    ("editable", "docx", {"running_heads": "drop", "page_breaks": True}),
)


def warm() -> None:
    """Run each converter on a plain, an encrypted and a broken document, to each target."""
    typefaces.install()
    plumber.load_codings()
    plain, locked = _sample(""), _sample(_SECRET)
    for converter in catalogue.CONVERTERS:
        small: dict[str, object] = {"dpi": 20} if converter.operation == "render" else {}
        for target in converter.targets:
            _attempt(converter, plain, target, small)
        _attempt(converter, locked, converter.targets[0], small)
        _attempt(converter, locked, converter.targets[0], {"password": _SECRET, **small})
        _attempt(converter, plain[: len(plain) // 2], converter.targets[0], small)
    for operation, target, more in _TRIALS:
        converter = next(one for one in catalogue.CONVERTERS if one.operation == operation)
        _attempt(converter, plain, target, more)


def _sample(password: str) -> bytes:
    """Two pages with text in a font that readers bring and one that they do not, and a picture."""
    picture = io.BytesIO()
    Image.new("RGB", (9, 9), "teal").save(picture, "JPEG")
    with pikepdf.new() as document:
        for _ in range(2):
            page = document.add_blank_page(page_size=(200, 200))
            drawn = pikepdf.Stream(
                document,
                picture.getvalue(),
                Type=pikepdf.Name.XObject,
                Subtype=pikepdf.Name.Image,
                Width=9,
                Height=9,
                ColorSpace=pikepdf.Name.DeviceRGB,
                BitsPerComponent=8,
                Filter=pikepdf.Name.DCTDecode,
            )
            fonts = pikepdf.Dictionary(F1=_font("Helvetica"), F2=_font("Calibri"))
            page.Resources = pikepdf.Dictionary(Font=fonts, XObject=pikepdf.Dictionary(I1=drawn))
            page.Contents = document.make_stream(_TEXT)
        buffer = io.BytesIO()
        lock = pikepdf.Encryption(user=password, owner=password, R=6) if password else False
        document.save(buffer, encryption=lock)
    return buffer.getvalue()


def _font(name: str) -> pikepdf.Dictionary:
    return pikepdf.Dictionary(
        Type=pikepdf.Name.Font, Subtype=pikepdf.Name.TrueType, BaseFont=pikepdf.Name(f"/{name}")
    )


def _attempt(converter: Converter, upload: Buffer, target: str, options: dict[str, object]) -> None:
    module, _, function = converter.run.partition(":")
    chosen = converter.options(**options)
    work = Work(
        sources=("pdf",),
        target=target,
        inputs=(upload,),
        options=chosen,
        bounds=Bounds(),
    )
    try:
        if converter.check is not None:
            converter.check(chosen, target)
        getattr(_IMPLEMENTATIONS[module], function)(work)
    except EngineError:
        return
