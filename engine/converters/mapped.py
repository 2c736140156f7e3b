"""Read-only files in memory that a fork costs nothing for.

What a zygote reads into its heap has pages that every fork must count and every exit let go, 250 a
MiB. Pages of a file that is mapped and never written are left out of both: a worker maps those
that it looks at. Python's own mmap keeps the file open, which nothing in a zygote may be.
"""

import ctypes
import mmap
import os
from pathlib import Path

_READABLE = 0x100  # PyBUF_READ
_FAILED = ctypes.c_void_p(-1).value


def mapped(path: Path) -> memoryview:
    """The file's bytes, for as long as the process lives. Raises OSError."""
    libc, python = ctypes.CDLL(None, use_errno=True), ctypes.pythonapi
    libc.mmap.restype = ctypes.c_void_p
    number = ctypes.c_int
    libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, number, number, number, ctypes.c_long)
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = libc.mmap(None, size, mmap.PROT_READ, mmap.MAP_PRIVATE, file.fileno(), 0)
    if start == _FAILED:
        raise OSError(ctypes.get_errno(), "it cannot be mapped", str(path))
    python.PyMemoryView_FromMemory.restype = ctypes.py_object
    python.PyMemoryView_FromMemory.argtypes = (ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)
    view: memoryview = python.PyMemoryView_FromMemory(start, size, _READABLE)
    return view
