"""Pages taken apart, laid together as a Word document in which every line stays in its place."""

from collections.abc import Iterator
from html import escape

from engine.converters.pdf.content.placed import Letters, Line, Placed
from engine.converters.pdf.content.word import package, part_of_picture, zipped

_TWIPS, _EMU = 20, 12_700  # a point
# From the baseline of most typefaces to the top of their line, and the line's height, in sizes.
_ASCENT, _HEIGHT = 0.905, 1.2
# Where a family is not installed, a wider one stands in: its line must not break.
_ROOM = 1.12
_ANCHOR = (
    '<wp:anchor behindDoc="1" distT="0" distB="0" distL="0" distR="0" simplePos="0"'
    ' relativeHeight="1" locked="0" layoutInCell="0" allowOverlap="1"><wp:simplePos x="0" y="0"/>'
    '<wp:positionH relativeFrom="page"><wp:posOffset>0</wp:posOffset></wp:positionH>'
    '<wp:positionV relativeFrom="page"><wp:posOffset>0</wp:posOffset></wp:positionV>'
)


def as_docx(pages: list[Placed]) -> bytes:
    """A section a page, each line in a frame, and behind them a picture of the rest."""
    media: dict[str, bytes] = {}
    body: list[str] = []
    for number, page in enumerate(pages):
        body += [_frame(line) for line in page.lines]
        drawing = ""
        if page.picture:
            name = f"media/image{len(media) + 1}.{page.picture_kind}"
            media[f"word/{name}"] = page.picture
            drawing = f"<w:r>{_behind(page, len(media))}</w:r>"
        last = number == len(pages) - 1
        section = "" if last else f"<w:pPr>{_section(page)}</w:pPr>"
        body.append(f"<w:p>{section}{drawing}</w:p>")
    body.append(_section(pages[-1]))
    references = [("image", name.removeprefix("word/"), False) for name in media]
    return zipped(package("".join(body), references, media))


def _section(page: Placed) -> str:
    across, down = (round(side * _TWIPS) for side in page.size)
    lies = ' w:orient="landscape"' if across > down else ""
    return (
        f'<w:sectPr><w:type w:val="nextPage"/><w:pgSz w:w="{across}" w:h="{down}"{lies}/>'
        '<w:pgMar w:top="0" w:right="0" w:bottom="0" w:left="0" w:header="0" w:footer="0"'
        ' w:gutter="0"/></w:sectPr>'
    )


def _frame(line: Line) -> str:
    left = round(line.left * _TWIPS)
    top = round((line.baseline - line.size * _ASCENT) * _TWIPS)
    wide, high = round(line.width * _ROOM * _TWIPS) + 40, round(line.size * _HEIGHT * _TWIPS)
    return (
        f'<w:p><w:pPr><w:framePr w:w="{wide}" w:h="{high}" w:hRule="exact" w:wrap="around"'
        f' w:vAnchor="page" w:hAnchor="page" w:x="{max(left, 1)}" w:y="{max(top, 1)}"/>'
        f'<w:spacing w:before="0" w:after="0" w:line="{high}" w:lineRule="exact"/></w:pPr>'
        f"{''.join(_runs(line))}</w:p>"
    )


def _runs(line: Line) -> Iterator[str]:
    for piece in line.pieces:
        yield f'<w:r><w:rPr>{_look(piece)}</w:rPr><w:t xml:space="preserve">'
        yield f"{escape(piece.text, quote=False)}</w:t></w:r>"


def _look(piece: Letters) -> str:
    face, size = escape(piece.family), round(piece.size * 2)
    strong = ("<w:b/>" if piece.bold else "") + ("<w:i/>" if piece.italic else "")
    return (
        f'<w:rFonts w:ascii="{face}" w:hAnsi="{face}" w:cs="{face}"/>{strong}'
        f'<w:color w:val="{piece.colour}"/><w:sz w:val="{size}"/><w:szCs w:val="{size}"/>'
    )


def _behind(page: Placed, number: int) -> str:
    across, down = (round(side * _EMU) for side in page.size)
    return (
        f'<w:drawing>{_ANCHOR}<wp:extent cx="{across}" cy="{down}"/><wp:wrapNone/>'
        f"{part_of_picture(number, f'rId{number + 2}', across, down)}</wp:anchor></w:drawing>"
    )
