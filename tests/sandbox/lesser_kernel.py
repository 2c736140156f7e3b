"""A program: start a zygote where the kernel offers less, and say what came of it, as JSON.

    python -m tests.sandbox.lesser_kernel LEVEL[:reads=PATH|:program=PATH] [CALL=ERRNO ...]

Each named system call answers that errno without being run, for this process and all it starts;
0 is the answer of a kernel that claims to have done it.
"""

import asyncio
import ctypes
import errno
import json
import os
import platform
import struct
import sys
from pathlib import Path

from sandbox.errors import SandboxUnavailable
from sandbox.jail.syscalls import number, prctl, syscall
from tests.sandbox.zygotes import ask, order, zygote

_NO_NEW_PRIVS = 38
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000


def offer_less(answers: dict[str, int]) -> None:
    program = [(_LOAD, 0, 0, 0)]
    for call, answer in answers.items():
        called = number(call, platform.machine())
        assert called is not None
        program += [(_EQUAL, 0, 1, called), (_RETURN, 0, 0, _ERRNO | answer)]
    program.append((_RETURN, 0, 0, _ALLOW))
    code = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *line) for line in program))
    header = struct.pack("@HP", len(program), ctypes.addressof(code))
    prctl(_NO_NEW_PRIVS, 1)
    syscall("seccomp", 1, 0, header)


async def start(level: str, grant: str) -> dict[str, object]:
    kind, _, path = grant.partition("=")
    grants = {"reads": (Path(path),)} if kind == "reads" else {kind: Path(path)} if kind else {}
    try:
        async with zygote(order(level=level, **grants)) as server:  # type: ignore[arg-type]
            reply = await ask(server, "echo", [b"works"])
            return {
                "user": os.getuid(),
                "missing": server.attestation.missing,
                "succeeded": server.attestation.succeeded,
                "works": reply.files == [b"works"],
            }
    except SandboxUnavailable as refusal:
        return {"refusal": str(refusal)}


if __name__ == "__main__":
    pairs = [argument.split("=") for argument in sys.argv[2:]]
    if pairs:
        offer_less({call: getattr(errno, name, 0) for call, name in pairs})
    level, _, grant = sys.argv[1].partition(":")
    print(json.dumps(asyncio.run(start(level, grant))))  # noqa: T201 - its output
