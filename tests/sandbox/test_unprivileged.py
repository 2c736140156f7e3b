"""The whole stack as a user without any privilege, from an interpreter that user can read."""

import json
import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

USER = "nobody"
ROOT = Path(__file__).parents[2]


def readable_by_all(path: Path) -> bool:
    return all(step.stat().st_mode & 0o005 == 0o005 for step in (path, *path.parents))


def interpreter() -> Path | None:
    """This Python, or the system's of the same version, if everybody may run it."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(name, path="/usr/bin:/usr/local/bin")):
        if candidate and readable_by_all(Path(candidate).resolve()):
            return Path(candidate).resolve()
    return None


@pytest.fixture
def python() -> Iterator[Path]:
    """An environment with the project and its dependencies, for everybody to read."""
    if os.getuid() != 0:
        pytest.skip("not root: every other test here runs unprivileged already")
    base = interpreter()
    if base is None or not readable_by_all(ROOT):
        pytest.skip("no interpreter of this version, or no checkout, that nobody can read")
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory, "venv")
        subprocess.run([str(base), "-m", "venv", "--without-pip", str(home)], check=True)
        Path(directory).chmod(0o755)
        packages = next(home.glob("lib/python*/site-packages"))
        paths = [str(ROOT), sysconfig.get_path("platlib")]
        (packages / "project.pth").write_text("\n".join(paths))
        yield home / "bin/python"


def test_nobody_gets_strict_isolation(python: Path) -> None:
    ended = subprocess.run(
        [str(python), "-m", "tests.sandbox.lesser_kernel", "strict"],
        capture_output=True,
        check=False,
        timeout=60,
        user=USER,
        group=pwd.getpwnam(USER).pw_gid,
        extra_groups=[],
        cwd="/",
        env={},
    )
    assert ended.returncode == 0, ended.stderr
    outcome = json.loads(ended.stdout)
    assert outcome == {
        "user": pwd.getpwnam(USER).pw_uid,
        "missing": [],
        "succeeded": [],
        "works": True,
    }
