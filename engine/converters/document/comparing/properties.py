"""Properties of runs and paragraphs: carried into another document, and compared.

Elements come in the order that the schema wants (ISO/IEC 29500-1, annex A.1): Word refuses others.
"""

from collections.abc import Collection
from copy import deepcopy

from lxml import etree

from engine.converters.document.comparing.atoms import value_of
from engine.converters.document.comparing.terms import (
    PPR,
    RPR,
    SECTPR,
    VAL,
    Element,
    W,
    is_element,
    local,
    made,
    w,
)

# What says how a run was checked, and not how it looks.
_UNSEEN = frozenset({"lang", "noProof", "rPrChange", "pPrChange", "ins", "del", "rPr", "sectPr"})
_STYLES = frozenset({w("pStyle"), w("rStyle"), w("tblStyle")})


class Foreign:
    """What of the first document's properties means the same in the second."""

    def __init__(self, styles: Collection[str], *, same_lists: bool) -> None:
        self._styles = styles
        self._same_lists = same_lists
        # Whether a paragraph was in a list that the second document need not have.
        self.lists_lost = False

    def run(self, properties: Element | None) -> Element | None:
        """Properties of a run, or None where there are none."""
        return self._kept(properties, RPR)

    def paragraph(self, properties: Element | None) -> Element | None:
        """Properties of a paragraph, without those of its mark and its section."""
        return self._kept(properties, PPR)

    def table(self, properties: Element) -> Element:
        """Properties of a table, a row or a cell."""
        kept = self._kept(properties, properties.tag)
        return etree.Element(properties.tag) if kept is None else kept

    def _kept(self, properties: Element | None, tag: str) -> Element | None:
        if properties is None:
            return None
        kept = etree.Element(tag)
        for one in properties:
            if is_element(one) and self._is_kept(one):
                kept.append(_plain(one))
        return kept if len(kept) else None

    def _is_kept(self, one: Element) -> bool:
        if etree.QName(one).namespace != W or local(one) in _UNSEEN - {"lang", "noProof"}:
            return False
        if one.tag in _STYLES:
            return one.get(VAL) in self._styles
        if one.tag == w("numPr") and not self._same_lists:
            self.lists_lost = True
            return False
        return True


def _plain(one: Element) -> Element:
    """A copy without what only newer programs say in it, whose names may not be declared here."""
    copy = deepcopy(one)
    for node in copy.iter():
        for name in [name for name in node.attrib if etree.QName(name).namespace not in {W, None}]:
            del node.attrib[name]
    return copy


def look(properties: Element | None, *, lists: bool = True) -> frozenset[str]:
    """What a reader sees of them; equal for the same look."""
    if properties is None:
        return frozenset()
    return frozenset(
        etree.tostring(_plain(one), method="c14n").decode()
        for one in properties
        if is_element(one)
        and etree.QName(one).namespace == W
        and local(one) not in _UNSEEN
        and (lists or one.tag != w("numPr"))
    )


def of(node: Element, tag: str) -> Element:
    """The properties of a run or paragraph, made where there are none."""
    found = node.find(tag)
    if found is None:
        found = etree.Element(tag)
        node.insert(0, found)
    return found


def mark_of(paragraph: Element) -> Element:
    """The properties of a paragraph's mark, made where there are none."""
    properties = of(paragraph, PPR)
    found = properties.find(RPR)
    if found is None:
        found = made("rPr")
        later = [number for number, one in enumerate(properties) if one.tag in _AFTER_RPR]
        properties.insert(later[0] if later else len(properties), found)
    return found


_AFTER_RPR = frozenset({SECTPR, w("pPrChange")})


def style_of(properties: Element | None) -> str:
    """The paragraph's style."""
    return value_of(properties, "pStyle")
