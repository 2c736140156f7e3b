"""Word and PowerPoint files in which everything stands where it stood on the page (by pdf_oxide).

Mended here: a font is named by its family, as word processors know it, and not by the name that it
has inside a PDF; the cut-down fonts themselves stay out, since they lack the letters that an editor
would type and their licences seldom allow it; and a presentation gets the theme that ECMA-376 (part
1, 13.3.10) asks for.
"""

import io
import re
import zipfile

from engine.converters.pdf.content import oxide
from engine.converters.pdf.content.word import zipped

_FAMILIES = {
    "arialmt": "Arial",
    "courier": "Courier New",
    "helvetica": "Arial",
    "times": "Times New Roman",
    "timesnewroman": "Times New Roman",
    "timesnewromanps": "Times New Roman",
    "timesnewromanpsmt": "Times New Roman",
    "couriernewps": "Courier New",
    "couriernewpsmt": "Courier New",
}
_TYPEFACE = re.compile(rb'((?:w:(?:ascii|hAnsi|cs|eastAsia)|typeface)=")([^"]+)(")')
_WORDS = re.compile(r"(?<=[a-z])(?=[A-Z])")
# What refers to a font's file: an override or a default of its type, a relation.
_FONT_REFERENCE = re.compile(
    rb'\s*<(?:Override|Default|Relationship)\b[^>]*(?:fonts/|fontTable|"ttf")[^>]*/>'
)
_THEME = "ppt/theme/theme1.xml"
_MASTER = "ppt/slideMasters/slideMaster1.xml"
_MASTER_RELATIONS = "ppt/slideMasters/_rels/slideMaster1.xml.rels"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_XML = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def as_docx(content: bytes) -> bytes:
    """Each line of text in a frame of its own, at its place."""
    with oxide.opened(content) as document:
        made = document.to_docx_bytes()
    return zipped(_without_fonts(_parts(made)))


def as_pptx(content: bytes) -> bytes:
    """A slide for each page, in its size."""
    with oxide.opened(content) as document:
        made = document.to_pptx_bytes()
    parts = _without_fonts(_parts(made))
    _add_theme(parts)
    return zipped(parts)


def _parts(made: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _without_fonts(parts: dict[str, bytes]) -> dict[str, bytes]:
    kept = {}
    for name, part in parts.items():
        if "/fonts/" in name or "fontTable" in name:
            continue
        if name.endswith((".rels", "[Content_Types].xml")):
            kept[name] = _FONT_REFERENCE.sub(b"", part)
        elif name.endswith(".xml"):
            kept[name] = _TYPEFACE.sub(_named, part)
        else:
            kept[name] = part
    return {"[Content_Types].xml": kept.pop("[Content_Types].xml"), **kept}


def _named(found: re.Match[bytes]) -> bytes:
    return found[1] + family(found[2].decode()).encode() + found[3]


def family(name: str) -> str:
    """A family as editors list it, from a PostScript name: "OpenSans-Bold" is "Open Sans"."""
    base = re.split("[-,]", name.rpartition("+")[2])[0]
    known = _FAMILIES.get(base.lower())
    return known or _WORDS.sub(" ", base.removesuffix("MT")).replace("Deja Vu", "DejaVu")


def _add_theme(parts: dict[str, bytes]) -> None:
    """Colours and typefaces that nothing here uses, and that PowerPoint will not do without."""
    if _THEME in parts:
        return
    parts[_THEME] = _XML + _theme().encode()
    types = parts["[Content_Types].xml"]
    row = (
        f'<Override PartName="/{_THEME}" ContentType="application/vnd.openxmlformats-officedocument'
        '.theme+xml"/></Types>'
    )
    parts["[Content_Types].xml"] = types.replace(b"</Types>", row.encode())
    theme = f'<Relationship Id="rIdTheme" Type="{_OFFICE}/theme" Target="../theme/theme1.xml"/>'
    empty = f'<Relationships xmlns="{_RELATIONS}"></Relationships>'.encode()
    relations = parts.get(_MASTER_RELATIONS, _XML + empty)
    if b'Id="rId1"' not in relations:  # the layout that the master names
        theme += (
            f'<Relationship Id="rId1" Type="{_OFFICE}/slideLayout"'
            ' Target="../slideLayouts/slideLayout1.xml"/>'
        )
    parts[_MASTER_RELATIONS] = relations.replace(
        b"</Relationships>", theme.encode() + b"</Relationships>"
    )
    _complete_master(parts)


def _complete_master(parts: dict[str, bytes]) -> None:
    """The colour map that a master must have, and the way back from its layout."""
    names = ("bg1", "tx1", "bg2", "tx2", *(f"accent{n}" for n in range(1, 7)), "hlink", "folHlink")
    colours = ("lt1", "dk1", "lt2", "dk2", *names[4:])
    pairs = " ".join(f'{name}="{colour}"' for name, colour in zip(names, colours, strict=True))
    master = parts[_MASTER]
    if b"<p:clrMap" not in master:
        parts[_MASTER] = master.replace(b"</p:cSld>", f"</p:cSld><p:clrMap {pairs}/>".encode(), 1)
    layout = "ppt/slideLayouts/_rels/slideLayout1.xml.rels"
    if layout not in parts:
        back = (
            f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1"'
            f' Type="{_OFFICE}/slideMaster" Target="../slideMasters/slideMaster1.xml"/>'
            "</Relationships>"
        )
        parts[layout] = _XML + back.encode()


def _theme() -> str:
    colours = {
        "dk1": "000000", "lt1": "FFFFFF", "dk2": "44546A", "lt2": "E7E6E6", "accent1": "4472C4",
        "accent2": "ED7D31", "accent3": "A5A5A5", "accent4": "FFC000", "accent5": "5B9BD5",
        "accent6": "70AD47", "hlink": "0563C1", "folHlink": "954F72",
    }  # fmt: skip
    scheme = "".join(
        f'<a:{name}><a:srgbClr val="{value}"/></a:{name}>' for name, value in colours.items()
    )
    face = '<a:latin typeface="Calibri"/><a:ea typeface=""/><a:cs typeface=""/>'
    fill = '<a:solidFill><a:schemeClr val="phClr"/></a:solidFill>'
    line = f'<a:ln w="6350">{fill}</a:ln>'
    effect = "<a:effectStyle><a:effectLst/></a:effectStyle>"
    return (
        f'<a:theme xmlns:a="{_DRAWING}" name="Plain"><a:themeElements>'
        f'<a:clrScheme name="Plain">{scheme}</a:clrScheme><a:fontScheme name="Plain">'
        f"<a:majorFont>{face}</a:majorFont><a:minorFont>{face}</a:minorFont></a:fontScheme>"
        f'<a:fmtScheme name="Plain"><a:fillStyleLst>{fill * 3}</a:fillStyleLst>'
        f"<a:lnStyleLst>{line * 3}</a:lnStyleLst><a:effectStyleLst>{effect * 3}</a:effectStyleLst>"
        f"<a:bgFillStyleLst>{fill * 3}</a:bgFillStyleLst></a:fmtScheme></a:themeElements></a:theme>"
    )
