"""What a trace of system calls says about a promise: nothing written, hidden or sent elsewhere.

The judge knows no process by name. Whatever is traced may read, may write to descriptors that were
open before, and may talk to PostgreSQL's Unix socket; anything else that leaves bytes somewhere or
opens a way out is an offence, if the kernel let it happen.
"""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

OPENING = {"open", "openat", "openat2"}
# Each of these makes, changes or removes something in a filesystem, or memory that has a name.
LEAVING = {
    "creat", "memfd_create", "memfd_secret", "ftruncate", "ftruncate64", "truncate", "truncate64",
    "fallocate", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat",
    "renameat2", "link", "linkat", "symlink", "symlinkat", "mknod", "mknodat", "shmget", "shmat",
    "msgget", "mq_open", "copy_file_range", "io_uring_setup", "swapon", "mount", "setxattr",
}  # fmt: skip
CALLING = {"socket", "connect", "bind", "listen", "sendto", "sendmsg"}
MAPPING = {"mmap"}
# The mandatory part of the proof is to see all of them; `?` is for those a machine does not have.
TRACED = ",".join(f"?{name}" for name in sorted(OPENING | LEAVING | CALLING | MAPPING))

WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TMPFILE|O_TRUNC|O_APPEND")
POSTGRES = re.compile(r'sa_family=AF_UNIX, sun_path="[^"]+/\.s\.PGSQL\.\d+"')
_CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)$")


class Call(NamedTuple):
    """One system call that ended."""

    pid: int
    name: str
    rest: str

    @property
    def failed(self) -> bool:
        # A connection that is being made is under way, not refused.
        return " = -1 " in self.rest and "EINPROGRESS" not in self.rest

    @property
    def offends(self) -> bool:
        if self.failed:
            return False
        if self.name in LEAVING or self.name in {"bind", "listen"}:
            return True
        return {
            **dict.fromkeys(OPENING, bool(WRITING.search(self.rest))),
            "socket": not self.rest.startswith("AF_UNIX"),
            "connect": not POSTGRES.search(self.rest),
            "sendto": "sin_addr" in self.rest or "sin6_addr" in self.rest,
            "sendmsg": "sin_addr" in self.rest or "sin6_addr" in self.rest,
            "mmap": "MAP_SHARED" in self.rest and "PROT_WRITE" in self.rest,
        }[self.name]


def calls(trace: str) -> list[Call]:
    """The calls in the order of their ends, with a call that was cut in two put together."""
    begun: dict[tuple[str, str], str] = {}
    found = []
    for line in trace.splitlines():
        if resumed := _RESUMED.match(line):
            key = (resumed["pid"], resumed["name"])
            found.append(Call(int(key[0]), key[1], begun.pop(key, "") + resumed["rest"]))
        elif (call := _CALL.match(line)) and "<unfinished" in line:
            begun[call["pid"], call["name"]] = call["rest"].removesuffix(" <unfinished ...>")
        elif call:
            found.append(Call(int(call["pid"]), call["name"], call["rest"]))
    return found


def offences(trace: str) -> list[Call]:
    return [call for call in calls(trace) if call.offends]


def strace(file: Path, *what: str) -> Sequence[str]:
    """The tracer's command line: every thread and child, only what the judge looks at."""
    return ["strace", "-f", "-qq", "-o", str(file), "-e", f"trace={TRACED}", "-e", "signal=none",
            *what]  # fmt: skip


def writable_files(pid: int) -> set[str]:
    """The regular files that a process holds open for writing."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = entry.resolve()
            flags = int(Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text().split()[3], 8)
        except FileNotFoundError:
            continue
        if flags & 0o3 and target.is_file():
            found.add(str(target))
    return found


def attach(tracer: "subprocess.Popen[str]", wanted: int) -> bool:
    """Wait until the tracer holds so many processes; False where it may not."""
    assert tracer.stderr is not None
    held = 0
    for line in tracer.stderr:
        held += "attached" in line
        if "not permitted" in line:
            return False
        if held == wanted:
            return True
    return False
