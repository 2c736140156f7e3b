"""The content of pages as headings, paragraphs, lists, tables and pictures, in reading order.

pdf_oxide finds them and tells them as HTML; what it leaves in pieces is put together here: list
items that it sets as paragraphs, numbers of headings that it sets apart. Word, HTML and Markdown
are then written from the same blocks.
"""

import base64
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lxml import etree

from engine.converters.pdf.content import oxide
from engine.progress import each

_NUMBER = re.compile(r"^\d+(\.\d+)*\.?$")
_ITEM_NUMBER = re.compile(r"^\(?\d{1,3}[.)]\s+")
_DATA = re.compile(r"^data:image/(png|jpeg);base64,")
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol"})
# Characters that XML cannot hold (XML 1.0, 2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Running heads repeat on at least this share of the pages, and there are at least so many.
_REPEATED_SHARE, _REPEATED_PAGES = 0.6, 3
_DIGITS = re.compile(r"\d+")


class Run(NamedTuple):
    """Text of one look. `link`: where it leads, or nothing."""

    text: str
    bold: bool = False
    italic: bool = False
    link: str = ""


Runs = tuple[Run, ...]


class Block(NamedTuple):
    """One piece of content. `kind`: heading, paragraph, item, table or picture."""

    kind: str
    runs: Runs = ()
    level: int = 0  # of a heading, from 1
    ordered: bool = False  # an item of a numbered list
    rows: tuple[tuple[Runs, ...], ...] = ()
    picture: bytes = b""
    picture_kind: str = ""  # "png" or "jpeg"

    @property
    def text(self) -> str:
        """What it says, without its look."""
        return "".join(run.text for run in self.runs)


Pages = list[list[Block]]


def read(content: bytes, *, pictures: bool) -> Pages:
    """The blocks of every page."""
    pages = []
    with oxide.opened(content) as document:
        for index in each(range(document.page_count())):
            told = document.to_html(index, include_images=pictures, embed_images=True)
            pages.append(list(_mended(_blocks(_parsed(told)))))
    return pages


def without_running_heads(pages: Pages) -> tuple[Pages, int]:
    """The same without first and last lines that repeat on most pages; and how many those were."""
    if len(pages) < _REPEATED_PAGES:
        return pages, 0
    counts: dict[str, int] = {}
    for page in pages:
        for edge in {_edge(block) for block in _edges(page)} - {""}:
            counts[edge] = counts.get(edge, 0) + 1
    repeated = {
        edge for edge, count in counts.items() if count >= _REPEATED_SHARE * len(pages)
    }  # fmt: skip
    kept, dropped = [], 0
    for page in pages:
        heads = [block for block in _edges(page) if _edge(block) in repeated]
        kept.append([block for block in page if not any(block is head for head in heads)])
        dropped += len(heads)
    return kept, dropped


def _edges(page: list[Block]) -> list[Block]:
    """The first two and the last three that hold text."""
    written = [block for block in page if block.kind in {"heading", "paragraph"}]
    return [*written[:2], *written[2:][-3:]]


def _edge(block: Block) -> str:
    """Its text, all numbers alike: a page number repeats too."""
    return _DIGITS.sub("0", block.text.strip())


def _parsed(told: str) -> Any:
    parser = etree.HTMLParser(no_network=True, huge_tree=True)
    return etree.fromstring(_NOT_XML.sub("", told) or "<p></p>", parser)


def _blocks(root: Any) -> Iterator[Block]:
    """Blocks as they are told; an empty list announces an item that follows as a paragraph."""
    for node in root.iter():
        tag = node.tag
        if tag in _HEADINGS:
            yield Block("heading", _runs(node), level=_HEADINGS[tag])
        elif tag == "table":
            yield _table(node)
        elif tag == "img":
            yield from _picture(node.get("src", ""))
        elif tag in _LISTS and not len(node):
            yield Block("item", ordered=tag == "ol")
        elif tag == "li":
            yield Block("item", _runs(node), ordered=node.getparent().tag == "ol")
        elif tag in {"p", "pre"} and not any(
            above.tag in {"li", "td"} for above in node.iterancestors()
        ):
            yield Block("paragraph", _runs(node))


def _mended(blocks: Iterable[Block]) -> Iterator[Block]:
    """Announced items with their text, numbers with their headings, nothing that is empty."""
    waiting: Block | None = None
    for block in blocks:
        if waiting is not None and waiting.kind == "item" and block.kind == "paragraph":
            yield _as_item(block.runs, ordered=waiting.ordered)
            waiting = None
            continue
        if waiting is not None and waiting.kind == "paragraph":
            if block.kind == "heading":
                number = Run(f"{waiting.text.strip()} ")
                yield block._replace(runs=(number, *block.runs))
                waiting = None
                continue
            yield waiting
        waiting = None
        if (block.kind == "item" and not block.text.strip()) or (
            block.kind == "paragraph" and _NUMBER.match(block.text.strip())
        ):
            waiting = block
        elif block.kind == "item":
            yield _as_item(block.runs, ordered=block.ordered)
        elif block.text.strip() or block.rows or block.picture:
            yield block
    if waiting is not None and waiting.text.strip():
        yield waiting


def _as_item(runs: Runs, *, ordered: bool) -> Block:
    """A list's item; a number that is written out becomes the list's own."""
    if runs and (number := _ITEM_NUMBER.match(runs[0].text)):
        return Block(
            "item", (runs[0]._replace(text=runs[0].text[number.end() :]), *runs[1:]), ordered=True
        )
    return Block("item", runs, ordered=ordered)


def _table(node: Any) -> Block:
    rows = tuple(
        tuple(_runs(cell) for cell in row if cell.tag in {"td", "th"}) for row in node.iter("tr")
    )
    return Block("table", rows=tuple(row for row in rows if row))


def _picture(source: str) -> Iterator[Block]:
    if found := _DATA.match(source):
        content = base64.b64decode(source[found.end() :])
        yield Block("picture", picture=content, picture_kind=found[1])


def _runs(node: Any) -> Runs:
    """Text with its look, spaces as one, neighbours of one look joined."""
    joined: list[Run] = []
    for run in _look(node, Run("")):
        text = re.sub(r"\s+", " ", run.text)
        if not joined or joined[-1].text.endswith(" "):
            text = text.lstrip() if not joined or text.startswith(" ") else text
        if not text:
            continue
        if joined and joined[-1][1:] == run[1:]:
            joined[-1] = run._replace(text=joined[-1].text + text)
        else:
            joined.append(run._replace(text=text))
    if joined:
        joined[-1] = joined[-1]._replace(text=joined[-1].text.rstrip())
    return tuple(run for run in joined if run.text)


def _look(node: Any, look: Run) -> Iterator[Run]:
    yield look._replace(text=node.text or "")
    for child in node:
        inner = look
        if child.tag in {"strong", "b"}:
            inner = look._replace(bold=True)
        elif child.tag in {"em", "i"}:
            inner = look._replace(italic=True)
        elif child.tag == "a":
            inner = look._replace(link=_safe(child.get("href", "")))
        elif child.tag == "br":
            yield look._replace(text=" ")
        if child.tag not in _LISTS:
            yield from _look(child, inner)
        yield look._replace(text=child.tail or "")


def _safe(link: str) -> str:
    """Links that lead to the web or to a mailbox; others could run something."""
    return link if link.lower().startswith(("http://", "https://", "mailto:")) else ""
