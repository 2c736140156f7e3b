"""A zygote process and the workers forked from it: start, spawn, notice every end, close.

The zygote says everything over one channel (`sandbox/spec.py`), and its silence is an answer too.
It is the only one that learns how a worker ended; so when it is gone, every open question about
its workers is answered at once: they died with it.
"""

import asyncio
import itertools
import os
import socket
from collections.abc import Callable
from typing import Self

import msgspec

from sandbox import spec
from sandbox.errors import SandboxUnavailable, ZygoteDied
from sandbox.host import cores, pipes
from sandbox.host.process import ZygoteProcess
from sandbox.host.verdict import OutOfMemoryWatch, WorkerExit
from sandbox.host.worker import Worker
from sandbox.spec import Attestation, ZygoteSpec

# Preloading every codec takes a fifth of a second; a cold disk on a busy machine, a hundred times.
_BOOT_S = 60.0
# A fork takes milliseconds. A zygote that needs this long is stopped or broken, and is ended.
_SPAWN_S = 20.0
# Closing the channel ends an honest zygote at once; any other is killed after this.
_CLOSE_S = 2.0
_NO_DESCRIPTORS = "no descriptors for another worker: raise the limit of open files"
# Notices taken in one go, so that a flood of them leaves the loop to others.
_NOTICES_A_TURN = 64


