"""A .docx as its parts: read within limits, written with some of them replaced."""

import hashlib
import io
import posixpath
import zipfile
import zlib

from lxml import etree

from engine.converters.capped import CappedBuffer
from engine.converters.document.comparing.terms import ID, Element, R, w
from engine.errors import PasswordRequired, SourceTooComplex, SourceUnreadable
from engine.job import Buffer
from sandbox.limits import MIB

# As of any document here (`document/reading.py`): markup becomes a tree of many times its size, and
# two documents are in memory at once.
_PARTS_MAX = 20_000
_UNPACKED_BYTES_MAX = 512 * MIB
_MARKUP_BYTES_MAX = 32 * MIB
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, etree.XMLSyntaxError, LookupError, EOFError, ValueError,
    OSError, NotImplementedError, RuntimeError,
)  # fmt: skip
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OLE = b"\xd0\xcf\x11\xe0"
_FIXED = (1980, 1, 1, 0, 0, 0)
# The main part, by the type of its relation; strict documents say it in another namespace.
_MAIN = "/officeDocument"


class Package:
    """One document. `which` names it in errors: the first or the second.

    Raises SourceUnreadable, SourceTooComplex, PasswordRequired.
    """

    def __init__(self, upload: Buffer, which: str) -> None:
        self._which = which
        if bytes(upload[:4]) == _OLE:
            raise PasswordRequired(
                f"the {which} document is encrypted: save it without a password first"
            )
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(upload))
            self._check()
            self._trees: dict[str, Element] = {}
            self._changed: set[str] = set()
            self._relations: dict[str, dict[str, tuple[str, str]]] = {}
            mains = (place for kind, place in self.relations("").values() if kind.endswith(_MAIN))
            self.main = next(mains, "")
            if self.tree(self.main).find(w("body")) is None:
                raise self.damaged()
        except _DAMAGE as error:
            raise self.damaged() from error

    @property
    def body(self) -> Element:
        """Where the text is."""
        return self.tree(self.main).find(w("body"))

    def damaged(self) -> SourceUnreadable:
        """What is said of a part that is not what it should be."""
        return SourceUnreadable(
            f"the {self._which} document cannot be read: it is damaged, or no Word document"
        )

    def tree(self, name: str) -> Element:
        """A part's markup. Raises SourceUnreadable."""
        if name not in self._trees:
            parser = etree.XMLParser(
                resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
                remove_comments=True, remove_pis=True,
            )  # fmt: skip
            try:
                self._trees[name] = etree.fromstring(self._archive.read(name), parser)
            except _DAMAGE as error:
                raise self.damaged() from error
        return self._trees[name]

    def changing(self, name: str) -> Element:
        """The same, to be changed: it is written in place of what came."""
        self._changed.add(name)
        return self.tree(name)

    def has(self, name: str) -> bool:
        """Whether there is such a part."""
        return name in self._archive.NameToInfo

    def content(self, name: str) -> bytes:
        """A part as it came; nothing for one that is not there. Raises SourceUnreadable."""
        try:
            return self._archive.read(name) if self.has(name) else b""
        except _DAMAGE as error:
            raise self.damaged() from error

    def relations(self, name: str) -> dict[str, tuple[str, str]]:
        """What a part refers to, by the relation's id: its kind, and a part or an address."""
        if name not in self._relations:
            folder, _, last = name.rpartition("/")
            place = posixpath.join(folder, "_rels", f"{last}.rels")
            found = self.tree(place) if self.has(place) else ()
            self._relations[name] = {
                one.get("Id", ""): (one.get("Type", ""), _target(one, folder))
                for one in found
                if one.tag == f"{{{_RELATIONS}}}Relationship"
            }
        return self._relations[name]

    def related(self, kind: str) -> str | None:
        """The part that the main part has for this (`styles`, `footnotes`), if it is there."""
        for told, place in self.relations(self.main).values():
            if told.endswith(f"/{kind}") and self.has(place):
                return place
        return None

    def styles(self) -> frozenset[str]:
        """The names by which styles are referred to."""
        place = self.related("styles")
        if place is None:
            return frozenset()
        return frozenset(one.get(w("styleId"), "") for one in self.tree(place).iter(w("style")))

    def print_of(self, part: str, relation: str) -> str:
        """What stands for the file that a part refers to: the same for the same bytes."""
        _, place = self.relations(part).get(relation, ("", ""))
        return hashlib.sha256(self.content(place) or place.encode()).hexdigest()

    def header_of(self, reference: Element) -> str | None:
        """The part of a header or a footer, by the reference to it."""
        _, place = self.relations(self.main).get(reference.get(f"{{{R}}}id", ""), ("", ""))
        return place if self.has(place) else None

    def highest_id(self) -> int:
        """Of whatever is numbered in the trees so far: bookmarks, revisions, comments."""
        numbers = (
            node.get(ID, "")
            for tree in self._trees.values()
            for node in tree.iter()
            if node.get(ID)
        )
        return max((int(one) for one in numbers if one.isdigit() and len(one) < 10), default=0)  # noqa: PLR2004  # what 32 bits hold

    def written(self, bytes_max: int) -> Buffer:
        """The document, its trees in the place of their parts. Raises TargetTooLarge."""
        buffer = CappedBuffer(bytes_max)
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for part in self._archive.infolist():
                name = part.filename
                content = self.content(name)
                if name in self._changed:
                    content = etree.tostring(
                        self._trees[name], xml_declaration=True, encoding="UTF-8", standalone=True
                    )
                entry = zipfile.ZipInfo(name, _FIXED)
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, content)
        return buffer.take()

    def _check(self) -> None:
        parts = self._archive.infolist()
        markup = [one.file_size for one in parts if one.filename.endswith((".xml", ".rels"))]
        if (
            len(parts) > _PARTS_MAX
            or sum(one.file_size for one in parts) > _UNPACKED_BYTES_MAX
            or max(markup, default=0) > _MARKUP_BYTES_MAX
        ):
            raise SourceTooComplex(f"the {self._which} document unpacks to more than the limit")
        if any(one.flag_bits & 1 for one in parts):
            raise PasswordRequired(f"the {self._which} document is encrypted")


def _target(relation: Element, folder: str) -> str:
    target = str(relation.get("Target", ""))
    if relation.get("TargetMode") == "External":
        return target
    if target.startswith("/"):
        return target.removeprefix("/")
    return posixpath.normpath(posixpath.join(folder, target))
