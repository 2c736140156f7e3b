"""LibreOfficeKit: LibreOffice called as a library, by the part of its C interface that we need.

Its documented way to start in two steps is what makes prewarmed workers cheap. `prepare` (their
"preinit") loads every module, the configuration and the fonts, and leaves one thread, so it runs in
the zygote; `start` (the "hook") starts the office's own main thread, so it runs in each worker, in
10 ms instead of a second.

An office object and a document are pointers to a struct whose first member points to a table of
functions. The tables below name those functions in the order of LibreOfficeKit.h, as far as the
last one we call; later versions of LibreOffice only add behind them.
"""

import ctypes
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, POINTER, c_char_p, c_int, c_size_t, c_ulonglong, c_void_p
from typing import Any, ClassVar

from engine.converters.office.catalogue_places import MERGED, PROGRAM

_PROFILE = b"file:///memfs/profile"
# A dialog is cancelled before anybody could see it.
_LOADING = b"Batch=true"
# LibreOfficeKitOptionalFeatures and LibreOfficeKitCallbackType of LibreOfficeKitEnums.h.
_ASK_FOR_PASSWORDS = 1 << 0
_CALLBACK_DOCUMENT_PASSWORD = 20

_Callback = CFUNCTYPE(None, c_int, c_char_p, c_void_p)
_Unused = c_void_p
# What LibreOfficeKitDocumentType calls them.
TYPES = ("text", "sheet", "slides", "drawing", "other")


class _OfficeCalls(ctypes.Structure):
    _fields_: ClassVar = [
        ("size", c_size_t),
        ("destroy", _Unused),
        ("document_load", _Unused),
        ("get_error", CFUNCTYPE(c_void_p, c_void_p)),
        ("document_load_with_options", CFUNCTYPE(c_void_p, c_void_p, c_char_p, c_char_p)),
        ("free_error", CFUNCTYPE(None, c_void_p)),
        ("register_callback", CFUNCTYPE(None, c_void_p, _Callback, c_void_p)),
        ("get_filter_types", _Unused),
        ("set_optional_features", CFUNCTYPE(None, c_void_p, c_ulonglong)),
        ("set_document_password", CFUNCTYPE(None, c_void_p, c_char_p, c_char_p)),
        ("get_version_info", CFUNCTYPE(c_void_p, c_void_p)),
    ]


class _DocumentCalls(ctypes.Structure):
    _fields_: ClassVar = [
        ("size", c_size_t),
        ("destroy", CFUNCTYPE(None, c_void_p)),
        ("save_as", CFUNCTYPE(c_int, c_void_p, c_char_p, c_char_p, c_char_p)),
        ("get_document_type", CFUNCTYPE(c_int, c_void_p)),
        ("get_parts", CFUNCTYPE(c_int, c_void_p)),
        ("get_part_page_rectangles", _Unused),
        ("get_part", _Unused),
        ("set_part", _Unused),
        ("get_part_name", CFUNCTYPE(c_void_p, c_void_p, c_int)),
    ]


class _Object(ctypes.Structure):
    """What both kinds of pointers point to."""

    _fields_: ClassVar = [("calls", c_void_p)]


class Locked(Exception):
    """The document asked for a password, and what it got, if anything, does not open it."""


class Unreadable(Exception):
    """LibreOffice could not make a document of the file."""


class Unwritable(Exception):
    """LibreOffice could not write the document in this format."""


class Kit:
    """The library, loaded. `prepare`, fork, `start`, then `opened`; once each in a process."""

    def __init__(self) -> None:
        self._merged = ctypes.CDLL(MERGED)
        self._merged.libreofficekit_hook_2.argtypes = (c_char_p, c_char_p)
        self._merged.libreofficekit_hook_2.restype = c_void_p
        self._office = 0
        # Made here, in the zygote: a closure needs memory that a worker may not have.
        self._hear = _Callback(self._on_callback)
        self._password: bytes | None = None
        self._asked = 0

    def prepare(self) -> None:
        """Load all that can be loaded before the fork. Raises RuntimeError."""
        office = c_void_p()
        self._merged.lok_preinit_2.argtypes = (c_char_p, c_char_p, POINTER(c_void_p))
        if self._merged.lok_preinit_2(PROGRAM.encode(), _PROFILE, ctypes.byref(office)):
            raise RuntimeError("LibreOffice cannot be prepared")

    def start(self) -> None:
        """Start the office in this process. Raises RuntimeError."""
        self._office = self._merged.libreofficekit_hook_2(PROGRAM.encode(), _PROFILE)
        if not self._office:
            raise RuntimeError("LibreOffice cannot be started")
        calls = self._calls
        calls.register_callback(self._office, self._hear, None)
        calls.set_optional_features(self._office, _ASK_FOR_PASSWORDS)

    @contextmanager
    def opened(self, path: str, *, password: str = "") -> Iterator["Document"]:
        """The document in this file. Raises Locked, Unreadable."""
        self._password, self._asked = password.encode() or None, 0
        address = self._calls.document_load_with_options(
            self._office, f"file://{path}".encode(), _LOADING
        )
        if not address:
            self._forget_error()
            raise Locked if self._asked else Unreadable
        document = Document(address)
        try:
            yield document
        finally:
            document.close()

    @property
    def _calls(self) -> Any:
        return _table(self._office, _OfficeCalls)

    def _on_callback(self, kind: int, payload: bytes, _: int) -> None:
        """Answer the question for a password: the first time with it, then by giving up."""
        if kind == _CALLBACK_DOCUMENT_PASSWORD:
            self._asked += 1
            answer = self._password if self._asked == 1 else None
            self._calls.set_document_password(self._office, payload, answer)

    def _forget_error(self) -> None:
        """Free the message, unread: it may quote the file."""
        if message := self._calls.get_error(self._office):
            self._calls.free_error(message)


class Document:
    """An open document."""

    def __init__(self, address: int) -> None:
        self._address = address
        self._calls: Any = _table(address, _DocumentCalls)

    @property
    def type(self) -> str:
        """Which application has it: one of TYPES."""
        number: int = self._calls.get_document_type(self._address)
        return TYPES[number] if number < len(TYPES) else TYPES[-1]

    def parts(self) -> list[str]:
        """The names of its sheets or slides."""
        return [
            _text(self._calls.get_part_name(self._address, number))
            for number in range(self._calls.get_parts(self._address))
        ]

    def save(self, path: str, kind: str, options: str = "") -> None:
        """Write it in the format that LibreOffice knows by this extension. Raises Unwritable."""
        place = f"file://{path}".encode()
        if not self._calls.save_as(self._address, place, kind.encode(), options.encode()):
            raise Unwritable

    def close(self) -> None:
        """Let go of it."""
        self._calls.destroy(self._address)


def _table(address: int, calls: type[ctypes.Structure]) -> Any:
    return calls.from_address(_Object.from_address(address).calls)


def _text(address: int | None) -> str:
    """A string that is ours to free."""
    if not address:
        return ""
    text = ctypes.string_at(address).decode(errors="replace")
    _free(address)
    return text


_free: Callable[[int], None] = CFUNCTYPE(None, c_void_p)(("free", ctypes.CDLL(None)))


@functools.cache
def kit() -> Kit:
    """The one of this process: LibreOffice can be loaded only once."""
    return Kit()
