"""The chosen pages as a document of their own, for readers that know no limits and no passwords.

What is handed on was parsed, unpacked once and written again by qpdf: well formed, open and within
the bounds, whatever came in.
"""

import io
from typing import Any, NamedTuple

import pikepdf

from engine.converter import Work
from engine.converters.pageparts import Parts, walk
from engine.converters.pdf.ranges import parse_pages
from engine.converters.qpdf import open_document, read_pages, reading, save


class Excerpt(NamedTuple):
    """The document, and where its pages (from 0) come from, in order."""

    content: bytes
    pages: list[int]
    parts: Parts

    def stream(self) -> io.BytesIO:
        """The document, to be read."""
        return io.BytesIO(self.content)


def take(work: Work, options: Any) -> Excerpt:
    """Cut out `options.pages`, opened with `options.password`. Raises the errors of opening."""
    with open_document(work, 0, options.password) as source:
        count = read_pages(source, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        parts = walk(source, chosen, work.bounds)
        if chosen == list(range(count)):  # whole, so with its logical structure
            content = bytes(save(source, work))
        else:
            with pikepdf.new() as target:
                with reading():
                    target.add_pages_from(source, chosen)
                content = bytes(save(target, work))
        # The pictures belong to a document that is closed now.
        return Excerpt(content, chosen, Parts(fonts=parts.fonts, pictures=[]))
