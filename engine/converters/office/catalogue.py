"""What the office family offers: declarations only, no codec.

Each row is one of LibreOffice's applications, because each has options of its own. Rows that other
families may serve as well, and better for most, are not the default.
"""

from typing import Any

import msgspec

from engine.converter import Converter, Family
from engine.converters.office.catalogue_options import (
    ConvertOptions,
    ImageOptions,
    PdfOptions,
    SheetPdfOptions,
    SlidesPdfOptions,
    TextPdfOptions,
    check_pdf,
)
from engine.converters.office.catalogue_places import APPLICATIONS, LIBRARY, MERGED
from engine.job import Bounds
from sandbox.limits import MIB, Limits

TEXTS = ("docx", "doc", "odt", "rtf")
SHEETS = ("xlsx", "xls", "ods", "xlsb")
SLIDES = ("pptx", "ppt", "odp")
DRAWINGS = ("odg", "vsdx", "vsd", "pub", "emf", "wmf")
LOCKED = ("ooxml-encrypted",)
PAGES = ("html", "txt")


def _row(
    name: str,
    title: str,
    sources: tuple[str, ...],
    targets: tuple[str, ...],
    options: type[msgspec.Struct],
    **more: Any,
) -> Converter:
    return Converter(
        **{
            "name": f"office.{name}",
            "family": "office",
            "title": title,
            "sources": sources,
            "targets": targets,
            "options": options,
            "run": "engine.converters.office.convert:to_office",
            "default": True,
            # Even a small document takes a tenth of a second of a core.
            "credits": 2,
            **more,
        }
    )


def _pdf(
    name: str,
    title: str,
    sources: tuple[str, ...],
    options: type[PdfOptions],
    *,
    default: bool = True,
) -> Converter:
    return _row(
        f"{name}.pdf",
        title,
        sources,
        ("pdf",),
        options,
        run="engine.converters.office.convert:to_pdf",
        check=check_pdf,
        default=default,
    )


CONVERTERS: tuple[Converter, ...] = (
    _pdf("text", "Print a text to PDF", TEXTS, TextPdfOptions),
    _pdf("sheet", "Print a spreadsheet to PDF", SHEETS, SheetPdfOptions),
    _pdf("slides", "Print a presentation to PDF", SLIDES, SlidesPdfOptions),
    _pdf("drawing", "Print a drawing to PDF", DRAWINGS, PdfOptions),
    _pdf("locked", "Print an encrypted document to PDF", LOCKED, PdfOptions),
    _pdf("page", "Print a page as an office reads it", PAGES, TextPdfOptions, default=False),
    _row(
        "image",
        "Draw pages of a document",
        (*TEXTS, *SHEETS, *SLIDES, *DRAWINGS, *LOCKED),
        ("png", "jpeg", "webp"),
        ImageOptions,
        run="engine.converters.office.convert:to_images",
    ),
    _row("text.convert", "Convert a text", TEXTS, TEXTS, ConvertOptions),
    _row(
        "page.convert",
        "Make a page, a book or plain text of a text",
        TEXTS,
        ("html", "epub", "txt"),
        ConvertOptions,
        default=False,
    ),
    _row("sheet.convert", "Convert a spreadsheet", SHEETS, SHEETS[:3], ConvertOptions),
    # Not csv: the kit spoils the options of that filter, and the data family knows more of it.
    _row(
        "cells.convert",
        "Make a page of a spreadsheet",
        SHEETS,
        ("html",),
        ConvertOptions,
        default=False,
    ),
    _row("slides.convert", "Convert a presentation", SLIDES, SLIDES, ConvertOptions),
    _row("drawing.convert", "Convert a drawing", DRAWINGS, ("odg", "svg"), ConvertOptions),
)

FAMILY = Family(
    name="office",
    needs=("PIL", "cryptography", "msoffcrypto", "olefile", "pikepdf", "pypdfium2"),
    needs_files=(MERGED, *APPLICATIONS, LIBRARY),
    preload=("engine.task", "engine.converters.office.warm"),
    warm="engine.converters.office.warm:warm",
    touch="engine.converters.office.warm:touch",
    library=LIBRARY,
    environment=(
        ("SAL_USE_VCLPLUGIN", "svp"),  # draw in memory, without a screen
        ("LANG", "C.UTF-8"),
    ),
    # LibreOffice's code, resources and settings, and where libraries lie; fonts and their index;
    # what time it is here; randomness. Nothing of it is anybody's document.
    reads=(
        "/usr/lib",
        "/usr/share",
        "/etc/libreoffice",
        "/etc/fonts",
        "/etc/ld.so.cache",
        "/etc/localtime",
        "/etc/papersize",
        "/var/cache/fontconfig",
        "/var/lib/libreoffice",
        "/dev/urandom",
    ),
    # A twentieth of a second on a quiet machine, seconds on one where everybody starts.
    spawn_max_s=20.0,
    # LibreOffice takes 700 MB of address space before its first document, most of it mapped files;
    # the largest of 240 documents took 210 MB more. Its threads are
    # those of its pool, a handful, and none of them is waited for by design.
    limits=Limits(address_space_bytes=2048 * MIB, cpu_s=90, wall_s=120.0, threads=16),
    bounds=Bounds(),
)
