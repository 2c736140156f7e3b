"""System calls of a running service, by strace: how many, by whom, and how many bytes they moved.

Every byte that a read or a write moves is copied by the kernel once. What is spliced is not, and
is not counted. Over the bytes of upload and result that gives the number of copies.
"""

import asyncio
import re
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from bench import processes
from tests.system import judge

_COPYING = frozenset({
    *("read", "readv", "pread64", "recvfrom", "recvmsg"),
    *("write", "writev", "pwrite64", "sendto", "sendmsg"),
})  # fmt: skip
_FORKING = frozenset({"clone", "clone3", "fork", "vfork"})
_RETURNED = re.compile(r" = (\d+)[^=]*$")
# strace is asked to stop and writes what it still holds.
_END_S = 30.0


class Traced(msgspec.Struct, frozen=True):
    """By role: calls, and bytes that were copied."""

    calls: Counter[str]
    copied: Counter[str]
    # (role, name of the call) → how many: what to look at when a figure has grown.
    named: Counter[tuple[str, str]]


async def trace(gateway: int, run: Callable[[], Awaitable[None]]) -> Traced | None:
    """What `run` causes; None where strace may not attach."""
    zygotes = processes.zygotes(gateway)
    guardians = [
        pid for pid in processes.children(gateway) if set(processes.children(pid)) & set(zygotes)
    ]
    workers = processes.workers(gateway)
    roles = dict.fromkeys([*guardians, *zygotes], "zygote")
    roles |= await asyncio.to_thread(_threads, gateway)
    with tempfile.TemporaryDirectory(prefix="gate-") as folder:
        file = Path(folder, "trace")
        held = [gateway, *guardians, *zygotes, *workers]
        command = ["strace", "-f", "-s", "0", "-o", str(file), "-e", "signal=none"]
        command += [word for pid in held for word in ("-p", str(pid))]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:  # noqa: ASYNC220  # starts at once
            try:
                if not await asyncio.to_thread(judge.attach, tracer, len(held)):
                    return None
                drain = asyncio.create_task(asyncio.to_thread(tracer.stderr.read))  # type: ignore[union-attr]
                await run()
            finally:
                tracer.send_signal(signal.SIGINT)
            await asyncio.wait_for(drain, _END_S)
        return _added_up(await asyncio.to_thread(file.read_text), roles)


def _threads(gateway: int) -> dict[int, str]:
    return {int(task.name): "gateway" for task in Path(f"/proc/{gateway}/task").iterdir()}


def _added_up(text: str, roles: dict[int, str]) -> Traced:
    traced = Traced(Counter(), Counter(), Counter())
    for call in judge.calls(text):
        role = roles.setdefault(call.pid, "worker")
        returned = _RETURNED.search(call.rest)
        if call.name in _FORKING and returned and role == "gateway":
            roles[int(returned[1])] = "gateway"  # a thread: what the gateway executes is traced
        traced.calls[role] += 1
        traced.named[role, call.name] += 1
        if call.name in _COPYING and returned:
            traced.copied[role] += int(returned[1])
    return traced


def most(traced: Traced, role: str, count: int, requests: int) -> str:
    """The calls that a role makes most, a request."""
    own = Counter({name: number for (who, name), number in traced.named.items() if who == role})
    return ", ".join(f"{name} {number / requests:.1f}" for name, number in own.most_common(count))
