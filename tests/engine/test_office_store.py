"""The files that LibreOffice is given in place of a disk, tried through Python's own file calls."""

import subprocess
import sys
from pathlib import Path

import pytest

from engine.converters.office.catalogue_places import LIBRARY

pytestmark = pytest.mark.skipif(not Path(LIBRARY).exists(), reason="the library is not built")

_HEAD = """
import errno, os
from engine.converters.office import store

def refused(error, call, *arguments):
    try:
        call(*arguments)
    except OSError as failure:
        assert failure.errno == error, failure
    else:
        raise AssertionError("it was done")
"""


def _try(program: str, *tracer: str) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [*tracer, "/usr/bin/env", f"LD_PRELOAD={LIBRARY}", sys.executable, "-c", _HEAD + program],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done


def test_what_is_written_is_read_again_and_no_such_file_reaches_the_kernel(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    _try(
        """
os.mkdir("/memfs/a")
with open("/memfs/a/b", "wb", buffering=0) as file:
    file.write(b"one two")
    file.seek(4)
    file.write(b"TWO three")
    file.truncate(7)
with open("/memfs/a/b", "ab", buffering=0) as file:
    file.write(b"!")
assert open("/memfs/a/b", "rb").read() == b"one TWO!"
assert bytes(store.take("/memfs/a/b")) == b"one TWO!"
assert os.stat("/memfs/a/../a/./b").st_size == 8
assert os.listdir("/memfs/a") == ["b"]
os.rename("/memfs/a", "/memfs/c")
assert store.names("/memfs/c") == ["b"]
""",
        *("strace", "-f", "-e", "trace=%file", "-o", str(trace)),
    )
    assert "/memfs" not in trace.read_text().replace(f'"{LIBRARY}"', "")


def test_it_refuses_what_a_disk_refuses() -> None:
    _try("""
refused(errno.ENOENT, open, "/memfs/none/x", "wb")
refused(errno.ENOENT, open, "/memfs/x", "rb")
os.mkdir("/memfs/d")
refused(errno.EEXIST, os.mkdir, "/memfs/d")
refused(errno.EISDIR, os.open, "/memfs/d", os.O_WRONLY)
store.put("/memfs/d/x", b"1")
refused(errno.ENOTEMPTY, os.rmdir, "/memfs/d")
refused(errno.EEXIST, os.open, "/memfs/d/x", os.O_CREAT | os.O_EXCL | os.O_WRONLY)
refused(errno.EPERM, os.symlink, "/etc/passwd", "/memfs/link")
refused(errno.EXDEV, os.rename, "/memfs/d/x", "/tmp/x")
refused(errno.EBADF, os.write, os.open("/memfs/d/x", os.O_RDONLY), b"2")
""")


def test_a_file_without_a_name_lives_until_it_is_closed() -> None:
    _try("""
store.put("/memfs/x", b"still here")
descriptor = os.open("/memfs/x", os.O_RDONLY)
os.unlink("/memfs/x")
refused(errno.ENOENT, os.stat, "/memfs/x")
assert os.read(descriptor, 100) == b"still here"
os.close(descriptor)
refused(errno.EBADF, os.read, descriptor, 1)
""")


def test_all_files_together_have_a_limit() -> None:
    _try("""
store.limit(1 << 20)
descriptor = os.open("/memfs/x", os.O_CREAT | os.O_WRONLY)
assert os.write(descriptor, bytes(500_000)) == 500_000
assert not store.was_full()
refused(errno.ENOSPC, os.write, descriptor, bytes(1_000_000))
assert store.was_full()
""")


def test_paths_that_only_look_like_ours_are_not() -> None:
    _try("""
assert os.path.exists("/memfs/../etc/passwd") is False
refused(errno.ENOENT, os.stat, "/memfsx")
assert os.path.exists("/etc/passwd")
""")


def test_each_child_has_its_own_copy() -> None:
    _try("""
store.put("/memfs/x", b"before")
if os.fork() == 0:
    store.put("/memfs/x", b"in the child")
    os._exit(0)
os.wait()
assert bytes(store.take("/memfs/x")) == b"before"
""")


def test_while_held_real_files_stay_readable_and_leave_no_descriptor_open() -> None:
    _try("""
before = set(os.listdir("/proc/self/fd"))
with store.holding():
    descriptor = os.open("/etc/passwd", os.O_RDONLY)
assert set(os.listdir("/proc/self/fd")) == before
assert b"root" in os.read(descriptor, 1000)
refused(errno.EBADF, os.write, descriptor, b"x")
""")
