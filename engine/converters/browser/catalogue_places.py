"""Where the browser family's parts lie: Chromium, what it reads, our library in front of it."""

import sys
from pathlib import Path

# Debian's package chromium-headless-shell. /usr/bin holds a shell script that starts this.
CHROMIUM = "/usr/lib/chromium/chromium-headless-shell"

# Made at set-up by `build.py`, beside the libraries of the environment that it belongs to.
LIBRARY = str(Path(sys.prefix) / "lib" / "ephemera" / "browser-memory.so")

# Its own files, the libraries it is linked with, and fonts with what says which one is meant.
READS = (
    "/usr/lib/chromium",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/lib64",
    "/etc/ld.so.cache",
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    "/usr/share/fontconfig",
    "/etc/fonts",
    "/var/cache/fontconfig",
    LIBRARY,
)
