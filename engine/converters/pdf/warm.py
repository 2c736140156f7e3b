"""Use every PDF codec once, on a document small enough to cost nothing.

A worker can open no file: what a library would load at first use has to be used before the fork.
"""

import importlib
import io
from collections.abc import Mapping
from itertools import product

import pikepdf
from PIL import Image

from engine.converter import Converter, Work
from engine.converters.opening import PLUGINS
from engine.converters.pdf import (
    catalogue,
    catalogue_documents,
    catalogue_images,
    catalogue_pages,
    lettering,
)
from engine.converters.pdf.content import warm as content
from engine.converters.raster.sources import STILLS
from engine.errors import EngineError
from engine.job import Bounds, Buffer

_TEXT = b"BT /F1 12 Tf 20 20 Td (warm) Tj ET"
_SECRET = "warm"  # noqa: S105  # protects nothing
# Imported here so that preloading this module loads every implementation.
_IMPLEMENTATIONS = {
    path: importlib.import_module(path)
    for path in dict.fromkeys(one.run.partition(":")[0] for one in catalogue.CONVERTERS)
}
# Options beside the defaults, where those would use less than all of an operation's code.
_TRIALS: Mapping[str, tuple[dict[str, object], ...]] = {
    "pdf.archive": ({"fallback": "picture"}, {"level": "1b", "fallback": "picture"}),
    "pdf.compress": ({"preset": "screen"},),
    "pdf.crop": ({"mode": "auto", "uniform": True},),
    "pdf.delete": ({"pages": "1"},),
    "pdf.fill": ({"values": '{"warm": "warm", "tick": true}', "flatten": True},),
    "pdf.nup": ({"frame": True},),
    "pdf.watermark": ({"text": "warm", "layer": "under"}, {"text": "warm", "position": "tiled"}),
    "pdf.redact": ({"words": '["warm"]', "match_case": True, "whole_words": True},),
    "pdf.set_bookmarks": ({"bookmarks": '[{"title": "warm", "page": 1}]'},),
    "pdf.set_metadata": ({"title": "warm", "author": ""},),
    "pdf.split": ({"size_mb": 1.0},),
}

# What a spare is touched with, made before the fork.
_touchstone: list[Buffer] = []


def warm() -> None:
    """Run each operation on a plain, an encrypted and a broken document, and each image format."""
    lettering.load()
    content.warm()  # first: it decides where pdfium finds typefaces
    plain = _sample()
    _touchstone.append(plain)
    protected = _run("protect", plain, catalogue_documents.ProtectOptions(user_password=_SECRET))
    for converter in catalogue.CONVERTERS:
        if converter.name == "pdf.images" or ".content." in converter.run:
            continue
        options = converter.options()
        _attempt(converter, (plain,), options)
        for trial in _TRIALS.get(converter.name, ()):
            _attempt(converter, (plain,), converter.options(**trial))
        _attempt(converter, (protected,), options)
        _attempt(converter, (protected,), converter.options(password=_SECRET))
        _attempt(converter, (plain[: len(plain) // 2],), options)
    for source, mode in product(
        (*PLUGINS, *catalogue_images.OTHERS), ("1", "L", "RGB", "RGBA", "CMYK")
    ):
        _attempt_image(source, mode)


def touch() -> None:
    """One small rotation: opens, walks and saves, and touches no page more."""
    _run("rotate", _touchstone[0], catalogue_pages.RotateOptions())


def _sample() -> Buffer:
    with pikepdf.new() as document:
        for _ in range(2):
            page = document.add_blank_page(page_size=(200, 200))
            font = pikepdf.Dictionary(
                Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica
            )
            page.Resources = pikepdf.Dictionary(Font=pikepdf.Dictionary(F1=font))
            page.Contents = document.make_stream(_TEXT)
        document.docinfo["/Title"] = "warm"
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def _run(operation: str, upload: Buffer, options: object) -> Buffer:
    converter = next(one for one in catalogue.CONVERTERS if one.operation == operation)
    return _call(converter, (upload,), "pdf", options)


def _call(converter: Converter, inputs: tuple[Buffer, ...], source: str, options: object) -> Buffer:
    module, _, function = converter.run.partition(":")
    work = Work(
        sources=(source,) * len(inputs),
        target=converter.targets[0],
        inputs=inputs,
        options=options,
        bounds=Bounds(),
    )
    result: Buffer = getattr(_IMPLEMENTATIONS[module], function)(work).files[0]
    return result


def _attempt(converter: Converter, inputs: tuple[Buffer, ...], options: object) -> None:
    try:
        _call(converter, inputs, "pdf", options)
    except EngineError:
        return


def _attempt_image(source: str, mode: str) -> None:
    converter = next(one for one in catalogue.CONVERTERS if one.name == "pdf.images")
    buffer = io.BytesIO()
    try:
        name = PLUGINS[source][0] if source in PLUGINS else STILLS[source]
        Image.new(mode, (9, 9)).save(buffer, name)
    except (OSError, ValueError, KeyError):
        return  # this format has no such mode, or is only read
    _call(converter, (buffer.getvalue(),), source, catalogue_images.ImagesOptions(page_size="a4"))
