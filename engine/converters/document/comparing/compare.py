"""document.compare: two Word documents in, one out, in which the second shows what it changed.

Accepting all of its revisions gives the second document as it came; rejecting all gives the words
of the first one in their order, in its formatting as far as that is said in the text.
"""

from functools import partial

from engine.converter import Result, Work
from engine.converters.document.comparing.accepting import accept
from engine.converters.document.comparing.atoms import Sight
from engine.converters.document.comparing.marking import Marker
from engine.converters.document.comparing.options import CompareOptions
from engine.converters.document.comparing.package import Package
from engine.converters.document.comparing.properties import Foreign
from engine.converters.document.comparing.story import Rules, Stories
from engine.converters.document.comparing.terms import ID, SECTPR, Element, w

_NOTES = {"footnote": "footnotes", "endnote": "endnotes"}
_REFERENCES = (w("headerReference"), w("footerReference"))

EQUAL = "the documents do not differ in what is compared"
ACCEPTED = "the {} document had revisions of its own: they were accepted before"
LOST = "pictures, objects and notes that only the first document has are not shown: {}"
LISTS = "the documents' lists differ: what was in one only before is shown without its sign"
HEADERS = "headers and footers that only one of the documents has are not shown as changes"


def compare(work: Work) -> Result:
    """Raises SourceUnreadable, SourceTooComplex, PasswordRequired, TargetTooLarge."""
    comparison = _Comparison(
        Package(work.inputs[0], "first"), Package(work.inputs[1], "second"), work.options
    )
    comparison.run()
    content = comparison.second.written(work.bounds.output_bytes_max)
    return Result(files=(content,), warnings=tuple(comparison.warnings))


class _Comparison:
    def __init__(self, first: Package, second: Package, options: CompareOptions) -> None:
        self.first = first
        self.second = second
        self.warnings: list[str] = []
        self._options = options
        same_lists = _numbering(first) == _numbering(second)
        self._foreign = Foreign(second.styles(), same_lists=same_lists)
        self._rules = Rules(
            formatting=options.formatting, tables=options.tables, same_lists=same_lists
        )
        self._marker = Marker(
            options.author, options.date, second.highest_id() + 1, self._foreign,
            formatting=options.formatting,
        )  # fmt: skip

    def run(self) -> None:
        for package, which in ((self.first, "first"), (self.second, "second")):
            if accept(package.changing(package.main)):
                self.warnings.append(ACCEPTED.format(which))
        stories = self._stories(self.first.main, self.second.main)
        sections = [list(one.body.iter(SECTPR)) for one in (self.first, self.second)]
        stories.compare(self.first.body, self.second.body)
        if self._options.notes:
            self._compare_notes(stories.notes)
        if self._options.headers:
            self._compare_headers(*sections)
        if self._marker.lost:
            self.warnings.append(LOST.format(self._marker.lost))
        if self._foreign.lists_lost:
            self.warnings.append(LISTS)
        if not self._marker.count:
            self.warnings.append(EQUAL)

    def _stories(self, first: str, second: str) -> Stories:
        """Of these two parts."""
        sights = (
            Sight(
                self._options.level == "character",
                self._options.case,
                self._options.whitespace,
                partial(package.print_of, part),
            )
            for package, part in ((self.first, first), (self.second, second))
        )
        return Stories(next(sights), next(sights), self._marker, self._foreign, self._rules)

    def _compare_notes(self, referred: list[tuple[str, str, str]]) -> None:
        """Notes to which both documents refer at the same place."""
        for kind, part in _NOTES.items():
            first, second = self.first.related(part), self.second.related(part)
            if first is None or second is None:
                continue
            old, new = self.first.changing(first), self.second.changing(second)
            accept(old)
            accept(new)
            stories = self._stories(first, second)
            notes = [{one.get(ID): one for one in tree.iter(w(kind))} for tree in (old, new)]
            for told, one, other in referred:
                if told == kind and one in notes[0] and other in notes[1]:
                    stories.compare(notes[0][one], notes[1][other])

    def _compare_headers(self, old: list[Element], new: list[Element]) -> None:
        """Headers and footers of the same kind of the same section."""
        done: set[str] = set()
        alone = len(old) != len(new)
        for one, other in zip(old, new, strict=False):
            references = [
                {
                    (node.tag, node.get(w("type"))): node
                    for node in section.iterchildren(*_REFERENCES)
                }
                for section in (one, other)
            ]
            alone = alone or set(references[0]) != set(references[1])
            for kind in (one for one in references[1] if one in references[0]):
                first = self.first.header_of(references[0][kind])
                second = self.second.header_of(references[1][kind])
                if first is None or second is None or second in done:
                    continue
                done.add(second)
                trees = self.first.changing(first), self.second.changing(second)
                for tree in trees:
                    accept(tree)
                self._stories(first, second).compare(*trees)
        if alone:
            self.warnings.append(HEADERS)


def _numbering(package: Package) -> bytes:
    place = package.related("numbering")
    return b"" if place is None else package.content(place)
