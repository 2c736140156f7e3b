"""Blocks written as a Word document that flows (ECMA-376, WordprocessingML)."""

import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from PIL import Image

from engine.converters.pdf.content.blocks import Block, Pages, Runs

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_PICTURE = "http://schemas.openxmlformats.org/drawingml/2006/picture"
_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml"
# Twentieths of a point; English metric units.
_TWIPS, _EMU, _PIXEL_EMU = 20, 12_700, 9_525
_MARGIN_PT = 57  # 2 cm
_OUTSIDE = ' TargetMode="External"'
_EPOCH = (1980, 1, 1, 0, 0, 0)

_TYPES = (
    f'<Types xmlns="{_PACKAGE}/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships'
    '+xml"/><Default Extension="xml" ContentType="application/xml"/>'
    '<Default Extension="png" ContentType="image/png"/>'
    '<Default Extension="jpeg" ContentType="image/jpeg"/>'
    f'<Override PartName="/word/document.xml" ContentType="{_TYPE}.document.main+xml"/>'
    f'<Override PartName="/word/styles.xml" ContentType="{_TYPE}.styles+xml"/>'
    f'<Override PartName="/word/numbering.xml" ContentType="{_TYPE}.numbering+xml"/></Types>'
)
_RELATIONS = (
    f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1"'
    f' Type="{_R}/officeDocument" Target="word/document.xml"/></Relationships>'
)
_HEADING_SIZES = (32, 28, 26, 24, 22, 22)  # half points


def as_docx(pages: Pages, size: tuple[float, float], language: str, *, page_breaks: bool) -> bytes:
    """One flowing document. `size`: of its paper, in points."""
    writer = _Writer(size)
    body = "".join(writer.body(pages, page_breaks=page_breaks)) + writer.section()
    return zipped(
        package(body, writer.references, writer.media, lists=writer.lists, language=language)
    )


Reference = tuple[str, str, bool]  # its kind, its target, whether that is outside


def package(
    body: str,
    references: list[Reference],
    media: Mapping[str, bytes],
    *,
    lists: Sequence[bool] = (),
    language: str = "",
) -> dict[str, bytes]:
    """The parts of a document. The first reference is rId3; `lists`: whether each is numbered."""
    texts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATIONS,
        "word/document.xml": (
            f'<w:document xmlns:w="{_W}" xmlns:r="{_R}"'
            ' xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"'
            ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'
            f' xmlns:pic="{_PICTURE}"><w:body>{body}</w:body></w:document>'
        ),
        "word/styles.xml": _styles(language),
        "word/numbering.xml": _numbering(lists),
        "word/_rels/document.xml.rels": _referring(references),
    }
    return {**{name: (_HEAD + text).encode() for name, text in texts.items()}, **media}


def part_of_picture(number: int, reference: str, across: int, down: int) -> str:
    """What a drawing that shows a picture holds. Sizes in English metric units."""
    return (
        f'<wp:docPr id="{number}" name="Picture {number}"/><a:graphic><a:graphicData'
        f' uri="{_PICTURE}"><pic:pic><pic:nvPicPr><pic:cNvPr id="{number}"'
        f' name="Picture {number}"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill>'
        f'<a:blip r:embed="{reference}"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>'
        f'<pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="{across}" cy="{down}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData>'
        "</a:graphic>"
    )


