"""XML in and out, by the convention most tools share: attributes as "@name", text as "#text".

Elements of one name beside each other become a list. Entities of a document's own are refused, a
DTD is not read, and nothing is fetched.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.ods import CONTROL
from engine.converters.data.tables import Notes, Tree, Value
from engine.converters.data.words import Reading, kind_of, merged, value_of, word_of
from engine.errors import SourceTooComplex, SourceUnreadable, TargetImpossible
from engine.job import Buffer

_NAME = re.compile(r"[A-Za-z_À-ÖØ-öø-˿Ͱ-ͽͿ-῿][\w.·-]*")
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_XSI = ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_NODES_MAX = 5_000_000
_INDENT = "  "
_PIECES = 4_000


def read(work: Work, notes: Notes) -> Tree:
    """An XML document as a tree. Raises SourceUnreadable, SourceTooComplex."""
    # libxml2 itself refuses more than 256 levels and texts above 10 MB.
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        root = etree.fromstring(bytes(work.inputs[0]), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise SourceUnreadable("the XML document cannot be read: it is not well-formed") from error
    declared = root.getroottree().docinfo.internalDTD
    if declared is not None and any(True for _ in declared.iterentities()):
        raise SourceTooComplex(
            "the XML document declares entities of its own, which may unpack without end and are"
            " not read here; write them out first"
        )
    tree = {_name(root): _value(root, notes)}
    options = work.options
    if options.types == "infer" or (options.types == "auto" and work.target not in _WORDS):
        tree = _typed(tree, Reading(dates=options.dates))
    return Tree(root=tree)


# Into these, words go as they stand.
_WORDS = frozenset({"xml", "csv", "tsv", "html", "md"})


def _name(element: Any) -> str:
    local = etree.QName(element).localname
    return f"{element.prefix}:{local}" if element.prefix else str(local)


def _value(element: Any, notes: Notes) -> Value:
    fields: dict[str, Value] = {}
    parent = element.getparent()
    outer = {} if parent is None else parent.nsmap
    for prefix, space in element.nsmap.items():
        if outer.get(prefix) != space and space != _NIL[1:-4]:
            fields["@xmlns:" + prefix if prefix else "@xmlns"] = space
    nil = False
    for name, word in element.attrib.items():
        if name == _NIL:
            nil = word in {"true", "1"}
            continue
        fields["@" + _attribute(name, element)] = word
    repeated = set()
    for child in element:
        name, value = _name(child), _value(child, notes)
        if name not in fields:
            fields[name] = value
        elif name in repeated:
            fields[name].append(value)
        else:
            repeated.add(name)
            fields[name] = [fields[name], value]
    text = _text(element, notes)
    if not fields:
        return None if nil else text
    if text:
        fields["#text"] = text
    return fields


def _attribute(name: str, element: Any) -> str:
    if not name.startswith("{"):
        return name
    space, _, local = name[1:].partition("}")
    prefix = next((key for key, value in element.nsmap.items() if value == space and key), "xml")
    return f"{prefix}:{local}"


def _text(element: Any, notes: Notes) -> str:
    if not len(element):
        return element.text or ""
    pieces = [element.text, *(child.tail for child in element)]
    words = [piece.strip() for piece in pieces if piece and piece.strip()]
    if words:
        notes.say("text between elements was put together: its places among them are lost")
    return " ".join(words)


def _typed(tree: Value, how: Reading) -> Any:
    """Words as values, of one kind wherever the same path of names leads."""
    kinds: dict[tuple[str, ...], str] = {}
    for path, word in _leaves(tree, ()):
        if word:
            kinds[path] = merged(kinds.get(path), kind_of(word, how))
    return _with_types(tree, (), kinds, how)


def _leaves(value: Value, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _leaves(one, (*path, key))
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one, path)
    elif value is not None and not path[-1].startswith("@xmlns"):
        yield path, value


def _with_types(value: Value, path: tuple[str, ...], kinds: Mapping[Any, str], how: Reading) -> Any:
    if isinstance(value, Mapping):
        return {key: _with_types(one, (*path, key), kinds, how) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_types(one, path, kinds, how) for one in value]
    if value is None or path[-1].startswith("@xmlns"):
        return value
    kind = kinds.get(path)
    # What is empty among numbers is no value; what is empty among words is an empty word.
    if not value:
        return value if kind == "text" else None
    return value_of(value, kind or "text", how)


class _Writer:
    """Writes elements as text, so that the names of a document's own prefixes pass through."""

    def __init__(self, buffer: CappedBuffer, row: str, notes: Notes, *, pretty: bool) -> None:
        self._buffer = buffer
        self._row = row
        self._notes = notes
        self._pretty = pretty
        self._pieces: list[str] = []
        self._nodes = 0
        self._prefixes: frozenset[str] = frozenset()

    def element(self, name: str, value: Value, depth: int, attributes: str = "") -> None:
        """Write one element, or one for each item of a list."""
        if isinstance(value, list | tuple):
            for one in value:
                self.element(name, one, depth)
            return
        self._nodes += 1
        if self._nodes > _NODES_MAX:
            raise SourceTooComplex(f"the document has more than {_NODES_MAX} elements, the limit")
        pad = "\n" + _INDENT * depth if self._pretty and depth else ""
        tag = self._named(name)
        if value is None:
            self._put(f'{pad}<{tag}{attributes} xsi:nil="true"/>')
        elif not isinstance(value, Mapping):
            self._put(f"{pad}<{tag}{attributes}>{self._words(value)}</{tag}>")
        else:
            self._parent(tag, value, depth, attributes, pad)

    def _parent(
        self, tag: str, fields: Mapping[Any, Any], depth: int, attributes: str, pad: str
    ) -> None:
        inner = []
        for key, value in fields.items():
            name = word_of(key)
            if name.startswith("@") and not isinstance(value, Mapping | list):
                if not (name == "@xmlns:xsi" and "xmlns:xsi" in attributes):
                    word = quoteattr(self._clean(word_of(value)))
                    attributes += f" {self._named(name[1:])}={word}"
            else:
                inner.append((name, value))
        text = next((value for name, value in inner if name == "#text"), None)
        self._put(f"{pad}<{tag}{attributes}>{'' if text is None else self._words(text)}")
        nested = [(name, value) for name, value in inner if name != "#text"]
        for name, value in nested:
            if isinstance(value, list) and any(isinstance(one, list) for one in value):
                value = [{self._row: one} if isinstance(one, list) else one for one in value]  # noqa: PLW2901
            self.element(name, value, depth + 1)
        self._put(("\n" + _INDENT * depth if self._pretty and nested else "") + f"</{tag}>")

    def _named(self, name: str) -> str:
        parts = name.split(":") if name.count(":") == 1 else [name]
        if all(_NAME.fullmatch(part) for part in parts) and (
            len(parts) == 1 or parts[0] in {"xml", "xmlns"} or parts[0] in self._prefixes
        ):
            return name
        self._notes.say("names that XML cannot hold were changed: other characters became _")
        plain = re.sub(r"[^\w.-]", "_", name)
        return plain if _NAME.fullmatch(plain) else f"_{plain}"

    def declare(self, prefixes: frozenset[str]) -> None:
        """Tell which prefixes the document itself declares at its root."""
        self._prefixes = prefixes

    def _words(self, value: Value) -> str:
        return escape(self._clean(word_of(value)), {"\r": "&#13;"})

    def _clean(self, word: str) -> str:
        plain = CONTROL.sub("", word)
        if plain != word:
            self._notes.say("control characters that XML cannot hold were left out")
        return plain

    def _put(self, piece: str) -> None:
        self._pieces.append(piece)
        if len(self._pieces) > _PIECES:
            self.flush()

    def flush(self) -> None:
        """Hand over what was written so far. Raises TargetTooLarge."""
        self._buffer.write("".join(self._pieces).encode())
        self._pieces.clear()


