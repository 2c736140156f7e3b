"""Every dictionary of a document, those that lie directly within others too."""

from collections.abc import Iterator

import pikepdf
from pikepdf import Array, Dictionary, Stream

# qpdf itself reads nothing that is nested deeper.
_DEPTH_MAX = 500


def dictionaries(document: pikepdf.Pdf) -> Iterator[pikepdf.Object]:
    """Every dictionary and stream of the document, those inside others too."""
    for thing in document.objects:
        yield from _within(thing, 0)


def _within(thing: object, depth: int) -> Iterator[pikepdf.Object]:
    if depth > _DEPTH_MAX:
        return
    if isinstance(thing, Array):
        values = list(thing)
    elif isinstance(thing, Dictionary | Stream):
        yield thing
        values = [value for _, value in thing.items()]
    else:
        return
    for value in values:
        if isinstance(value, Array | Dictionary) and not value.is_indirect:
            yield from _within(value, depth + 1)
