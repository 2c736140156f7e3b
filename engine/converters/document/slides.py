"""A presentation (.pptx) as a document: titles, lists, tables, pictures and speaker notes.

pandoc has a reader for it, which (in 3.9) loses lists and code wherever a slide holds a picture or
a table as well. What counts here is the text in its order; where it stood on the slide is lost.
Source of the names: ECMA-376, parts 1 (PresentationML and DrawingML) and 2 (relationships).
"""

import io
import posixpath
import zipfile
import zlib
from typing import Any

from lxml import etree

from engine.converters.document.tree import Element, Tree, words
from engine.errors import SourceTooComplex, SourceUnreadable
from engine.job import Buffer

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_TITLES = frozenset({"title", "ctrTitle"})
# Page numbers, dates and footers repeat on every slide.
_FURNITURE = frozenset({"sldNum", "dt", "ftr", "hdr"})
_SLIDES_MAX = 5_000
_LEVEL_MAX = 8
_DAMAGE = (
    KeyError,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    zlib.error,
    zipfile.BadZipFile,
    etree.XMLSyntaxError,
)


def read_slides(upload: Buffer) -> tuple[Tree, list[str]]:
    """The tree of a presentation, and warnings. Raises SourceUnreadable, SourceTooComplex."""
    try:
        with zipfile.ZipFile(io.BytesIO(upload)) as package:
            show = _Show(package)
            blocks = show.blocks()
    except _DAMAGE as error:
        raise SourceUnreadable("the presentation cannot be read: it is damaged") from error
    warnings = ["charts and diagrams of the slides were left out"] if show.drawings else []
    return Tree(blocks=blocks), warnings


class _Show:
    """One presentation while it is read."""

    def __init__(self, package: zipfile.ZipFile) -> None:
        self._package = package
        self._related: dict[str, str] = {}
        self._folder = ""
        self.drawings = 0

    def blocks(self) -> list[Element]:
        """The blocks of all slides, in the order in which they are shown."""
        first = "ppt/presentation.xml"
        related = self._relations(first)
        order = [one.get(f"{_R}id") for one in self._markup(first).iter(f"{_P}sldId")]
        if len(order) > _SLIDES_MAX:
            raise SourceTooComplex(f"the presentation has more than {_SLIDES_MAX} slides")
        made: list[Element] = []
        for number, identity in enumerate(order, 1):
            made += self._slide(related[identity][1], number)
        return made

    def _slide(self, path: str, number: int) -> list[Element]:
        relations = self._relations(path)
        self._related = {identity: target for identity, (_, target) in relations.items()}
        titles: list[list[Element]] = []
        made: list[Element] = []
        for shape in self._shapes(self._markup(path).find(f"{_P}cSld/{_P}spTree")):
            made += self._shape(shape, titles)
        heading = titles[0] if titles else words(f"Slide {number}")
        made.insert(0, {"t": "Header", "c": [2, ["", [], []], heading]})
        for kind, target in relations.values():
            if kind.endswith("/notesSlide"):
                made += self._notes(target)
        return made

    def _notes(self, path: str) -> list[Element]:
        """What the speaker says: pandoc's writer for presentations knows this class."""
        made: list[Element] = []
        for shape in self._shapes(self._markup(path).find(f"{_P}cSld/{_P}spTree")):
            if _role(shape) == "body":
                made += self._texts(shape, listed=False)
        return [{"t": "Div", "c": [["", ["notes"], []], made]}] if made else []

    def _shapes(self, tree: Any) -> list[Any]:
        """The shapes of a slide, out of their groups and of what replaces them in old programs."""
        found = []
        for one in tree if tree is not None else ():
            if one.tag == f"{_P}grpSp":
                found += self._shapes(one)
            elif one.tag == f"{_MC}AlternateContent":
                found += self._shapes(one.find(f"{_MC}Choice"))
            else:
                found.append(one)
        return found

    def _shape(self, shape: Any, titles: list[list[Element]]) -> list[Element]:
        role = _role(shape)
        if role in _FURNITURE:
            return []
        if shape.tag == f"{_P}pic":
            return self._picture(shape)
        if shape.tag == f"{_P}graphicFrame":
            table = shape.find(f".//{_A}tbl")
            if table is not None:
                return [self._table(table)]
            self.drawings += 1
            return []
        if role in _TITLES and not titles:
            lines = [self._runs(one) for one in shape.iter(f"{_A}p")]
            titles.append(_joined([line for line in lines if line]))
            return []
        return self._texts(shape, listed=role in {"body", "obj"})

    def _picture(self, shape: Any) -> list[Element]:
        blip = shape.find(f".//{_A}blip")
        about = shape.find(f".//{_P}cNvPr")
        target = self._related.get(blip.get(f"{_R}embed", "") if blip is not None else "")
        if target is None:
            return []
        said = about.get("descr") or "" if about is not None else ""
        return [
            {"t": "Para", "c": [{"t": "Image", "c": [["", [], []], words(said), [target, ""]]}]}
        ]

    def _texts(self, shape: Any, *, listed: bool) -> list[Element]:
        """The paragraphs of a shape; those with a bullet or a number as lists."""
        body = shape.find(f"{_P}txBody")
        made: list[Element] = []
        # The lists that are open, by level: the blocks of the last item of each.
        open_lists: list[tuple[str, Element]] = []
        for one in body.iter(f"{_A}p") if body is not None else ():
            inlines = self._runs(one)
            if not inlines:
                continue
            kind, level = _bullet(one, listed=listed)
            if not kind:
                open_lists = []
                made.append({"t": "Para", "c": inlines})
                continue
            del open_lists[level + 1 :]
            if len(open_lists) > level and open_lists[level][0] != kind:
                del open_lists[level:]
            while len(open_lists) <= level:
                new = _list(kind)
                at = _items(open_lists[-1][1])[-1] if open_lists else made
                at.append(new)
                open_lists.append((kind, new))
                if len(open_lists) <= level:
                    _items(new).append([])
            _items(open_lists[level][1]).append([{"t": "Plain", "c": inlines}])
        return made

    def _table(self, table: Any) -> Element:
        rows = [
            [[self._cell(cell) for cell in row.findall(f"{_A}tc")]]
            for row in table.findall(f"{_A}tr")
        ]
        made = [[["", [], []], row[0]] for row in rows]
        columns = max((len(row[0]) for row in rows), default=0)
        head = made[:1]
        return {
            "t": "Table",
            "c": [
                ["", [], []],
                [None, []],
                [[{"t": "AlignDefault"}, {"t": "ColWidthDefault"}]] * columns,
                [["", [], []], head],
                [[["", [], []], 0, [], made[1:]]],
                [["", [], []], []],
            ],
        }

    def _cell(self, cell: Any) -> list[Any]:
        blocks = [
            {"t": "Plain", "c": inlines}
            for one in cell.iter(f"{_A}p")
            if (inlines := self._runs(one))
        ]
        return [["", [], []], {"t": "AlignDefault"}, 1, 1, blocks]

    def _runs(self, text: Any) -> list[Element]:
        """One paragraph's inlines."""
        made: list[Element] = []
        for run in text:
            if run.tag == f"{_A}br":
                made.append({"t": "LineBreak"})
            elif run.tag in {f"{_A}r", f"{_A}fld"}:
                made += self._run(run)
            elif math := [one.text for one in run.iter("{*}t") if one.text]:
                made.append({"t": "Str", "c": "".join(math)})
        return made

    def _run(self, run: Any) -> list[Element]:
        said = run.findtext(f"{_A}t") or ""
        if not said:
            return []
        made = words(said)
        look = run.find(f"{_A}rPr")
        if look is None or not made:
            return _spaced(made, said)
        for name, off, tag in (("b", "0", "Strong"), ("i", "0", "Emph")):
            if look.get(name, off) not in {off, "false"}:
                made = [{"t": tag, "c": made}]
        if look.get("strike", "noStrike") != "noStrike":
            made = [{"t": "Strikeout", "c": made}]
        link = look.find(f"{_A}hlinkClick")
        target = self._related.get(link.get(f"{_R}id", "")) if link is not None else None
        if target and "://" in target:
            made = [{"t": "Link", "c": [["", [], []], made, [target, ""]]}]
        return _spaced(made, said)

    def _relations(self, path: str) -> dict[str, tuple[str, str]]:
        """(type, target) by identity: a path within the package, or an address."""
        folder, name = posixpath.split(path)
        listed = f"{folder}/_rels/{name}.rels"
        if listed not in self._package.namelist():
            return {}
        found = {}
        for one in self._markup(listed).iter("{*}Relationship"):
            target = one.get("Target", "")
            if one.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
            found[one.get("Id")] = (one.get("Type", ""), target)
        return found

    def _markup(self, path: str) -> Any:
        parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=False)
        return etree.fromstring(self._package.read(path), parser)


