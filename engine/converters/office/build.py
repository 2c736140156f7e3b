"""Compile the library that keeps LibreOffice's files in memory: `python -m` this, at set-up.

It takes any C compiler: $CC, cc, gcc, clang, or the one in the wheel ziglang. Nothing happens where
the sources have not changed; the result says so with its own stamp, a hash of them.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from engine.converters.office.catalogue_places import LIBRARY

_FOLDER = Path(__file__).parent / "memfs"
_FLAGS = (
    "-std=gnu17",
    "-O2",
    "-Wall",
    "-Wextra",
    "-fPIC",
    "-shared",
    # What the library does not offer must not take part in anybody's name resolution.
    "-fvisibility=hidden",
)


def main() -> int:
    """Build it if needed; the exit code is 0 where it is there, 1 where nothing can compile."""
    library = Path(LIBRARY)
    stamp = library.with_suffix(".stamp")
    wanted = _hash()
    if library.exists() and stamp.exists() and stamp.read_text() == wanted:
        return 0
    compiler = _compiler()
    if not compiler:
        sys.stderr.write(
            "no C compiler: office documents need one at set-up; as root, apt-get install gcc"
            " libc6-dev, or in this environment, pip install ziglang\n"
        )
        return 1
    library.parent.mkdir(parents=True, exist_ok=True)
    made = library.with_suffix(f".{os.getpid()}")
    sources = sorted(str(path) for path in _FOLDER.glob("*.c"))
    subprocess.run([*compiler, *_FLAGS, "-o", str(made), *sources], check=True)  # noqa: S603  # ours
    made.replace(library)
    stamp.write_text(wanted)
    return 0


def _hash() -> str:
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for path in sorted(_FOLDER.iterdir()):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _compiler() -> Sequence[str]:
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return (path,)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    return ()


if __name__ == "__main__":
    sys.exit(main())
