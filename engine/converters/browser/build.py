"""Compile the library that gives Chromium its shared memory: `python -m` this, at set-up."""

import sys
from pathlib import Path

from engine.converters.browser.catalogue_places import LIBRARY
from engine.converters.compiled import build

if __name__ == "__main__":
    source = Path(__file__).with_name("memory.c")
    sys.exit(build(Path(LIBRARY), [source], purpose="web pages"))
