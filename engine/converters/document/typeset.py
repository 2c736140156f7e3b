"""document.typeset, document.mail-pages and document.compile: onto pages, by typst in this process.

pandoc writes a document's body in typst's language; what stands around it (`page.py`) is ours.
Pictures never become files: typst finds each as a text among its inputs, an SVG drawing with the
picture inside, which it passes on as it is packed. Its root is an empty directory, and a worker can
open no file and no socket anyway: reading files and loading packages fail with a clear sentence.
"""

from typing import Any

from engine.converter import Result, Work
from engine.converters.document import letters, pandoc, press
from engine.converters.document.catalogue import read_inputs
from engine.converters.document.convert import entitle
from engine.converters.document.page import Page
from engine.converters.document.pictures import Picture
from engine.converters.document.press import BadPicture, BrokenLink
from engine.converters.document.reading import Draft, decoded, read
from engine.converters.document.sieve import SHOWN, Elsewhere, Sieve
from engine.converters.document.tree import Element, Tree, attributes_of, raw, text_of
from engine.converters.document.understanding import understand
from engine.errors import SourceTooComplex, TargetTooLarge

# pandoc's typst without its "smart": quotation marks stand as they were typed.
_WRITER = "typst-smart"
# What pandoc writes a label for.
_LABELLED = frozenset({"Header", "Div", "Span", "Figure", "Table"})
# The text of a document of a thousand pages is 3 MB.
_SOURCE_BYTES_MAX = 256 * 1024 * 1024


def typeset(work: Work) -> Result:
    """Set a document on pages."""
    return _set(read(work, keep_divisions=False), work, elsewhere="described")


def mail(work: Work) -> Result:
    """Set a message on pages."""
    return _set(letters.read(work), work, elsewhere="dropped")


def compile_source(work: Work) -> Result:
    """Compile typst source that a customer wrote."""
    source = decoded(work.inputs[0], "auto")
    files, warnings = press.compile_pages(
        source,
        target=work.target,
        inputs=read_inputs(work.options),
        dpi=work.options.dpi,
        standard=work.options.pdf_standard,
    )
    if len(files) > work.bounds.pages_max:
        raise SourceTooComplex(f"the result would have more than {work.bounds.pages_max} pages")
    if sum(len(file) for file in files) > work.bounds.output_bytes_max:
        raise TargetTooLarge("the results would together be larger than the limit")
    return Result(files=tuple(files), warnings=tuple(warnings))


def _set(draft: Draft, work: Work, *, elsewhere: Elsewhere) -> Result:
    options = work.options
    entitle(draft, options)
    page = Page(options)
    plates = _Plates(page)
    sieve = Sieve(
        pictures=draft.pictures,
        raw_html="safe",
        speaks_html=False,
        notation="pdf",
        shown=SHOWN["pdf"],
        place=plates.place if options.images == "embed" else None,
        elsewhere=elsewhere,
    )
    understand(draft.tree)
    sieve.sift(draft.tree)
    _mend_labels(draft.tree)
    _mend_tables(draft.tree)
    warnings = [*draft.warnings, *sieve.warnings]
    front = _front(draft.tree)
    try:
        made, said = _press(draft.tree, page, front, plates, work)
    except BrokenLink:
        _unlink(draft.tree)
        warnings.append("links within the document lead nowhere")
        made, said = _press(draft.tree, page, front, plates, work)
    except BadPicture:
        warnings.append(f"{plates.drop_damaged()} pictures are damaged and were left out")
        made, said = _press(draft.tree, page, front, plates, work)
    warnings += [*said, *page.unprintable(draft.tree)]
    if len(made) > work.bounds.output_bytes_max:
        raise TargetTooLarge("the result would be larger than the limit")
    return Result(files=(made,), warnings=tuple(warnings))


def _press(
    tree: Tree, page: Page, front: dict[str, Any], plates: "_Plates", work: Work
) -> tuple[bytes, list[str]]:
    titled = Tree(version=tree.version, meta={}, blocks=[*page.title_block(front), *tree.blocks])
    body, said = pandoc.write(titled, _WRITER, ("--wrap=none",), output_bytes_max=_SOURCE_BYTES_MAX)
    files, warnings = press.compile_pages(
        page.around(body.decode(), front),
        target="pdf",
        inputs={**plates.inputs, **page.inputs(front)},
        dpi=0,
        standard=work.options.pdf_standard,
    )
    return files[0], [*said, *warnings]


def _front(tree: Tree) -> dict[str, Any]:
    """What stands before the text: title, authors, date and the like, as the tree has them."""
    return {
        name: tree.meta[name]
        for name in ("title", "subtitle", "author", "date", "lang", "abstract")
        if name in tree.meta
    }


def _mend_labels(tree: Tree) -> None:
    """Take away what is an error to typst: a link to nowhere, a label that is there twice."""
    labels: set[str] = set()
    for element in tree.elements():
        attributes = attributes_of(element)
        if attributes is None or not attributes[0]:
            continue
        if attributes[0] in labels or element["t"] not in _LABELLED:
            attributes[0] = ""
        else:
            labels.add(attributes[0])
    tree.rewrite(lambda one: _without_link(one) if _leads_nowhere(one, labels) else [one])


def _mend_tables(tree: Tree) -> None:
    """A column that says nothing is read from the left; typst would centre it with its table."""
    for element in tree.elements():
        if element["t"] == "Table":
            for column in element["c"][2]:
                if column[0]["t"] == "AlignDefault":
                    column[0] = {"t": "AlignLeft"}


def _leads_nowhere(element: Element, labels: set[str]) -> bool:
    if element["t"] != "Link":
        return False
    target = element["c"][2][0]
    return target in {"", "#"} or (target.startswith("#") and target[1:] not in labels)


def _unlink(tree: Tree) -> None:
    """Take every link within the document away."""
    tree.rewrite(
        lambda one: (
            _without_link(one) if one["t"] == "Link" and one["c"][2][0].startswith("#") else [one]
        )
    )


def _without_link(element: Element) -> list[Element]:
    return [{"t": "Span", "c": [["", [], []], element["c"][1]]}]


class _Plates:
    """The pictures of one document, as typst gets them: texts among its inputs."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pictures: dict[str, Picture] = {}
        self._names: dict[int, str] = {}
        self.inputs: dict[str, str] = {}

    def place(self, element: Element, picture: Picture) -> Element:
        """What stands for the picture in the text."""
        name = self._names.get(id(picture))
        if name is None:
            name = f"picture-{len(self._names)}"
            self._names[id(picture)] = name
            self._pictures[name] = picture
            self.inputs[name] = _drawing(picture)
        attributes = dict(element["c"][0][2])
        size = self._page.picture_size(picture, attributes)
        alt = text_of(element["c"][1])
        described = f"description-{len(self.inputs)}"
        self.inputs[described] = alt
        return raw("typst", f'#picture("{name}", "{described}"{size})')

    def drop_damaged(self) -> int:
        """Replace pictures that cannot be decoded by nothing; return how many."""
        damaged = [name for name, one in self._pictures.items() if not one.is_whole()]
        for name in damaged or list(self._pictures):
            self.inputs[name] = _NOTHING
        return len(damaged or self._pictures)


_NOTHING = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"></svg>'


def _drawing(picture: Picture) -> str:
    """A drawing that holds the picture: typst's inputs are texts, and bytes are not."""
    if picture.kind == "svg":
        return picture.content.decode(errors="replace")
    width, height = picture.size() or (100, 100)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
        f'<image href="{picture.address}" width="{width}" height="{height}"/></svg>'
    )
