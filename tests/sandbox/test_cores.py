"""A host process that dies of a signal leaves no core dump; one that takes no care does."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PATTERN = Path("/proc/sys/kernel/core_pattern").read_text().strip()
UNLIMITED = "import os, resource as r; r.setrlimit(r.RLIMIT_CORE, (r.RLIM_INFINITY,) * 2)"
# Only root can raise a limit that was lowered.
FIRST = UNLIMITED if os.geteuid() == 0 else "import os"


def _dies(folder: Path, first: str) -> list[Path]:
    ended = subprocess.run(
        [sys.executable, "-c", f"{first}; os.abort()"],
        cwd=folder,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    assert ended.returncode == -signal.SIGABRT
    return list(folder.iterdir())


@pytest.mark.claim("C-CORE-1")
def test_a_host_that_dies_leaves_no_core(tmp_path: Path) -> None:
    assert _dies(tmp_path, f"{FIRST}; from sandbox.host import cores; cores.leave_none()") == []


@pytest.mark.skipif("/" in PATTERN or PATTERN.startswith("|"), reason="cores go elsewhere here")
@pytest.mark.skipif(os.geteuid() != 0, reason="who took care once cannot go back")
def test_a_host_that_takes_no_care_leaves_one(tmp_path: Path) -> None:
    assert len(_dies(tmp_path, UNLIMITED)) == 1
