"""LibreOfficeKit: LibreOffice called as a library, by the part of its C interface that we need.

It starts in the zygote, in two documented steps: `prepare` (their "preinit") loads every module,
the configuration and the fonts, `start` (the "hook") the office itself. Told to be "unipoll"
(`settings`), that makes no thread for its main loop but leaves it to the caller, who runs it on the
only thread there is (`memfs/loop.c`). So workers are forked from an office that has opened, laid
out and written documents before, and each is as warm as it.

An office object and a document are pointers to a struct whose first member points to a table of
functions. The tables below name those functions in the order of LibreOfficeKit.h, as far as the
last one we call; later versions of LibreOffice only add behind them.
"""

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_ulonglong, c_void_p
from typing import Any, ClassVar

from engine.converters.office.catalogue_places import MERGED, PROGRAM

_PROFILE = b"file:///memfs/profile"
# A dialog is cancelled before anybody could see it.
_LOADING = b"Batch=true"
# LibreOfficeKitOptionalFeatures of LibreOfficeKitEnums.h: comments are drawn here, by nobody else.
_NO_TILED_ANNOTATIONS = 1 << 3

_Unused = c_void_p


class _OfficeCalls(ctypes.Structure):
    _fields_: ClassVar = [
        ("size", c_size_t),
        ("destroy", _Unused),
        ("document_load", _Unused),
        ("get_error", _Unused),
        ("document_load_with_options", c_void_p),  # of the office, a URL, options: a document
        ("free_error", _Unused),
        ("register_callback", _Unused),
        ("get_filter_types", _Unused),
        ("set_optional_features", CFUNCTYPE(None, c_void_p, c_ulonglong)),
        ("set_document_password", _Unused),
        ("get_version", _Unused),
        ("run_macro", _Unused),
        ("sign_document", _Unused),
        ("run_loop", c_void_p),  # of the office, three functions: see `memfs/loop.c`
    ]


class _DocumentCalls(ctypes.Structure):
    _fields_: ClassVar = [
        ("size", c_size_t),
        ("destroy", c_void_p),
        ("save_as", c_void_p),  # of the document, a URL, a format, options: not 0 if written
    ]


class _Object(ctypes.Structure):
    """What both kinds of pointers point to."""

    _fields_: ClassVar = [("calls", c_void_p)]


class Unreadable(Exception):
    """LibreOffice could not make a document of the file."""


class Unwritable(Exception):
    """LibreOffice could not write the document in this format."""


class Kit:
    """The library, loaded. `prepare`, `start`, fork, then `opened`."""

    def __init__(self) -> None:
        self._merged = ctypes.CDLL(MERGED)
        self._merged.libreofficekit_hook_2.argtypes = (c_char_p, c_char_p)
        self._merged.libreofficekit_hook_2.restype = c_void_p
        self._office = 0

    def prepare(self) -> None:
        """Load all that it consists of. Raises RuntimeError."""
        office = c_void_p()
        self._merged.lok_preinit_2.argtypes = (c_char_p, c_char_p, POINTER(c_void_p))
        if self._merged.lok_preinit_2(PROGRAM.encode(), _PROFILE, ctypes.byref(office)):
            raise RuntimeError("LibreOffice cannot be prepared")

    def start(self) -> None:
        """Start the office on the calling thread. Raises RuntimeError."""
        self._office = self._merged.libreofficekit_hook_2(PROGRAM.encode(), _PROFILE)
        if not self._office:
            raise RuntimeError("LibreOffice cannot be started")
        if _loop_begin(self._calls.run_loop, self._office):
            raise RuntimeError("LibreOffice's main loop cannot be started")
        self._calls.set_optional_features(self._office, _NO_TILED_ANNOTATIONS)

    @contextmanager
    def opened(self, path: str) -> Iterator["Document"]:
        """The document in this file. Raises Unreadable."""
        load = self._calls.document_load_with_options
        address = _guarded(load, self._office, f"file://{path}".encode(), _LOADING, b"")
        if not address:
            raise Unreadable
        document = Document(address)
        yield document
        # Only where all went well: after a failure it is in no state to be called again. It gives
        # up here, too, with documents that it repaired; nobody misses what it leaves then.
        document.close()
        _loop_turn()  # what it puts off until it has time

    @property
    def _calls(self) -> Any:
        return _table(self._office, _OfficeCalls)


class Document:
    """An open document."""

    def __init__(self, address: int) -> None:
        self._address = address
        self._calls: Any = _table(address, _DocumentCalls)

    def save(self, path: str, kind: str, options: str = "") -> None:
        """Write it in the format that LibreOffice knows by this extension. Raises Unwritable."""
        place = f"file://{path}".encode()
        written = _guarded(
            self._calls.save_as, self._address, place, kind.encode(), options.encode()
        )
        # The answer is an int, in the lower half of what was returned.
        if not written & 0xFFFF_FFFF:
            raise Unwritable

    def close(self) -> None:
        """Let go of it."""
        _guarded(self._calls.destroy, self._address, b"", b"", b"")


def _guarded(call: int, address: int, *texts: bytes) -> int:
    """Call one of the kit's functions; 0 where it gave up (`memfs/guard.c`)."""
    gave_up = c_int()
    answer: int | None = _guarded_call(call, address, *texts, ctypes.byref(gave_up))
    return answer or 0


def _table(address: int, calls: type[ctypes.Structure]) -> Any:
    return calls.from_address(_Object.from_address(address).calls)


_guarded_call = CFUNCTYPE(
    c_void_p, c_void_p, c_void_p, c_char_p, c_char_p, c_char_p, POINTER(c_int)
)(("guarded_call", ctypes.CDLL(None)))

_loop_begin = CFUNCTYPE(c_int, c_void_p, c_void_p)(("loop_begin", ctypes.CDLL(None)))
_loop_turn = CFUNCTYPE(c_int)(("loop_turn", ctypes.CDLL(None)))


@functools.cache
def kit() -> Kit:
    """The one of this process: LibreOffice can be loaded only once."""
    return Kit()
