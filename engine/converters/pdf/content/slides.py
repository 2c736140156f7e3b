"""Pages taken apart, laid together as a PowerPoint presentation (ECMA-376, PresentationML)."""

from html import escape

from engine.converters.pdf.content.placed import Letters, Line, Placed
from engine.converters.pdf.content.word import zipped

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_A = "http://schemas.openxmlformats.org/drawingml/2006/main"
_P = "http://schemas.openxmlformats.org/presentationml/2006/main"
_R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_SPACES = f'xmlns:a="{_A}" xmlns:p="{_P}" xmlns:r="{_R}"'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_TYPE = "application/vnd.openxmlformats-officedocument.presentationml"
_EMU = 12_700  # a point
# What PowerPoint accepts as the side of a slide: an inch to 56.
_SIDE_MIN, _SIDE_MAX = 914_400, 51_206_400
# From the baseline of most typefaces to the top of their line, and the line's height, in sizes.
_ASCENT, _HEIGHT = 0.905, 1.2
_TREE = '<p:nvGrpSpPr><p:cNvPr id="1" name=""/><p:cNvGrpSpPr/><p:nvPr/></p:nvGrpSpPr><p:grpSpPr/>'
_MAP = (
    '<p:clrMap bg1="lt1" tx1="dk1" bg2="lt2" tx2="dk2" accent1="accent1" accent2="accent2"'
    ' accent3="accent3" accent4="accent4" accent5="accent5" accent6="accent6" hlink="hlink"'
    ' folHlink="folHlink"/>'
)
_COLOURS = {
    "dk1": "000000", "lt1": "FFFFFF", "dk2": "44546A", "lt2": "E7E6E6", "accent1": "4472C4",
    "accent2": "ED7D31", "accent3": "A5A5A5", "accent4": "FFC000", "accent5": "5B9BD5",
    "accent6": "70AD47", "hlink": "0563C1", "folHlink": "954F72",
}  # fmt: skip


def as_pptx(pages: list[Placed]) -> bytes:
    """A slide a page. All slides are as large as the first page; others stand at its top left."""
    across, down = (
        min(max(round(side * _EMU), _SIDE_MIN), _SIDE_MAX) for side in pages[0].size
    )  # fmt: skip
    size = f'cx="{across}" cy="{down}"'
    numbers = range(1, len(pages) + 1)
    ids = "".join(f'<p:sldId id="{255 + n}" r:id="rId{n + 2}"/>' for n in numbers)
    parts: dict[str, str | bytes] = {
        "[Content_Types].xml": _types(len(pages)),
        "_rels/.rels": _relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": (
            f'<p:presentation {_SPACES}><p:sldMasterIdLst><p:sldMasterId id="2147483648"'
            f' r:id="rId1"/></p:sldMasterIdLst><p:sldIdLst>{ids}</p:sldIdLst><p:sldSz {size}/>'
            f'<p:notesSz cx="{down}" cy="{across}"/></p:presentation>'
        ),
        "ppt/_rels/presentation.xml.rels": _relations(
            ("slideMaster", "slideMasters/slideMaster1.xml"),
            ("theme", "theme/theme1.xml"),
            *(("slide", f"slides/slide{n}.xml") for n in numbers),
        ),
        "ppt/slideMasters/slideMaster1.xml": (
            f"<p:sldMaster {_SPACES}><p:cSld><p:spTree>{_TREE}</p:spTree></p:cSld>{_MAP}"
            '<p:sldLayoutIdLst><p:sldLayoutId id="2147483649" r:id="rId1"/></p:sldLayoutIdLst>'
            "</p:sldMaster>"
        ),
        "ppt/slideMasters/_rels/slideMaster1.xml.rels": _relations(
            ("slideLayout", "../slideLayouts/slideLayout1.xml"), ("theme", "../theme/theme1.xml")
        ),
        "ppt/slideLayouts/slideLayout1.xml": (
            f'<p:sldLayout {_SPACES} type="blank" preserve="1"><p:cSld name="Blank"><p:spTree>'
            f"{_TREE}</p:spTree></p:cSld><p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr>"
            "</p:sldLayout>"
        ),
        "ppt/slideLayouts/_rels/slideLayout1.xml.rels": _relations(
            ("slideMaster", "../slideMasters/slideMaster1.xml")
        ),
        "ppt/theme/theme1.xml": _theme(),
    }
    for number, page in enumerate(pages, 1):
        refers = [("slideLayout", "../slideLayouts/slideLayout1.xml")]
        if page.picture:
            name = f"image{number}.{page.picture_kind}"
            parts[f"ppt/media/{name}"] = page.picture
            refers.append(("image", f"../media/{name}"))
        parts[f"ppt/slides/slide{number}.xml"] = _slide(page)
        parts[f"ppt/slides/_rels/slide{number}.xml.rels"] = _relations(*refers)
    return zipped(
        {
            name: (_HEAD + part).encode() if isinstance(part, str) else part
            for name, part in parts.items()
        }
    )


