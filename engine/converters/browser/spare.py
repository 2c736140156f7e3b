"""The browser that a spare worker has started while it waits: a page then needs not wait for it."""

from collections.abc import Iterator
from contextlib import contextmanager

from engine.converters.browser.devtools import Page

# Of this process, which is a worker: at most one, from its touch to its first conversion.
_waiting: list[Page] = []


def prepare() -> None:
    """Start a browser for the conversion to come."""
    page = Page()
    page.begin()
    _waiting.append(page)


@contextmanager
def opened() -> Iterator[Page]:
    """A blank page, in the browser that waits or, for a worker's later uses, in a new one."""
    if not _waiting:
        prepare()
    page = _waiting.pop()
    try:
        yield page
    finally:
        page.end()
