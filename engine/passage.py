"""One job's way through a worker: its bytes in, the word to go, its result out.

A job that is in memory goes in one stroke while it holds a slot. One that is still arriving goes
through an `Intake`: its worker receives without a slot, and waits in line when all of it is there.
Either way a `Delivery` comes out as soon as the conversion is over: the slot is free again, and the
files are still with the worker, from where they are read at whatever pace their reader has.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import msgspec
import structlog

from engine import errors, planning
from engine.arrivals import Place
from engine.config import EngineConfig
from engine.job import Bounds, Buffer, Job, Output, TaskRequest
from engine.keep import Owner
from engine.line import Line, Seat
from engine.pool import Pool
from engine.progress import Progress
from engine.translation import REFUSED, checked, reason, translated
from engine.workers import Held
from sandbox.errors import SandboxError
from sandbox.host import pipes
from sandbox.wire import PARTS

log = structlog.get_logger()


class Asker(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants a conversion: the account, its turns for one of an ordinary account, a policy."""

    account: str
    weight: float
    owner: Owner | None

    @property
    def isolation(self) -> str:
        """How far the worker is shared."""
        return self.owner.policy if self.owner else "per-conversion"


def asker_of(config: EngineConfig, account: str, weight: float) -> Asker:
    """Who wants it, and under which policy."""
    owner = Owner(
        policy="per-account", name=account, uses=config.account_uses, kept_s=config.account_s
    )
    shares = config.policy == "per-account" and account
    return Asker(account=account, weight=weight, owner=owner if shares else None)


class Delivery:
    """A conversion that is over. `output` says all about it; its files are yet to be read."""

    def __init__(self, output: Output, sizes: tuple[int, ...], held: Held) -> None:
        self.output = output
        self.sizes = sizes
        self._held = held

    async def read(self, room: memoryview) -> None:
        """Fill `room` with the next bytes of the files, which follow one another.

        Raises what a worker can end in; the engine translates it at the end of its block.
        """
        await self._held.worker.read(room)

    async def whole(self) -> Output:
        """Read all files into memory."""
        files = [pipes.untouched(size) for size in self.sizes]
        for file in files:
            await self.read(memoryview(file))
        return msgspec.structs.replace(self.output, files=files)


class Passage:
    """A worker that has begun to take a job's bytes."""

    def __init__(self, job: Job, asker: Asker, pool: Pool, held: Held) -> None:
        self.job = job
        self.asker = asker
        self._pool = pool
        self._held = held

    async def feed(self, piece: Buffer) -> None:
        """Give it more of the present input; the piece is free again on return."""
        await self._held.worker.feed(piece)

    def announce(self, size: int) -> None:
        """Say that so many bytes of the present input come by `pour`."""
        self._held.worker.announce(size)

    async def pour(self, source: int, most: int) -> int:
        """Give it what a socket has now, at most so many bytes; returns how many."""
        return await self._held.worker.pour(source, most)

    def end(self) -> None:
        """Say that the present input is complete."""
        self._held.worker.end()

    async def go(self, asked_s: float, progress: Progress | None = None) -> Delivery:
        """Convert, within a slot that the caller holds and asked for at `asked_s`."""
        worker, limits = self._held.worker, self._held.zygote.limits
        clock = asyncio.get_running_loop().time
        begun_s = clock()
        head = await worker.go(
            deadline_s=limits.wall_s,
            output_bytes_max=limits.output_bytes_max,
            progress=None if progress is None else lambda part: progress(part / PARTS),
        )
        answer = checked(head)
        self._pool.counts.conversions += 1
        output = Output(
            target=self.job.target,
            files=(),
            warnings=answer.warnings,
            names=answer.names,
            queue_s=begun_s - asked_s,
            convert_s=clock() - begun_s,
            cpu_s=answer.cpu_s,
            worker=worker.name,
            layers=worker.layers,
            limits=limits,
            isolation=self.asker.isolation,
        )
        return Delivery(output, head.sizes, self._held)


class Intake:
    """A job whose one input is still arriving; its worker receives it, and waits."""

    def __init__(
        self, passage: Passage, line: Line, input_bytes_max: int, place: Place, seat: Seat
    ) -> None:
        self._passage = passage
        self._line = line
        self._received = passage.job.input_bytes
        self._input_bytes_max = input_bytes_max
        self._place = place
        self._seat = seat

    @property
    def job(self) -> Job:
        """The job with as many bytes as have arrived."""
        return msgspec.structs.replace(self._passage.job, inputs=(), received_bytes=self._received)

    async def feed(self, piece: Buffer) -> None:
        """Pass on what arrived; the piece is free again on return. Raises SourceTooLarge."""
        self._received += len(piece)
        planning.check_size(self.job, self._input_bytes_max)
        await self._passage.feed(piece)

    def announce(self, size: int) -> None:
        """Say that so many bytes come by `pour`. Raises SourceTooLarge."""
        self._received += size
        planning.check_size(self.job, self._input_bytes_max)
        self._passage.announce(size)

    async def pour(self, source: int, most: int) -> int:
        """Pass on what a socket has now, at most so many bytes, past this process's memory.

        Returns how many that were. Raises ConnectionResetError where the socket is at its end.
        """
        return await self._passage.pour(source, most)

    async def convert(self, progress: Progress | None = None) -> Delivery:
        """Wait for a slot and convert: everything has arrived. Raises as `Engine.convert` does."""
        self._passage.end()
        self._place.complete()
        asked_s = asyncio.get_running_loop().time()
        asker, family = self._passage.asker, self._passage.job.family
        async with self._line.slot(
            asker.account, family=family, weight=asker.weight, seat=self._seat
        ):
            self._place.leave()
            return await self._passage.go(asked_s, progress)


def header(job: Job, bounds: Bounds) -> bytes:
    """What a worker is told ahead of the files."""
    return msgspec.msgpack.encode(
        TaskRequest(
            converter=job.converter,
            sources=job.sources,
            target=job.target,
            options=msgspec.to_builtins(job.options),
            bounds=bounds,
            names=job.names,
        )
    )


@contextlib.contextmanager
def failures(pool: Pool, job: Job) -> Iterator[None]:
    """Translate and count what a conversion ends in."""
    try:
        try:
            yield
        except SandboxError as error:
            raise translated(error) from error
    except errors.EngineBusy:  # it never began
        raise
    except errors.EngineError as error:
        label = reason(error)
        pool.counts.failures[label] += 1
        if label != REFUSED:
            log.warning("conversion_failed", converter=job.converter, reason=label)
        raise
