"""The browser that a spare worker has started while it waits: a page then needs not wait for it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from engine.converters.browser.catalogue_places import LIBRARY
from engine.converters.browser.devtools import Page

# Of this process, which is a worker: at most one, from its touch to its first conversion.
_waiting: list[Page] = []


def prepare() -> None:
    """Start a browser for the conversion to come. Raises PermissionError, ConversionCrashed."""
    # The loader would only warn, to nobody, and the browser end for want of shared memory.
    if not os.access(LIBRARY, os.R_OK):
        raise PermissionError(f"user {os.geteuid()}, whom workers run as, cannot read {LIBRARY}")
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