def _spaced(made: list[Element], said: str) -> list[Element]:
    """The inlines with the spaces that stood around them."""
    if not made:
        return [{"t": "Space"}] if said else []
    front = [{"t": "Space"}] if said[0].isspace() else []
    return [*front, *made, *([{"t": "Space"}] if said[-1].isspace() else [])]


def _role(shape: Any) -> str:
    """What a shape is for: "title", "body", ...; "" for one that no layout knows."""
    place = shape.find(f".//{_P}nvPr/{_P}ph")
    return "" if place is None else place.get("type", "obj")


def _bullet(text: Any, *, listed: bool) -> tuple[str, int]:
    """(kind of list, level) of a paragraph; the kind is "" for one outside of lists."""
    look = text.find(f"{_A}pPr")
    level = min(int(look.get("lvl", 0)), _LEVEL_MAX) if look is not None else 0
    marks = {one.tag.removeprefix(_A) for one in look} if look is not None else set[str]()
    if "buNone" in marks:
        return "", level
    if "buAutoNum" in marks:
        return "OrderedList", level
    return ("BulletList" if listed or marks & {"buChar", "buBlip"} else ""), level


def _list(kind: str) -> Element:
    items: list[Any] = []
    if kind == "BulletList":
        return {"t": kind, "c": items}
    return {"t": kind, "c": [[1, {"t": "Decimal"}, {"t": "Period"}], items]}


def _items(made: Element) -> list[list[Element]]:
    items: list[list[Element]] = made["c"] if made["t"] == "BulletList" else made["c"][1]
    return items


def _joined(lines: list[list[Element]]) -> list[Element]:
    made: list[Element] = []
    for line in lines:
        made += [{"t": "Space"}] * bool(made) + [
            {"t": "Space"} if one["t"] == "LineBreak" else one for one in line
        ]
    return made
