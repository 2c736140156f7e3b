"""The names of WordprocessingML (ISO/IEC 29500-1, part 17) that a comparison looks at."""

from typing import Any

from lxml import etree

Element = Any

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
XML_SPACE = "{http://www.w3.org/XML/1998/namespace}space"


def w(name: str) -> str:
    """The full name of one of Word's own elements or attributes."""
    return f"{{{W}}}{name}"


P, R_RUN, T, TBL, TR, TC, SDT, SDT_CONTENT = (
    w(name) for name in ("p", "r", "t", "tbl", "tr", "tc", "sdt", "sdtContent")
)
PPR, RPR, TRPR, TCPR, SECTPR = (w(name) for name in ("pPr", "rPr", "trPr", "tcPr", "sectPr"))
INS, DEL, DEL_TEXT = w("ins"), w("del"), w("delText")
FLD_CHAR, FLD_TYPE, INSTR = w("fldChar"), w("fldCharType"), w("instrText")
ID, VAL = w("id"), w("val")

# Run content that is one letter of the text.
LETTERS = {
    w("tab"): "\t",
    w("br"): "\n",
    w("cr"): "\n",
    w("noBreakHyphen"): "\u2011",
    w("softHyphen"): "\u00ad",
    w("ptab"): "\t",
}


def is_element(node: Element) -> bool:
    """Whether it is an element, and not a comment or an instruction."""
    return isinstance(node.tag, str)


def made(name: str, /, **attributes: str) -> Element:
    """A new element of Word's."""
    return etree.Element(w(name), {w(key): value for key, value in attributes.items()})


def local(node: Element) -> str:
    """Its name without the namespace."""
    return str(etree.QName(node).localname)
