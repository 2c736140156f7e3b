"""What text recognition offers: declarations only, no codec."""

from typing import Annotated, Any, Literal

from msgspec import Meta

from engine.converter import Converter, Family
from engine.converters.paged import DocumentOptions, Pages
from engine.job import Bounds
from sandbox.limits import MIB, Limits

IMAGES = ("jpeg", "png", "webp", "avif", "gif", "tiff", "bmp")
# Debian's package tesseract-ocr-eng; further languages are looked for beside it.
TESSDATA = "/usr/share/tesseract-ocr/5/tessdata"
# Recognition takes 1 to 3 s a page: as many as fit into the limit of CPU seconds.
PAGES_MAX = 100
# Scans that make up one document.
_FILES_MAX = 50


class RecogniseOptions(DocumentOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of text recognition, in print and not in handwriting."""

    pages: Pages = "1-"
    language: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z_]{3,16}(\+[A-Za-z_]{3,16})?$",
            max_length=33,
            description="Language of the text, as tesseract calls it: eng, deu, fra and so on;"
            " with English words in between, deu+eng. Those installed here can be used.",
            examples=["deu+eng"],
        ),
    ] = "eng"
    layout: Annotated[
        Literal["auto", "column", "block", "line", "word", "sparse"],
        Meta(
            description="What to expect on a page. auto: columns and paragraphs are found. column:"
            " one column of text of several sizes. block: one block of even text. line, word: a"
            " single one. sparse: text here and there, in no order.",
            examples=["block"],
        ),
    ] = "auto"
    dpi: Annotated[
        int,
        Meta(
            ge=100,
            le=600,
            description="Dots an inch at which pages of a PDF are looked at; 300 suits print of 8"
            " points and more. Images are looked at as they are.",
            examples=[400],
        ),
    ] = 300
    pages_with_text: Annotated[
        Literal["keep", "recognise"],
        Meta(
            description="Pages of a PDF that hold text already. keep: a searchable PDF leaves them"
            " alone and plain text takes what they hold. recognise: they are treated as pictures.",
            examples=["recognise"],
        ),
    ] = "keep"


def _declare(operation: str, title: str, targets: tuple[str, ...], **more: Any) -> Converter:
    return Converter(
        name=f"ocr.{operation}",
        family="ocr",
        title=title,
        sources=("pdf", *IMAGES),
        targets=targets,
        options=RecogniseOptions,
        run="engine.converters.ocr.recognise:recognise",
        inputs_max=_FILES_MAX,
        credits=3,
        **more,
    )


CONVERTERS: tuple[Converter, ...] = (
    # What an image is sent for that is to become text; a document that holds text has pdf.text.
    _declare(
        "recognise", "Recognise text in scans and pictures", ("txt", "json", "hocr"), default=True
    ),
    _declare("searchable", "Put the text under scanned pages", ("pdf",)),
)

FAMILY = Family(
    name="ocr",
    needs=("PIL", "fontTools", "img2pdf", "pikepdf", "pypdfium2", "tesserocr"),
    needs_files=(f"{TESSDATA}/eng.traineddata",),
    preload=("engine.task", "engine.converters.ocr.warm"),
    warm="engine.converters.ocr.warm:warm",
    touch="engine.converters.ocr.warm:touch",
    # A hundred pages of 3 s each; 120 MiB for recognising a page of 35 megapixels, beside the page
    # itself, drawn, twice, and the document in qpdf and pdfium.
    limits=Limits(address_space_bytes=1536 * MIB, cpu_s=300, wall_s=330.0),
    bounds=Bounds(pixels_max=60_000_000),
)
