"""A host process that dies of a signal leaves no core dump; one that takes no care does."""

import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PATTERN = Path("/proc/sys/kernel/core_pattern").read_text().strip()
# As much as this process may have, whatever one before it took from itself.
UNLIMITED = (
    "import resource as r; r.setrlimit(r.RLIMIT_CORE, (r.getrlimit(r.RLIMIT_CORE)[1],) * 2); "
    "import os"
)
HARD = resource.getrlimit(resource.RLIMIT_CORE)[1]


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
    assert _dies(tmp_path, f"{UNLIMITED}; from sandbox.host import cores; cores.leave_none()") == []


@pytest.mark.skipif("/" in PATTERN or PATTERN.startswith("|"), reason="cores go elsewhere here")
@pytest.mark.skipif(HARD == 0, reason="nobody here may leave a core")
def test_a_host_that_takes_no_care_leaves_one(tmp_path: Path) -> None:
    assert len(_dies(tmp_path, UNLIMITED)) == 1
