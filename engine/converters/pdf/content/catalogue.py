"""What the pdf family takes out of documents: declarations only, no codec."""

from engine.converter import Converter
from engine.converters.pdf.catalogue_terms import declare
from engine.converters.pdf.content.options import (
    EditableOptions,
    InspectOptions,
    PicturesOptions,
    RenderOptions,
    TablesOptions,
    TextOptions,
    check_editable,
    check_render,
)

DRAWN = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")

CONVERTERS: tuple[Converter, ...] = (
    declare(
        "render",
        "Draw pages as pictures",
        RenderOptions,
        module="content.render",
        targets=DRAWN,
        default=True,
        check=check_render,
    ),
    declare(
        "text",
        "Take the text out",
        TextOptions,
        module="content.text",
        targets=("txt",),
        default=True,
    ),
    declare(
        "tables",
        "Take tables out",
        TablesOptions,
        module="content.tables",
        targets=("csv", "xlsx", "json"),
        # In Python, over every letter and line of the pages.
        credits=2,
    ),
    declare(
        "extract_images",
        "Take pictures out",
        PicturesOptions,
        module="content.pictures",
        # An archive holds each as it was stored; the others make all of one kind.
        targets=("zip", "png", "jpeg"),
    ),
    declare(
        "inspect",
        "Tell what pages are made of",
        InspectOptions,
        module="content.inspect",
        targets=("json",),
    ),
    declare(
        "editable",
        "Make a document that can be edited",
        EditableOptions,
        module="content.editable",
        targets=("docx", "html", "md", "pptx"),
        default=True,
        check=check_editable,
    ),
)
