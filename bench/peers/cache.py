"""Where peers and corpus are kept: a folder of the user's, outside the checkout.

What is in it was made by scripts and can be deleted at any time. A folder is there whole or not at
all: it is made beside its place and moved.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def root() -> Path:
    """The folder, which may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "ephemera" / "peers"


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """The folder of this name; `make` fills it where it is missing. Raises what `make` raises."""
    place = root() / name
    if place.is_dir():
        return place
    making = root() / f".{name}.{os.getpid()}"
    making.mkdir(parents=True)
    try:
        make(making)
        # Another process may have been first.
        if not place.is_dir():
            making.rename(place)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return place