def _types(count: int) -> str:
    overrides = {
        "/ppt/presentation.xml": f"{_TYPE}.presentation.main+xml",
        "/ppt/slideMasters/slideMaster1.xml": f"{_TYPE}.slideMaster+xml",
        "/ppt/slideLayouts/slideLayout1.xml": f"{_TYPE}.slideLayout+xml",
        "/ppt/theme/theme1.xml": "application/vnd.openxmlformats-officedocument.theme+xml",
        **{f"/ppt/slides/slide{n}.xml": f"{_TYPE}.slide+xml" for n in range(1, count + 1)},
    }
    rows = "".join(
        f'<Override PartName="{name}" ContentType="{kind}"/>' for name, kind in overrides.items()
    )
    return (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="png" ContentType="image/png"/>'
        f'<Default Extension="jpeg" ContentType="image/jpeg"/>{rows}</Types>'
    )


def _relations(*refers: tuple[str, str]) -> str:
    rows = "".join(
        f'<Relationship Id="rId{number}" Type="{_R}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(refers, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{rows}</Relationships>'


def _slide(page: Placed) -> str:
    shapes = [_picture(page)] if page.picture else []
    shapes += [_box(number, line) for number, line in enumerate(page.lines, 3)]
    return (
        f"<p:sld {_SPACES}><p:cSld><p:spTree>{_TREE}{''.join(shapes)}</p:spTree></p:cSld>"
        "<p:clrMapOvr><a:masterClrMapping/></p:clrMapOvr></p:sld>"
    )


def _picture(page: Placed) -> str:
    across, down = (round(side * _EMU) for side in page.size)
    return (
        '<p:pic><p:nvPicPr><p:cNvPr id="2" name="Page"/><p:cNvPicPr/><p:nvPr/></p:nvPicPr>'
        '<p:blipFill><a:blip r:embed="rId2"/><a:stretch><a:fillRect/></a:stretch></p:blipFill>'
        f'<p:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="{across}" cy="{down}"/></a:xfrm>'
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom></p:spPr></p:pic>'
    )


def _box(number: int, line: Line) -> str:
    """A text box that neither wraps nor grows; one on its side is turned about its middle."""
    height = line.size * _HEIGHT
    left, top, width = line.left, line.baseline - line.size * _ASCENT, max(line.width, 1.0)
    turned = f' rot="{round(line.angle * 60_000)}"' if line.angle else ""
    place = f'<a:off x="{round(left * _EMU)}" y="{round(top * _EMU)}"/>'
    extent = f'<a:ext cx="{round(width * _EMU)}" cy="{round(height * _EMU)}"/>'
    runs = "".join(_run(piece) for piece in line.pieces)
    return (
        f'<p:sp><p:nvSpPr><p:cNvPr id="{number}" name="Text {number - 2}"/><p:cNvSpPr txBox="1"/>'
        f"<p:nvPr/></p:nvSpPr><p:spPr><a:xfrm{turned}>{place}{extent}</a:xfrm>"
        '<a:prstGeom prst="rect"><a:avLst/></a:prstGeom><a:noFill/></p:spPr><p:txBody>'
        '<a:bodyPr wrap="none" lIns="0" tIns="0" rIns="0" bIns="0" anchor="t"><a:noAutofit/>'
        f"</a:bodyPr><a:lstStyle/><a:p>{runs}</a:p></p:txBody></p:sp>"
    )


def _run(piece: Letters) -> str:
    look = f'sz="{round(piece.size * 100)}"' + (' b="1"' if piece.bold else "")
    look += ' i="1"' if piece.italic else ""
    face = escape(piece.family)
    return (
        f'<a:r><a:rPr {look}><a:solidFill><a:srgbClr val="{piece.colour}"/></a:solidFill>'
        f'<a:latin typeface="{face}"/><a:cs typeface="{face}"/></a:rPr>'
        f"<a:t>{escape(piece.text, quote=False)}</a:t></a:r>"
    )


def _theme() -> str:
    """Colours and typefaces that nothing here uses, and that a presentation must have."""
    scheme = "".join(
        f'<a:{name}><a:srgbClr val="{value}"/></a:{name}>' for name, value in _COLOURS.items()
    )
    face = '<a:latin typeface="Calibri"/><a:ea typeface=""/><a:cs typeface=""/>'
    fill = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>'
    line = f'<a:ln w="6350">{fill}</a:ln>'
    effect = "<a:effectStyle><a:effectLst/></a:effectStyle>"
    return (
        f'<a:theme xmlns:a="{_A}" name="Plain"><a:themeElements>'
        f'<a:clrScheme name="Plain">{scheme}</a:clrScheme><a:fontScheme name="Plain">'
        f"<a:majorFont>{face}</a:majorFont><a:minorFont>{face}</a:minorFont></a:fontScheme>"
        f'<a:fmtScheme name="Plain"><a:fillStyleLst>{fill * 3}</a:fillStyleLst>'
        f"<a:lnStyleLst>{line * 3}</a:lnStyleLst><a:effectStyleLst>{effect * 3}</a:effectStyleLst>"
        f"<a:bgFillStyleLst>{fill * 3}</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"
    )
