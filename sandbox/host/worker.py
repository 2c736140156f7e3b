"""One worker as the host sees it: two pipes, a pidfd, and how it ended.

A worker is used from one task at a time. Every path out of `run`, cancellation included, leaves
it either ready for its next use or dead with its pipes closed.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from sandbox import wire
from sandbox.errors import (
    RequestInvalid,
    SandboxError,
    SandboxUnavailable,
    WorkerGone,
    WorkerTimedOut,
    ZygoteDied,
)
from sandbox.host import pipes
from sandbox.host.verdict import OutOfMemoryWatch, WorkerExit, verdict
from sandbox.limits import Limits
from sandbox.spec import WorkerAttestation
from sandbox.wire import Buffer

# Between a worker's end and the zygote's notice of it lie microseconds; a zygote that needs five
# seconds is stopped or broken.
NOTICE_S = 5.0
# What a worker that has answered still has to do is exit.
_EXIT_S = 1.0
# A worker of several uses begins each with at least nine tenths of its CPU seconds: small files,
# which it is for, are then not slowed down by asking for them anew each time.
_CPU_SHARE_SPENT = 0.1


class Reply(msgspec.Struct, frozen=True):
    """What a worker answered: capped bytes that nobody has looked into yet."""

    header: bytes
    files: list[bytearray]
    # The confinement steps that this worker attested when it announced itself.
    layers: tuple[str, ...] = ()


class Worker:
    """A confined process that serves `uses_left` more conversions. Made by `Forkserver.spawn`."""

    def __init__(
        self,
        *,
        zygote: int,
        pid: int,
        pidfd: int,
        up: int,
        down: int,
        uses: int,
        limits: Limits,
        memory: OutOfMemoryWatch,
        on_silence: Callable[[], None],
        renew: Callable[[int], Awaitable[None]],
    ) -> None:
        # The pid in the zygote's view, and a label that no other worker of this machine has now.
        self.pid = pid
        self.name = f"{zygote}.{pid}"
        self.uses_left = uses
        self.layers: tuple[str, ...] = ()
        self._pidfd = pidfd
        self._up = up
        self._down = down
        self._limits = limits
        self._memory = memory
        self._on_silence = on_silence
        self._renew = renew
        # Seconds it was given since its CPU limit was last set: no less than the CPU it used.
        self._busy_s = 0.0
        self._is_ready = False
        # Its pipes are being read or written: whoever does so closes them. The first to do so is
        # `announced`, and the news of the end may come before.
        self._in_use = True
        self._exit: asyncio.Future[WorkerExit] = asyncio.get_running_loop().create_future()
        self._exit_timer: asyncio.TimerHandle | None = None

    async def run(
        self,
        header: Buffer,
        inputs: Sequence[Buffer],
        *,
        deadline_s: float,
        output_bytes_max: int,
    ) -> Reply:
        """Convert once. Raises SandboxError of some kind for every way that can fail.

        RequestInvalid and WorkerGone say that the worker was given nothing. Whatever is raised
        beyond RequestInvalid ends the worker, a cancellation too.
        """
        if self._in_use or self.uses_left < 1:
            raise RuntimeError("a worker serves one caller at a time, and no more than its uses")
        outflow = self._outflow(header, inputs)
        if self._exit.done():
            raise self._unused(self._exit.result())
        reply = wire.ReplyReader(output_bytes_max=output_bytes_max, allocate=pipes.untouched)
        self._in_use = True
        self.uses_left -= 1
        begun = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(deadline_s):
                await self._renew_cpu()
                await self._exchange(outflow, reply)
        except TimeoutError:
            self.discard()
            raise WorkerTimedOut(f"the worker was still busy after {deadline_s} s") from None
        except BaseException:
            self.discard()
            raise
        finally:
            self._in_use = False
            self._busy_s += asyncio.get_running_loop().time() - begun
            if self.uses_left == 0 or self._exit.done():
                self._retire()
        return Reply(reply.header, reply.files, self.layers)

    @property
    def alive(self) -> bool:
        """Say whether it can still be used; False from the moment its end is known."""
        return not self._exit.done()

    def kill(self) -> None:
        """End the worker now (SIGKILL). Idempotent; does nothing for one that has ended."""
        if self._pidfd >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def ended(self) -> WorkerExit:
        """Wait until the worker has ended, and return how."""
        return await asyncio.shield(self._exit)

    async def announced(self) -> None:
        """Wait for the first READY. Raises SandboxUnavailable where the worker refuses.

        Raises another SandboxError where it ends first. A caller that gives up calls `discard`.
        """
        await self._announcement()
        self._in_use = False
        if self._exit.done():
            self._close_pipes()

    def discard(self) -> None:
        """Kill the worker and let go of its pipes."""
        self.kill()
        self._close_pipes()

    def note_exit(self, end: WorkerExit) -> None:
        """Take the news of the end: from the zygote's notice, or because the zygote is gone."""
        if self._exit.done():
            return
        self._exit.set_result(end)
        if self._exit_timer is not None:
            self._exit_timer.cancel()
        os.close(self._pidfd)
        self._pidfd = -1
        if not self._in_use:
            self._close_pipes()

    async def _renew_cpu(self) -> None:
        spent_s = self._busy_s * (1 + self._limits.threads)
        if spent_s > self._limits.cpu_s * _CPU_SHARE_SPENT:
            await self._renew(self.pid)
            self._busy_s = 0.0

    async def _announcement(self) -> None:
        ready = wire.ReadyReader()
        try:
            await pipes.fill(self._down, ready)
        except EOFError:
            raise await self._failure() from None
        if ready.attestation is None:
            raise SandboxUnavailable(ready.refusal)
        try:
            said = msgspec.msgpack.decode(ready.attestation, type=WorkerAttestation)
        except msgspec.DecodeError as nonsense:
            raise SandboxUnavailable("the worker's attestation is unreadable") from nonsense
        self.layers = said.layers
        self._is_ready = True

    def _outflow(self, header: Buffer, inputs: Sequence[Buffer]) -> pipes.Outflow:
        total = sum(memoryview(upload).nbytes for upload in inputs)
        if total > self._limits.input_bytes_max:
            raise RequestInvalid(
                f"{total} bytes of input are beyond the worker's {self._limits.input_bytes_max}"
            )
        return pipes.Outflow(wire.request_frames(header, inputs))

    async def _exchange(self, outflow: pipes.Outflow, reply: wire.ReplyReader) -> None:
        try:
            if not self._is_ready:
                await self._announcement()
            self._is_ready = False
            await outflow.drain(self._up)
            await pipes.fill(self._down, reply)
        except (EOFError, BrokenPipeError):
            raise await self._failure(touched=outflow.sent > 0) from None

    async def _failure(self, *, touched: bool = True) -> SandboxError:
        """Return the error for a worker that hung up, once it is known how it ended."""
        # One that only closed its pipe ends now; one that is ending already keeps its status.
        self.kill()
        try:
            async with asyncio.timeout(NOTICE_S):
                end = await self.ended()
        except TimeoutError:
            self._on_silence()
            return ZygoteDied("the zygote did not report a worker's end and was ended itself")
        if not touched:
            return self._unused(end)
        struck = end.signal == signal.SIGKILL and self._memory.struck()
        return verdict(end, self._limits, machine_out_of_memory=struck)

    def _unused(self, end: WorkerExit) -> SandboxError:
        if end.seen:
            return WorkerGone("the worker had ended before it was given anything")
        return ZygoteDied("the zygote had ended, and its workers with it")

    def _retire(self) -> None:
        """Let a worker go that has answered for the last time, and see that it goes."""
        self._close_pipes()
        if not self._exit.done():
            self._exit_timer = asyncio.get_running_loop().call_later(_EXIT_S, self.kill)

    def _close_pipes(self) -> None:
        for end in (self._up, self._down):
            if end >= 0:
                os.close(end)
        self._up = self._down = -1
