"""One worker as the host sees it: two pipes, a pidfd, and how it ended.

One use of it is a sequence of small steps, so that a file can pass through while it arrives, and
its result while it is fetched:

    open ─▶ feed, feed, … end ─▶ (the same for each input) ─▶ go ─▶ read, read, … the last byte

Until `go` the worker only receives, so it needs no core. A worker is used from one task at a time.
A step that fails or is cancelled leaves it dead with its pipes closed; so does `release`, for a use
that was given up between two steps; after the last byte it is ready for its next use, or exits.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

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
# How long in all a worker may keep the host waiting while it takes its inputs, and again while it
# hands over its files: it has nothing else to do, and a gigabyte takes a second.
_PATIENCE_S = 60.0
# A worker of several uses begins each with at least nine tenths of its CPU seconds: small files,
# which it is for, are then not slowed down by asking for them anew each time.
_CPU_SHARE_SPENT = 0.1


# Called with how many hundredths are done (1 to 100), each time more; returns at once.
Progress = Callable[[int], None]


class ReplyHead(msgspec.Struct, frozen=True):
    """What a worker answered, and the sizes of the files that are still with it."""

    header: bytes
    sizes: tuple[int, ...]


class Reply(msgspec.Struct, frozen=True):
    """A whole answer: capped bytes that nobody has looked into yet."""

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
        # Of the present use: frames that wait for the next write, whether any byte has left, what
        # is still to be read, and how much longer it may keep the host waiting.
        self._queued: list[memoryview] = []
        self._touched = False
        self._unread = 0
        self._patience_s = 0.0
        self._begun_s = 0.0
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
        progress: Progress | None = None,
    ) -> Reply:
        """Convert once, everything in memory. Raises SandboxError for every way that can fail.

        RequestInvalid and WorkerGone say that the worker was given nothing. Whatever is raised
        beyond RequestInvalid ends the worker, a cancellation too.
        """
        self.open(header, [memoryview(upload).nbytes for upload in inputs])
        for upload in inputs:
            await self.feed(upload)
            self.end()
        head = await self.go(
            deadline_s=deadline_s, output_bytes_max=output_bytes_max, progress=progress
        )
        files = [pipes.untouched(size) for size in head.sizes]
        for file in files:
            await self.read(memoryview(file))
        return Reply(head.header, files, self.layers)

    def open(self, header: Buffer, ceilings: Sequence[int]) -> None:
        """Begin one use, with the most bytes that each input may have.

        Raises RequestInvalid, and WorkerGone or ZygoteDied for one that has ended already.
        """
        if self._in_use or self.uses_left < 1:
            raise RuntimeError("a worker serves one caller at a time, and no more than its uses")
        if sum(ceilings) > self._limits.input_bytes_max:
            raise RequestInvalid(
                f"{sum(ceilings)} bytes of input are beyond the worker's "
                f"{self._limits.input_bytes_max}"
            )
        frame = wire.header_frame(header, ceilings)
        if self._exit.done():
            raise self._unused(self._exit.result())
        self._in_use, self._touched = True, False
        self.uses_left -= 1
        self._queued = [memoryview(frame)]
        self._patience_s = _PATIENCE_S
        self._begun_s = asyncio.get_running_loop().time()

    async def feed(self, piece: Buffer) -> None:
        """Give it the next bytes of the present input; they are in its pipe on return.

        Raises a SandboxError; WorkerGone where no byte of this use had left before.
        """
        view = memoryview(piece).cast("B")
        for start in range(0, len(view), wire.DATA_BYTES_MAX):
            part = view[start : start + wire.DATA_BYTES_MAX]
            self._queued += (memoryview(wire.data_head(len(part))), part)
            async with self._step():
                await self._send()

    def announce(self, size: int) -> None:
        """Say that the next so many bytes of the present input come by `pour`.

        Raises RequestInvalid for more than one record has room for.
        """
        if size > wire.DATA_BYTES_MAX:
            raise RequestInvalid(f"{size} bytes are beyond a record's {wire.DATA_BYTES_MAX}")
        self._queued.append(memoryview(wire.data_head(size)))

    async def pour(self, source: int, most: int) -> int:
        """Give it what a socket has now, at most so many bytes, and say how many that were.

        They never are in this process. Raises a SandboxError, and ConnectionResetError where the
        socket has come to its end.
        """
        async with self._step():
            await self._send()
            self._touched = True
            return await pipes.pour(source, self._up, most)

    def end(self) -> None:
        """Say that the present input is complete; the worker hears it with the next bytes."""
        self._queued.append(memoryview(wire.END))

    async def go(
        self, *, deadline_s: float, output_bytes_max: int, progress: Progress | None = None
    ) -> ReplyHead:
        """Have it convert, and return what it answers ahead of its files. Raises a SandboxError.

        `progress` hears meanwhile how many hundredths are done, if the conversion says so.
        """
        reply = wire.ReplyReader(output_bytes_max=output_bytes_max, progress=progress)
        self._queued.append(memoryview(wire.WATCH if progress else wire.GO))
        self._patience_s = deadline_s
        async with self._step():
            await self._renew_cpu()
            await self._send()
            await pipes.fill(self._down, reply)
        self._patience_s = _PATIENCE_S
        self._unread = sum(reply.sizes)
        if not self._unread:
            self._answered()
        return ReplyHead(reply.header, reply.sizes)

    async def read(self, room: memoryview) -> None:
        """Fill `room` with the next bytes of its files; all calls together ask for what there is.

        Raises a SandboxError.
        """
        if not room:
            return
        async with self._step():
            await pipes.fill(self._down, wire.Filling(room))
        self._unread -= len(room)
        if not self._unread:
            self._answered()

    def release(self) -> bool:
        """End the use; True where it can be used again. One not read to its end is ended."""
        if self._in_use:
            self.discard()
        return self._up >= 0 and self.uses_left > 0

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
        self._in_use = False
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

    async def _send(self) -> None:
        """Write what is queued."""
        if not self._is_ready and not self._touched:
            await self._announcement()
        self._is_ready = False
        before = sum(map(len, self._queued))
        try:
            await pipes.drain(self._up, self._queued)
        finally:
            self._touched |= sum(map(len, self._queued)) < before

    @asynccontextmanager
    async def _step(self) -> AsyncIterator[None]:
        """One step of a use, within its patience: whatever it raises, the worker is dead then."""
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        try:
            async with asyncio.timeout(self._patience_s):
                yield
        except TimeoutError:
            self.discard()
            raise WorkerTimedOut("the worker kept its host waiting for too long") from None
        except (EOFError, BrokenPipeError):
            try:
                raise await self._failure(touched=self._touched) from None
            finally:
                self.discard()
        except BaseException:
            self.discard()
            raise
        finally:
            self._patience_s -= clock() - begun_s

    def _answered(self) -> None:
        """Its last byte is here."""
        self._in_use = False
        self._busy_s += asyncio.get_running_loop().time() - self._begun_s
        if self.uses_left == 0 or self._exit.done():
            self._retire()

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
