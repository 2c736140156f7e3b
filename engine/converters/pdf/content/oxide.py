"""pdf_oxide's compiled part, without the package around it, and its errors as ours.

The package's own front imports asyncio, ssl and thread pools for an interface that nobody here
uses; a jail has no room for them.
"""

import importlib.machinery
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import SourceUnreadable

_NAME = "pdf_oxide"
# What a panic in Rust arrives as: it derives from BaseException, so that nobody catches it.
_PANIC = "PanicException"


def _imported() -> Any:
    package = importlib.util.find_spec(_NAME)
    if package is None or not package.submodule_search_locations:
        raise ImportError(f"{_NAME} is not installed")
    folder = Path(next(iter(package.submodule_search_locations)))
    path = next(
        path
        for suffix in importlib.machinery.EXTENSION_SUFFIXES
        if (path := folder / f"{_NAME}{suffix}").is_file()
    )
    loader = importlib.machinery.ExtensionFileLoader(_NAME, str(path))
    spec = importlib.util.spec_from_file_location(_NAME, path, loader=loader)
    if spec is None:
        raise ImportError(f"{path} is no extension")
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


_oxide = _imported()


@contextmanager
def opened(content: bytes) -> Iterator[Any]:
    """The document. What goes wrong with it inside the block is SourceUnreadable."""
    try:
        yield _oxide.PdfDocument.from_bytes(content)
    except (RuntimeError, ValueError, OSError, TypeError, LookupError) as error:
        raise SourceUnreadable(
            "the content of the PDF document cannot be read: it is of an unusual kind"
        ) from error
    except BaseException as error:
        if type(error).__name__ != _PANIC:
            raise
        raise SourceUnreadable(
            "the content of the PDF document cannot be read: it is of an unusual kind"
        ) from error
