"""Peers from their registries, pinned, each in a folder of its own in the user's cache.

Nothing of them is installed on the machine or becomes a dependency of ours. nginx and its filter
come as Debian's packages and are unpacked, not installed; their version is the archive's.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.peers import cache

# A registry that is slow; beyond it the peer is left out.
_FETCH_S = 300

SHARP = ("sharp@0.35.5", "pdf-lib@1.17.1")
IPX = ("ipx@3.1.1",)
THUMBOR = ("thumbor==7.8.0", "pillow==12.3.0", "tornado==6.6.1")
PILLOW = (
    *("fastapi==0.165.0", "starlette==1.10.0", "pydantic==2.14.3", "python-multipart==0.0.34"),
    *("uvicorn==0.54.0", "uvloop==0.23.0", "httptools==0.9.0"),
    *("pillow==13.0.0", "pillow-heif==1.8.1", "img2pdf==0.6.3", "openpyxl==3.1.5"),
    *("pypdf==7.1.0", "pypdfium2==5.15.2"),
)
WEASYPRINT = ("weasyprint==70.0",)
NGINX = ("nginx", "libnginx-mod-http-image-filter")

_STARTED = '#!/bin/sh\nexec "$(dirname "$0")/python" -m {module} "$@"\n'


class Missing(Exception):
    """A peer that cannot be had here; the text says why."""


def node(name: str, packages: Sequence[str]) -> Path:
    """A folder with these packages in `node_modules`."""
    for program in ("node", "npm"):
        _demand(program)
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")

    def make(folder: Path) -> None:
        _run(["npm", "install", *quiet, "--prefix", str(folder), *packages])

    return _kept(name, packages, make) / "node_modules"


def environment(name: str, packages: Sequence[str], module: str) -> Path:
    """The program `name` in an environment of Python with these packages and nothing of ours."""

    def make(folder: Path) -> None:
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _run([*pip, "--disable-pip-version-check", *packages])
        # What pip writes names the folder it was made in, which is moved now.
        program = folder / "bin" / name
        program.write_text(_STARTED.format(module=module))
        program.chmod(0o755)

    return _kept(name, packages, make) / "bin" / name


def debian(name: str, packages: Sequence[str]) -> Path:
    """The root that these packages and what they lack here unpack to."""
    for program in ("apt-get", "dpkg"):
        _demand(program)

    def make(folder: Path) -> None:
        archives = folder / "archives"
        (archives / "partial").mkdir(parents=True)
        places = ["-o", f"Dir::Cache::archives={archives}", "-o", "Debug::NoLocking=1"]
        wanted = ["--download-only", "--yes", "--no-install-recommends", "--reinstall"]
        _run(["apt-get", "install", *wanted, *places, *packages])
        for archive in archives.glob("*.deb"):
            _run(["dpkg", "-x", str(archive), str(folder / "root")])
        shutil.rmtree(archives)

    return _kept(name, packages, make) / "root"


def _kept(name: str, packages: Sequence[str], make: Callable[[Path], None]) -> Path:
    digest = hashlib.sha256("\n".join((sys.version, *packages)).encode()).hexdigest()[:12]
    try:
        return cache.kept(f"{name}-{digest}", make)
    except (subprocess.SubprocessError, OSError) as error:
        raise Missing(f"cannot be fetched: {_last_line(error)}") from error


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=_FETCH_S, env=dict(os.environ))


def _demand(program: str) -> None:
    if shutil.which(program) is None:
        raise Missing(f"{program} is not installed")


def _last_line(error: Exception) -> str:
    said = getattr(error, "stderr", None) or str(error).encode()
    lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:120] if lines else type(error).__name__
