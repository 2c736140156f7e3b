"""Revisions that a document has already are accepted, before it is compared with another.

By ISO/IEC 29500-1, 17.13.5: what was inserted stays, what was deleted goes, what was moved is where
it went, and what is said of former formatting is forgotten.
"""

from engine.converters.document.comparing.terms import (
    DEL,
    INS,
    PPR,
    RPR,
    TBL,
    TR,
    TRPR,
    Element,
    P,
    w,
)

_GONE = tuple(
    w(name)
    for name in (
        *("del", "moveFrom", "rPrChange", "pPrChange", "sectPrChange", "tblPrChange"),
        *("tblPrExChange", "trPrChange", "tcPrChange", "tblGridChange", "numberingChange"),
        *("moveFromRangeStart", "moveFromRangeEnd", "moveToRangeStart", "moveToRangeEnd"),
        *("customXmlInsRangeStart", "customXmlInsRangeEnd", "customXmlDelRangeStart"),
        *("customXmlDelRangeEnd", "customXmlMoveFromRangeStart", "customXmlMoveFromRangeEnd"),
        *("customXmlMoveToRangeStart", "customXmlMoveToRangeEnd", "cellIns", "cellMerge"),
    )
)
_STAYING = (INS, w("moveTo"))
_MARKS = frozenset({DEL, w("moveFrom")})


def accept(root: Element) -> bool:
    """Change the tree; whether there was anything to accept."""
    found = next(root.iter(*_GONE, *_STAYING, w("cellDel")), None) is not None
    if not found:
        return False
    for row in [one for one in root.iter(TR) if _has_mark(one.find(TRPR))]:
        row.getparent().remove(row)
    for cell in [
        one for one in root.iter(w("tc")) if one.find(f"{w('tcPr')}/{w('cellDel')}") is not None
    ]:
        cell.getparent().remove(cell)
    for table in [one for one in root.iter(TBL) if one.find(TR) is None]:
        table.getparent().remove(table)
    for paragraph in [one for one in root.iter(P) if _has_mark(one.find(f"{PPR}/{RPR}"))]:
        _join_next(paragraph)
    for node in list(root.iter(*_GONE)):
        node.getparent().remove(node)
    for node in list(root.iter(*_STAYING)):
        _unwrap(node)
    return True


def _has_mark(properties: Element | None) -> bool:
    return properties is not None and any(one.tag in _MARKS for one in properties)


def _join_next(paragraph: Element) -> None:
    """Its mark is gone: what is left of it begins the next one."""
    following = paragraph.getnext()
    while following is not None and following.tag not in {P, TBL}:
        following = following.getnext()
    if following is None or following.tag != P:
        return
    at = 0 if following.find(PPR) is None else 1
    for number, child in enumerate([one for one in paragraph if one.tag != PPR]):
        following.insert(at + number, child)
    paragraph.getparent().remove(paragraph)


def _unwrap(node: Element) -> None:
    parent = node.getparent()
    at = parent.index(node)
    for number, child in enumerate(list(node)):
        parent.insert(at + number, child)
    parent.remove(node)