def write(tree: Tree, work: Work, notes: Notes) -> Buffer:
    """A document with one root element. Raises TargetTooLarge, TargetImpossible."""
    options, root = work.options, tree.root
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    writer = _Writer(buffer, options.row, notes, pretty=options.pretty)
    name = options.root
    if isinstance(root, Mapping) and len(root) == 1 and not _is_list(root):
        only = next(iter(root))
        name, root = word_of(only), root[only]
    elif isinstance(root, list):
        root = {options.row: [{options.row: one} if isinstance(one, list) else one for one in root]}
    if isinstance(root, Mapping):
        writer.declare(frozenset(str(key)[7:] for key in root if str(key).startswith("@xmlns:")))
    if name.startswith(("@", "#")):
        raise TargetImpossible("the document is a single attribute, which is no XML document")
    buffer.write(b'<?xml version="1.0" encoding="UTF-8"?>\n')
    writer.element(name, root, 0, _XSI if _has_null(root) else "")
    writer.flush()
    buffer.write(b"\n")
    return buffer.take()


def _is_list(root: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, list) for value in root.values())


def _has_null(value: Value) -> bool:
    stack = [value]
    while stack:
        one = stack.pop()
        if one is None:
            return True
        if isinstance(one, Mapping):
            stack.extend(one.values())
        elif isinstance(one, list | tuple):
            stack.extend(one)
    return False
