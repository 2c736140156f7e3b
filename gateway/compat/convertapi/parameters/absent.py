"""Converters of ConvertAPI's that nothing here is a counterpart of, and why."""

import msgspec


class Absence(msgspec.Struct, frozen=True):
    """Pairs that are not served, for one reason."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    why: str


ABSENT = (
    Absence(
        ("ai",),
        ("jpg", "png", "pnm", "svg", "tiff", "webp"),
        "Illustrator files are PostScript, a program, and no interpreter of it is here",
    ),
    Absence(
        ("eps", "ps", "prn"),
        ("jpg", "png", "tiff", "pdf"),
        "PostScript is a program, and no interpreter of it is here",
    ),
    Absence(
        ("bmp", "gif", "heic", "ico", "jpg", "png", "psd", "svg", "tiff", "webp"),
        ("svg",),
        "pictures are not traced: a vector drawing that only holds the pixels would be no answer",
    ),
    Absence(("pdf",), ("svg",), "pages are drawn as pixels only"),
    Absence(
        ("djvu",),
        ("jpg", "pdf", "png", "tiff", "webp"),
        "no reader of the format is here whose licence suits",
    ),
    Absence(("mobi",), ("jpg", "pdf", "png", "tiff"), "Kindle books are recognised and not read"),
    Absence(
        ("dwg", "dwf"),
        ("jpg", "pdf", "png", "svg", "tiff", "webp"),
        "no reader of the format is here; DXF is read",
    ),
    Absence(("numbers",), ("csv", "xlsx"), "the format is Apple's own; export it first"),
    Absence(("pages",), ("docx", "txt"), "the format is Apple's own; export it first"),
    Absence(("key",), ("pptx",), "the format is Apple's own; export it first"),
    Absence(("wpd",), ("pdf",), "WordPerfect is not read in the sandbox"),
    Absence(
        ("odc", "odf"),
        ("jpg", "pdf", "png"),
        "charts and formulas are documents inside others, and are not read alone",
    ),
    Absence(("docx", "odt"), ("xml",), "Word's flat XML is not written"),
    Absence(("xml",), ("docx",), "Word's flat XML is not read"),
    Absence(("html",), ("xls", "xlsx"), "tables of web pages are not read into workbooks"),
    Absence(
        ("docx", "pptx", "xlsx"),
        ("protect",),
        "office documents are opened with their password, and not locked",
    ),
    Absence(("email",), ("extract", "metadata"), "mail is printed; its attachments stay in it"),
    Absence(("images",), ("join",), "pictures are not put together into one"),
    Absence(("pdf",), ("extract",), "what a document means is not guessed"),
    Absence(
        ("pdf",), ("fdf-extract", "fdf-import"), "forms are read and filled as JSON, at /v1/convert"
    ),
    Absence(("pdf",), ("pcl", "print"), "nothing is prepared for printing machines"),
    Absence(("pdf",), ("pdfua",), "a page does not say what a screen reader would have to know"),
    Absence(("pdfa",), ("validate",), "no validator is here whose word would count"),
    Absence(("po",), ("translate",), "nothing is translated"),
    Absence(("template",), ("docx", "pdf"), "documents are not made from templates"),
)
REASONS = {
    (source, target): one.why for one in ABSENT for source in one.sources for target in one.targets
}