def _referring(references: list[Reference]) -> str:
    """What the document refers to; the first two are its styles and its lists."""
    fixed = [("styles", "styles.xml", False), ("numbering", "numbering.xml", False)]
    rows = "".join(
        f'<Relationship Id="rId{number}" Type="{_R}/{kind}" Target="{escape(target)}"'
        f"{_OUTSIDE if outside else ''}/>"
        for number, (kind, target, outside) in enumerate([*fixed, *references], 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{rows}</Relationships>'


def zipped(parts: Mapping[str, bytes]) -> bytes:
    """A package, its parts in order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


class _Writer:
    """Writes the body and remembers what it refers to: links, pictures, lists."""

    def __init__(self, size: tuple[float, float]) -> None:
        self._size = size
        self.references: list[Reference] = []
        self.media: dict[str, bytes] = {}
        # For each list, whether it is numbered; a numbered one begins at 1 again.
        self.lists: list[bool] = []

    def body(self, pages: Pages, *, page_breaks: bool) -> Iterator[str]:
        """All blocks in order."""
        last: Block | None = None
        for number, page in enumerate(pages):
            if number and page_breaks:
                yield '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
            for block in page:
                goes_on = last is not None and last.kind == "item" and last.ordered == block.ordered
                if block.kind == "item" and not goes_on:
                    self.lists.append(block.ordered)
                yield self._block(block)
                last = block

    def _block(self, block: Block) -> str:
        if block.kind == "table":
            return self._table(block)
        if block.kind == "picture":
            return self._picture(block)
        style = ""
        if block.kind == "heading":
            style = f'<w:pStyle w:val="Heading{block.level}"/>'
        elif block.kind == "item":
            style = (
                '<w:pStyle w:val="ListParagraph"/><w:numPr><w:ilvl w:val="0"/>'
                f'<w:numId w:val="{len(self.lists)}"/></w:numPr>'
            )
        # A heading's style is bold already.
        runs = self._runs(block.runs, bold=block.kind != "heading")
        return f"<w:p><w:pPr>{style}</w:pPr>{runs}</w:p>"

    def _runs(self, runs: Runs, *, bold: bool = True) -> str:
        written = []
        for run in runs:
            look = ("<w:b/>" if run.bold and bold else "") + ("<w:i/>" if run.italic else "")
            if run.link:
                look = f'<w:rStyle w:val="Hyperlink"/>{look}'
            text = (
                f"<w:r><w:rPr>{look}</w:rPr>"
                f'<w:t xml:space="preserve">{escape(run.text, quote=False)}</w:t></w:r>'
            )
            if run.link:
                at = self._refer("hyperlink", run.link, outside=True)
                text = f'<w:hyperlink r:id="{at}">{text}</w:hyperlink>'
            written.append(text)
        return "".join(written)

    def _table(self, block: Block) -> str:
        width = max(map(len, block.rows))
        column = int((self._size[0] - 2 * _MARGIN_PT) * _TWIPS / width)
        grid = f'<w:gridCol w:w="{column}"/>' * width
        rows = "".join(
            "<w:tr>"
            + "".join(
                f'<w:tc><w:tcPr><w:tcW w:w="{column}" w:type="dxa"/></w:tcPr>'
                f"<w:p>{self._runs(cell)}</w:p></w:tc>"
                for cell in (*row, *[()] * (width - len(row)))
            )
            + "</w:tr>"
            for row in block.rows
        )
        # Word wants a paragraph between two tables, and behind the last one.
        return (
            '<w:tbl><w:tblPr><w:tblStyle w:val="TableGrid"/><w:tblW w:w="0" w:type="auto"/>'
            f"</w:tblPr><w:tblGrid>{grid}</w:tblGrid>{rows}</w:tbl><w:p/>"
        )

    def _picture(self, block: Block) -> str:
        number = len(self.media) + 1
        name = f"media/image{number}.{block.picture_kind}"
        self.media[f"word/{name}"] = block.picture
        at = self._refer("image", name, outside=False)
        with Image.open(io.BytesIO(block.picture), formats=("PNG", "JPEG")) as picture:
            across, down = (side * _PIXEL_EMU for side in picture.size)
        room = (
            int((self._size[0] - 2 * _MARGIN_PT) * _EMU),
            int((self._size[1] - 2 * _MARGIN_PT) * _EMU),
        )
        scale = min(1.0, room[0] / across, room[1] / down)
        across, down = int(across * scale), int(down * scale)
        return (
            f'<w:p><w:r><w:drawing><wp:inline><wp:extent cx="{across}" cy="{down}"/>'
            f"{part_of_picture(number, at, across, down)}</wp:inline></w:drawing></w:r></w:p>"
        )

    def _refer(self, kind: str, target: str, *, outside: bool) -> str:
        reference = kind, target, outside
        if reference not in self.references:
            self.references.append(reference)
        return f"rId{self.references.index(reference) + 3}"

    def section(self) -> str:
        """Paper and margins."""
        across, down = (round(side * _TWIPS) for side in self._size)
        lies = ' w:orient="landscape"' if across > down else ""
        margin = _MARGIN_PT * _TWIPS
        sides = " ".join(f'w:{side}="{margin}"' for side in ("top", "right", "bottom", "left"))
        return (
            f'<w:sectPr><w:pgSz w:w="{across}" w:h="{down}"{lies}/>'
            f'<w:pgMar {sides} w:header="708" w:footer="708" w:gutter="0"/></w:sectPr>'
        )


def _styles(language: str) -> str:
    spoken = f'<w:lang w:val="{escape(language)}"/>' if language else ""
    headings = "".join(
        f'<w:style w:type="paragraph" w:styleId="Heading{level}"><w:name w:val="heading {level}"/>'
        '<w:basedOn w:val="Normal"/><w:next w:val="Normal"/><w:pPr><w:keepNext/>'
        f'<w:spacing w:before="240" w:after="80"/><w:outlineLvl w:val="{level - 1}"/></w:pPr>'
        f'<w:rPr><w:b/><w:sz w:val="{size}"/></w:rPr></w:style>'
        for level, size in enumerate(_HEADING_SIZES, 1)
    )
    lines = "".join(
        f'<w:{side} w:val="single" w:sz="4" w:space="0" w:color="auto"/>'
        for side in ("top", "left", "bottom", "right", "insideH", "insideV")
    )
    return (
        f'<w:styles xmlns:w="{_W}"><w:docDefaults><w:rPrDefault><w:rPr>'
        '<w:rFonts w:ascii="Calibri" w:hAnsi="Calibri" w:eastAsia="Calibri" w:cs="Calibri"/>'
        f'<w:sz w:val="22"/>{spoken}</w:rPr></w:rPrDefault><w:pPrDefault><w:pPr>'
        '<w:spacing w:after="120" w:line="259" w:lineRule="auto"/></w:pPr></w:pPrDefault>'
        '</w:docDefaults><w:style w:type="paragraph" w:default="1" w:styleId="Normal">'
        f'<w:name w:val="Normal"/></w:style>{headings}'
        '<w:style w:type="paragraph" w:styleId="ListParagraph"><w:name w:val="List Paragraph"/>'
        '<w:basedOn w:val="Normal"/><w:pPr><w:spacing w:after="40"/></w:pPr></w:style>'
        '<w:style w:type="character" w:styleId="Hyperlink"><w:name w:val="Hyperlink"/>'
        '<w:rPr><w:color w:val="0563C1"/><w:u w:val="single"/></w:rPr></w:style>'
        '<w:style w:type="table" w:styleId="TableGrid"><w:name w:val="Table Grid"/><w:pPr>'
        f'<w:spacing w:after="0" w:line="240" w:lineRule="auto"/></w:pPr>'
        f"<w:tblPr><w:tblBorders>{lines}"
        "</w:tblBorders></w:tblPr></w:style></w:styles>"
    )


def _numbering(lists: Sequence[bool]) -> str:
    """One definition for dots and one for numbers; each list counts for itself."""
    definitions = "".join(
        f'<w:abstractNum w:abstractNumId="{number}"><w:lvl w:ilvl="0"><w:start w:val="1"/>'
        f'<w:numFmt w:val="{form}"/><w:lvlText w:val="{shown}"/><w:pPr>'
        '<w:ind w:left="720" w:hanging="360"/></w:pPr></w:lvl></w:abstractNum>'
        for number, (form, shown) in enumerate((("bullet", "\u2022"), ("decimal", "%1.")))
    )
    counted = "".join(
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="{int(ordered)}"/><w:lvlOverride'
        ' w:ilvl="0"><w:startOverride w:val="1"/></w:lvlOverride></w:num>'
        for number, ordered in enumerate(lists, 1)
    )
    return f'<w:numbering xmlns:w="{_W}">{definitions}{counted}</w:numbering>'
