"""What is asked of everybody: one row a question, from photographs to the fixed cost alone.

Quality is part of the question: 4:2:0 chroma, Lanczos, libwebp's method 4 and quality 80 are what
sharp and we do when nothing is said, and what the others are told where they do otherwise.
"""

import msgspec

from bench.peers import inputs, judging
from bench.peers.judging import Judge

QUALITY = 80
DPI = 150


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One question. `options` are ours; `width` and `quality` are everybody's, of pictures."""

    name: str
    title: str
    files: tuple[str, ...]
    source: str
    target: str
    judge: Judge
    base: str = "sharp"
    options: dict[str, str] = {}
    width: int | None = None
    # Results of one request where they are counted, not requests.
    each: int = 1

    @property
    def is_picture(self) -> bool:
        """Whether it is one picture that becomes one, which all image servers can be asked."""
        return self.judge in {judging.picture, judging.animation}

    @property
    def is_batch(self) -> bool:
        """Whether peers without such a thing are asked for each file."""
        return self.each > 1


def _picture(
    name: str, title: str, file: str, pair: tuple[str, str], width: int | None = None
) -> Row:
    lossy = {"quality": str(QUALITY)}
    scaled = {} if width is None else {"width": str(width)}
    return Row(
        name=name,
        title=title,
        files=(file,),
        source=pair[0],
        target=pair[1],
        judge=judging.picture,
        options=lossy | scaled,
        width=width,
    )


ROWS: tuple[Row, ...] = (
    _picture("jpeg", "12 MP JPEG to 800 px JPEG", inputs.PHOTO, ("jpeg", "jpeg"), 800),
    _picture("webp", "12 MP JPEG to 800 px WebP", inputs.PHOTO, ("jpeg", "webp"), 800),
    _picture("thumbnail", "12 MP JPEG to 200 px JPEG", inputs.PHOTO, ("jpeg", "jpeg"), 200),
    _picture("png", "1 MP PNG to WebP", inputs.WEB, ("png", "webp")),
    msgspec.structs.replace(
        _picture("heic", "12 MP HEIC to JPEG", inputs.HEIC, ("heic", "jpeg")), base="pillow"
    ),
    msgspec.structs.replace(
        _picture("gif", "GIF of 24 frames to WebP", inputs.ANIMATION, ("gif", "webp")),
        judge=judging.animation,
    ),
    Row(
        name="page",
        title="PDF page to PNG, 150 dpi",
        files=(inputs.PAGE,),
        source="pdf",
        target="png",
        judge=judging.drawn_page,
        base="poppler",
        options={"dpi": str(DPI)},
    ),
    Row(
        name="merge",
        title="10 PDFs of 10 pages merged",
        files=inputs.PARTS,
        source="pdf",
        target="pdf",
        judge=judging.merged,
        base="qpdf",
        options={"operation": "merge"},
    ),
    Row(
        name="compress",
        title="10 pages of PDF compressed, no loss",
        files=(inputs.REPORT,),
        source="pdf",
        target="pdf",
        judge=judging.same_pages,
        base="qpdf",
        options={"operation": "compress"},
    ),
    Row(
        name="bind",
        title="10 JPEGs to a PDF",
        files=inputs.PICTURES,
        source="jpeg",
        target="pdf",
        judge=judging.bound,
        base="pillow",
    ),
    Row(
        name="markdown",
        title="10 pages of Markdown to PDF",
        files=(inputs.NOTES,),
        source="md",
        target="pdf",
        judge=judging.words,
        base="pandoc",
    ),
    Row(
        name="docx",
        title="10 pages of DOCX to PDF",
        files=(inputs.LETTER,),
        source="docx",
        target="pdf",
        judge=judging.words,
        base="soffice",
        options={"operation": "pdf"},
    ),
    Row(
        name="xlsx",
        title="50,000 cells of XLSX to CSV",
        files=(inputs.TABLE,),
        source="xlsx",
        target="csv",
        judge=judging.cells,
        base="soffice",
    ),
    Row(
        name="mp3",
        title="30 s of WAV to MP3",
        files=(inputs.SOUND,),
        source="wav",
        target="mp3",
        judge=judging.sound,
        base="ffmpeg",
        options={"bitrate": "192"},
    ),
    _picture("small", "JPEG of 240 x 160 (10 KB) to WebP", inputs.SMALL, ("jpeg", "webp")),
    _picture("icon", "64 px PNG to WebP", inputs.ICON, ("png", "webp")),
    Row(
        name="batch",
        title="100 PNGs of 100 px to WebP",
        files=inputs.TILES,
        source="png",
        target="webp",
        judge=judging.many,
        options={"quality": str(QUALITY)},
        each=inputs.BATCH,
    ),
)
