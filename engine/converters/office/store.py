"""Files for LibreOffice on this process's heap: what goes in, what comes out.

The library behind it (`memfs/`) was loaded before anything else (LD_PRELOAD), so its functions are
found among the process's own.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

from engine.converters.office.catalogue_places import ROOT
from engine.job import Buffer

_library = ctypes.CDLL(None)


def is_loaded() -> bool:
    """Whether the library is in this process. Without it a path below ROOT would be a real one."""
    return hasattr(_library, "memfs_put")


def folder(name: str) -> str:
    """Make a folder below the root, with those above it, and return its path."""
    path = ROOT
    for part in name.split("/"):
        path = f"{path}/{part}"
        _library.mkdir(path.encode(), 0o700)  # which may exist
    return path


def put(path: str, content: Buffer) -> None:
    """Write a file whole. Raises MemoryError."""
    # A bytearray or a view is copied on the way; the store itself keeps a copy in any case.
    if _library.memfs_put(path.encode(), bytes(content), len(content)):
        raise MemoryError


def take(path: str) -> Buffer | None:
    """A file's bytes where they lie, valid while it is not changed; None where there is no file."""
    size = ctypes.c_size_t()
    start = _library.memfs_bytes(path.encode(), ctypes.byref(size))
    if start is None:
        return None
    return memoryview((ctypes.c_char * size.value).from_address(start)).cast("B")


def names(path: str) -> list[str]:
    """The names in a folder, in order."""
    return sorted(os.listdir(path))  # noqa: PTH208  # pathlib would only wrap it


@contextmanager
def holding() -> Iterator[None]:
    """Meanwhile, real files that this process opens for reading leave no descriptor open."""
    _library.memfs_hold(True)
    try:
        yield
    finally:
        _library.memfs_hold(False)


def limit(size: int) -> None:
    """Let all files together hold at most `size` bytes more than now."""
    _library.memfs_limit(size)


def was_full() -> bool:
    """Whether that limit was met, or memory ran out."""
    return bool(_library.memfs_was_full())


if is_loaded():
    _library.memfs_put.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t)
    _library.memfs_bytes.argtypes = (ctypes.c_char_p, ctypes.POINTER(ctypes.c_size_t))
    _library.memfs_bytes.restype = ctypes.c_void_p
    _library.memfs_limit.argtypes = (ctypes.c_size_t,)
    _library.memfs_hold.argtypes = (ctypes.c_bool,)
    _library.memfs_was_full.restype = ctypes.c_bool
