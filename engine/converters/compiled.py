"""Compile a shared library of ours at set-up, with any C compiler that is there.

$CC, cc, gcc, clang, or the one in the wheel ziglang. Nothing happens where the sources have not
changed since: a stamp beside the library holds their hash.
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_FLAGS = ("-std=gnu17", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared")


def build(
    library: Path,
    sources: Sequence[Path],
    *,
    purpose: str,
    headers: Sequence[Path] = (),
    flags: Sequence[str] = (),
) -> int:
    """Build it if needed; the exit code is 0 where it is there, 1 where nothing can compile."""
    flags = (*_FLAGS, *flags)
    stamp = library.with_suffix(".stamp")
    wanted = _hash((*sources, *headers), flags)
    if library.exists() and stamp.exists() and stamp.read_text() == wanted:
        return 0
    compiler = _compiler()
    if not compiler:
        sys.stderr.write(
            f"no C compiler: {purpose} need one at set-up; as root, apt-get install gcc libc6-dev,"
            " or in this environment, pip install ziglang\n"
        )
        return 1
    library.parent.mkdir(parents=True, exist_ok=True)
    made = library.with_suffix(f".{os.getpid()}")
    names = [str(path) for path in sources]
    subprocess.run([*compiler, *flags, "-o", str(made), *names], check=True)  # noqa: S603  # ours
    made.replace(library)
    stamp.write_text(wanted)
    return 0


def _hash(sources: Sequence[Path], flags: Sequence[str]) -> str:
    digest = hashlib.sha256(" ".join(flags).encode())
    for path in sources:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _compiler() -> Sequence[str]:
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if name and (path := shutil.which(name)):
            return (path,)
    if importlib.util.find_spec("ziglang"):
        return (sys.executable, "-m", "ziglang", "cc")
    return ()