class Forkserver:
    """One zygote process and the workers forked from it. Made by `start`."""

    attestation: Attestation

    def __init__(
        self,
        order: ZygoteSpec,
        process: ZygoteProcess,
        control: socket.socket,
        on_exit: Callable[[WorkerExit], None],
    ) -> None:
        self.spec = order
        self._on_exit = on_exit
        self._process = process
        self._control = control
        self._memory = OutOfMemoryWatch()
        self._notices: msgspec.msgpack.Decoder[spec.Notice] = msgspec.msgpack.Decoder(spec.Notice)
        self._requests = itertools.count(1)
        self._pending: dict[int, _Pending] = {}
        # By their pid in the zygote's view.
        self._workers: dict[int, Worker] = {}
        # Those that came while this process was out of descriptors: without a pidfd, and without
        # pipes, at the end of which they find nobody and exit.
        self._foundlings: set[int] = set()
        self._sending = asyncio.Lock()
        # Why it is gone; empty while it lives.
        self._loss = ""
        loop = asyncio.get_running_loop()
        self._booted: asyncio.Future[Attestation] = loop.create_future()
        loop.add_reader(control.fileno(), self._listen)

    @classmethod
    async def start(
        cls, order: ZygoteSpec, *, on_exit: Callable[[WorkerExit], None] = lambda _: None
    ) -> Self:
        """Boot a zygote, confined and self-attacked. `on_exit` hears how each worker ended.

        Raises SandboxUnavailable, whose sentence names the missing layer and the switch.
        """
        if order.omit and order.level != "unsafe":
            raise SandboxUnavailable('confinement steps can be left out only at level "unsafe"')
        cores.leave_none()
        try:
            process, control = ZygoteProcess.start(order)
        except OSError as failure:
            raise SandboxUnavailable(f"the zygote cannot be started: {failure}") from failure
        server = cls(order, process, control, on_exit)
        try:
            await server._boot()
        except BaseException:
            await server.close()
            raise
        return server

    @property
    def pid(self) -> int:
        """The zygote's pid on this machine."""
        return self._process.pid

    def alive(self) -> bool:
        """Say whether workers can be spawned."""
        return not self._loss

    async def spawn(self, uses: int | None = None, *, touch: bool = True) -> Worker:
        """Fork a worker and wait until it is confined and READY.

        It serves `uses` conversions (as many as the zygote's spec says, if None) and exits. With
        `touch` it has touched its pages before; without, it is ready sooner and its first slower.

        Raises ZygoteDied if the zygote is gone, SandboxUnavailable if the worker cannot be
        confined or forked, another SandboxError if it ended before it was ready.
        """
        if self._loss:
            raise ZygoteDied(self._loss)
        pending, its_up, its_down = self._new_pending(uses or self.spec.uses, touch=touch)
        try:
            await self._order_fork(pending, its_up, its_down)
            async with asyncio.timeout(_SPAWN_S):
                worker = await pending.worker
                await worker.announced()
            self._check(worker)
        except TimeoutError:
            pending.abandon()
            self._fail("the zygote stopped answering and was ended")
            raise ZygoteDied(self._loss) from None
        except BaseException:
            pending.abandon()
            raise
        return worker

    async def wait_closed(self) -> None:
        """Wait until the zygote and all of its workers are gone, for whatever reason."""
        await self._process.ended.wait()

    async def close(self) -> None:
        """End the zygote and its workers, and wait until they are gone. Idempotent."""
        self._lose("the zygote was closed")
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.wait_closed()
        except TimeoutError:
            self._process.kill()
            await self.wait_closed()
        except BaseException:
            self._process.kill()
            raise
        finally:
            self._process.stop_listening()

    async def _boot(self) -> None:
        try:
            self._control.send(msgspec.msgpack.encode(self.spec))
            async with asyncio.timeout(_BOOT_S):
                self.attestation = await self._booted
        except TimeoutError:
            said = self._process.last_words()
            raise SandboxUnavailable(f"the zygote did not boot in {_BOOT_S} s: {said}") from None
        except (ZygoteDied, OSError):
            self._lose("the zygote ended while booting")
            await self.wait_closed()
            said = self._process.last_words()
            raise SandboxUnavailable(f"the zygote ended while booting: {said}") from None
        self._process.stop_listening()

    def _new_pending(self, uses: int, *, touch: bool) -> tuple["_Pending", int, int]:
        try:
            its_up, up, down, its_down = pipes.pipe_pair()
        except OSError as failure:
            raise SandboxUnavailable(f"{_NO_DESCRIPTORS} ({failure.strerror})") from failure
        pending = _Pending(spec.Spawn(next(self._requests), uses, touch), up, down)
        self._pending[pending.order.request] = pending
        return pending, its_up, its_down

    async def _order_fork(self, pending: "_Pending", its_up: int, its_down: int) -> None:
        """Send a spawn order, with the worker's ends of its pipes, which are closed here."""
        try:
            await self._order(pending.order, its_up, its_down)
        finally:
            os.close(its_up)
            os.close(its_down)

    async def _renew(self, pid: int) -> None:
        await self._order(spec.Renew(pid))

    async def _order(self, order: spec.Order, *descriptors: int) -> None:
        packet = msgspec.msgpack.encode(order)
        async with self._sending:
            while not self._loss:
                try:
                    socket.send_fds(self._control, [packet], descriptors)
                except BlockingIOError:
                    await pipes.writable(self._control.fileno())
                except OSError:
                    self._lose("the zygote hung up")
                else:
                    break

    def _check(self, worker: Worker) -> None:
        lacking = set(self.attestation.layers).difference(worker.layers)
        if lacking:
            raise SandboxUnavailable(f"a worker came up without {', '.join(sorted(lacking))}")

    def _listen(self) -> None:
        for _ in range(_NOTICES_A_TURN):
            try:
                packet, descriptors, flags, _ = socket.recv_fds(
                    self._control, spec.PACKET_BYTES_MAX, 2, socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return
            except OSError:
                packet, descriptors, flags = b"", [], 0
            if not packet:
                self._lose("the zygote ended")
                return
            try:
                self._take(packet, descriptors, whole=not flags & _CUT)
            except (_Nonsense, OSError) as failure:
                for descriptor in descriptors:
                    os.close(descriptor)
                honest = isinstance(failure, OSError)
                said = f"{failure}: it" if honest else "the zygote spoke nonsense and"
                self._fail(f"{said} was ended")
                return

    def _take(self, packet: bytes, descriptors: list[int], *, whole: bool) -> None:
        """Act on one notice. Raises _Nonsense for one that no honest zygote sends."""
        try:
            notice = self._notices.decode(packet)
        except msgspec.DecodeError as error:
            raise _Nonsense from error
        if isinstance(notice, spec.Forked) and not (whole or descriptors):
            self._note_foundling(notice)
            return
        expected = 1 if isinstance(notice, spec.Forked) else 0
        if not whole or len(descriptors) != expected:
            raise _Nonsense
        match notice:
            case spec.Forked():
                self._note_fork(notice, descriptors[0])
            case spec.Exited():
                self._note_exit(notice)
            case spec.SpawnFailed():
                self._note_no_fork(notice)
            case spec.Started(pid):
                self._process.adopt(pid)
            case spec.Booted(attestation):
                self._settle_boot(attestation)
            case spec.BootRefused(sentence):
                self._settle_boot(SandboxUnavailable(sentence))

    def _settle_boot(self, outcome: Attestation | Exception) -> None:
        if self._booted.done():
            return
        if isinstance(outcome, Exception):
            self._booted.set_exception(outcome)
        else:
            self._booted.set_result(outcome)

    def _note_fork(self, notice: spec.Forked, pidfd: int) -> None:
        pending = self._pending.pop(notice.request, None)
        if pending is None or notice.pid in self._workers:
            raise _Nonsense
        worker = Worker(
            zygote=self.pid,
            pid=notice.pid,
            pidfd=pidfd,
            up=pending.up,
            down=pending.down,
            uses=pending.order.uses,
            limits=self.spec.limits,
            memory=self._memory,
            on_silence=lambda: self._fail("the zygote stopped answering and was ended"),
            renew=self._renew,
        )
        self._workers[notice.pid] = worker
        if pending.worker.done():
            worker.discard()
        else:
            pending.worker.set_result(worker)

    def _note_foundling(self, notice: spec.Forked) -> None:
        pending = self._pending.pop(notice.request, None)
        if pending is None or notice.pid in self._workers:
            raise _Nonsense
        self._foundlings.add(notice.pid)
        pending.fail(SandboxUnavailable(f"{_NO_DESCRIPTORS} (for a worker's pidfd)"))

    def _note_no_fork(self, notice: spec.SpawnFailed) -> None:
        pending = self._pending.pop(notice.request, None)
        if pending is None:
            raise _Nonsense
        pending.fail(SandboxUnavailable(f"no worker could be forked: {os.strerror(notice.error)}"))

    def _note_exit(self, notice: spec.Exited) -> None:
        try:
            code = os.waitstatus_to_exitcode(notice.status)
        except ValueError as error:
            raise _Nonsense from error
        end = WorkerExit(
            pid=notice.pid,
            status=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            cpu_s=notice.cpu_s,
            max_rss_bytes=notice.max_rss_bytes,
            written_bytes=notice.written_bytes,
        )
        if worker := self._workers.pop(notice.pid, None):
            worker.note_exit(end)
        elif notice.pid in self._foundlings:
            self._foundlings.discard(notice.pid)
        else:
            raise _Nonsense
        self._on_exit(end)

    def _fail(self, reason: str) -> None:
        """End a zygote that can no longer be believed."""
        self._lose(reason)
        self._process.kill()

    def _lose(self, reason: str) -> None:
        """Give up the channel: nothing can be asked any more, and nothing is left unanswered."""
        if self._loss:
            return
        self._loss = reason
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._control.fileno())
        self._control.close()
        # An honest one ends of itself now.
        loop.call_later(_CLOSE_S, self._process.kill)
        self._settle_boot(ZygoteDied(reason))
        for pending in self._pending.values():
            pending.fail(ZygoteDied(reason))
        self._pending.clear()
        for pid, worker in self._workers.items():
            worker.kill()
            worker.note_exit(WorkerExit(pid=pid))
        self._workers.clear()


class _Nonsense(Exception):
    """A packet that is not a notice, or not one that can be true now."""


# A packet or its descriptors did not fit: no honest notice is that large.
_CUT = socket.MSG_TRUNC | socket.MSG_CTRUNC


class _Pending:
    """A worker that was ordered: our ends of its pipes, and the future of the worker."""

    def __init__(self, order: spec.Spawn, up: int, down: int) -> None:
        self.order = order
        self.up = up
        self.down = down
        self.worker: asyncio.Future[Worker] = asyncio.get_running_loop().create_future()

    def fail(self, error: Exception) -> None:
        """Answer that there is no worker, and let go of its pipes."""
        os.close(self.up)
        os.close(self.down)
        if not self.worker.done():
            self.worker.set_exception(error)

    def abandon(self) -> None:
        """Nobody waits any more: end the worker, now or when it turns up."""
        if not self.worker.done():
            self.worker.cancel()
        elif not self.worker.cancelled() and self.worker.exception() is None:
            self.worker.result().discard()
