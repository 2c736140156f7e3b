"""Compile the library that keeps LibreOffice's files in memory: `python -m` this, at set-up."""

import sys
from pathlib import Path

from engine.converters.compiled import build
from engine.converters.office.catalogue_places import LIBRARY

if __name__ == "__main__":
    folder = Path(__file__).parent / "memfs"
    sys.exit(
        build(
            Path(LIBRARY),
            sorted(folder.glob("*.c")),
            headers=sorted(folder.glob("*.h")),
            # What the library does not offer must not take part in anybody's name resolution.
            flags=("-fvisibility=hidden",),
            purpose="office documents",
        )
    )
