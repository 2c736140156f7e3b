"""Where the office family's parts lie: LibreOffice, our library in front of it, its false disk."""

import sys
from pathlib import Path

# Debian's packages libreoffice-writer, -calc, -impress, -draw and -math.
PROGRAM = "/usr/lib/libreoffice/program"
MERGED = f"{PROGRAM}/libmergedlo.so"
# Each of these brings the filters of one application.
APPLICATIONS = tuple(f"{PROGRAM}/lib{name}lo.so" for name in ("sw", "sc", "sd", "sm"))

# Made at set-up by `build.py`, beside the libraries of the environment that it belongs to.
LIBRARY = str(Path(sys.prefix) / "lib" / "ephemera" / "memfs.so")

# What exists only on the heap of a worker (`memfs/memfs.h`).
ROOT = "/memfs"
