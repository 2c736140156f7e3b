"""pdfplumber, imported without what it brings along, and its errors as ours.

Its lower half asks importlib.metadata for its own version number, and that would load e-mail
parsing and with it the socket module into the jail.
"""

import gzip
import json
import struct
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from engine.errors import SourceTooComplex, SourceUnreadable


class _Unversioned(ModuleType):
    """Stands in for importlib.metadata: nothing is installed that it knows of."""

    class PackageNotFoundError(ImportError):
        """As the original names it."""

    @classmethod
    def version(cls, name: str) -> str:
        """Never known."""
        raise cls.PackageNotFoundError(name)


def _imported() -> Any:
    name = "importlib.metadata"
    kept = sys.modules.get(name)
    sys.modules[name] = _Unversioned(name)
    try:
        import pdfplumber  # noqa: PLC0415  # inside the replacement
    finally:
        del sys.modules[name]
        if kept is not None:
            sys.modules[name] = kept
    return pdfplumber


plumber = _imported()

# What it lets through for damaged documents that qpdf mended as far as it could.
_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    AssertionError,
    RuntimeError,
    struct.error,
    zlib.error,
    plumber.utils.exceptions.PdfminerException,
)
# How Chinese, Japanese and Korean text is coded where a document relies on its reader to know (ISO
# 32000-1, 9.7.5.2): the codings in use, and from the characters of each collection to Unicode.
_CODINGS = (
    "UniGB-UCS2-H", "UniGB-UTF16-H", "GBK-EUC-H", "UniJIS-UCS2-H", "UniJIS-UTF16-H", "90ms-RKSJ-H",
    "UniKS-UCS2-H", "KSCms-UHC-H", "UniCNS-UCS2-H", "ETen-B5-H",
)  # fmt: skip
_COLLECTIONS = ("Adobe-GB1", "Adobe-Japan1", "Adobe-Korea1", "Adobe-CNS1")
# Their tables: of codes, in bytes one after the other, and of characters.
_NUMBERED = frozenset({"CODE2CID", "CID2UNICHR_H", "CID2UNICHR_V"})


def load_codings() -> None:
    """Read their files in the zygote, and unpack one only where a document asks for it.

    Unpacked they are 40 MiB of small objects: a third of the pages that every fork would have to
    count, 2.5 ms of CPU a worker, for what one document in thousands uses.
    """
    from pdfminer import cmapdb  # noqa: PLC0415  # imported already, inside the replacement

    folder = Path(cmapdb.__file__).parent / "cmap"
    for name in (*_CODINGS, *(f"to-unicode-{one}" for one in _COLLECTIONS)):
        _packed[name] = (folder / f"{name}.json.gz").read_bytes()
    # The method that looks for files in folders.
    setattr(cmapdb.CMapDB, "_load_data", _coding)  # noqa: B010  # mypy lets no method be assigned


_packed: dict[str, bytes] = {}


def _coding(name: str) -> type[Any]:
    """What pdfminer makes of one of its files: a class of tables whose keys are numbers."""
    from pdfminer.cmapdb import CMapDB  # noqa: PLC0415  # as above

    packed = _packed.get(name)
    if packed is None:
        raise CMapDB.CMapNotFound(name)
    tables = json.loads(gzip.decompress(packed))
    for key in _NUMBERED & tables.keys():
        tables[key] = _numbered(tables[key])
    return type(name, (), tables)


def _numbered(table: Any) -> Any:
    """JSON has keys of text only."""
    if not isinstance(table, dict):
        return table
    return {int(key): _numbered(value) for key, value in table.items()}


@contextmanager
def plumbing() -> Iterator[None]:
    """Translate what pdfplumber raises about a document."""
    try:
        yield
    except RecursionError as error:
        raise SourceTooComplex("the document is nested too deeply") from error
    except _DAMAGE as error:
        raise SourceUnreadable(
            "the tables of the PDF document cannot be read: it is damaged, or of an unusual kind"
        ) from error
