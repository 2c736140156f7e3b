"""The front door of conversions: plan what is asked, run it in a worker of its own.

`plan` is pure and refuses all that can be refused without running: unknown formats and options,
empty, oversized and mislabelled files. `convert` waits in line for a slot, hands the bytes to a
single-use worker and gives back what it made. Sandbox errors are translated here, once.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence

import msgspec
import structlog

from engine import errors, formats, registry
from engine.job import Buffer, Job, Output, TaskReply, TaskRequest
from engine.line import Line
from engine.pool import Pool, Reply
from engine.sniff import sniff
from sandbox.errors import (
    ReplyTooLarge,
    SandboxError,
    SandboxUnavailable,
    WorkerCpuExceeded,
    WorkerOutOfMemory,
    WorkerTimedOut,
    WorkerViolation,
    ZygoteDied,
)
from sandbox.host.forkserver import Forkserver
from sandbox.spec import Level, ZygoteSpec

log = structlog.get_logger()

ENTRY = "engine.task:handle"
WARM = "engine.task:warm"
TOUCH = "engine.task:touch"


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the machine the engine may use, and how strictly workers are confined."""

    # Conversions at once; 0 means as many as the cores this process may use. More than that makes
    # each slower without finishing more.
    slots: int = 0
    # Ready workers a family. Two hide the fork behind a pair of simultaneous requests; an idle one
    # costs 2 to 4 MB.
    spares: int = 2
    # With 0.1 s a conversion and two slots, 256 are about 13 s of waiting: what a client bears.
    waiting_max: int = 256
    wait_max_s: float = 30.0
    isolation: Level = "strict"
    # Conversions a worker serves before it ends. 1 is the promise; benches use more to compare.
    uses: int = 1


class FamilyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One family at this moment."""

    name: str
    up: bool
    spares: int
    running: int
    restarts: int


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `ephemera ops status` shows."""

    slots: int
    busy: int
    waiting: int
    draining: bool
    isolation: str
    families: tuple[FamilyStatus, ...]


class Engine:
    """All conversions of one gateway process. Made by `start`, ended by `drain` or `close`."""

    def __init__(self, config: EngineConfig, line: Line, pools: Mapping[str, Pool]) -> None:
        self._config = config
        self._line = line
        self._pools = pools
        self._families = {family.name: family for family in registry.FAMILIES}
        self._draining = False
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def start(cls, config: EngineConfig) -> "Engine":
        """Boot every family's zygote and its spares.

        Raises IsolationUnavailable where the kernel cannot give the isolation that was asked for.
        """
        line = Line(
            slots=config.slots or len(os.sched_getaffinity(0)),
            waiting_max=config.waiting_max,
            wait_max_s=config.wait_max_s,
        )
        pools = {family.name: _pool(family, config) for family in registry.FAMILIES}
        started = await asyncio.gather(
            *(pool.start() for pool in pools.values()), return_exceptions=True
        )
        failures = [result for result in started if isinstance(result, BaseException)]
        if failures:
            await asyncio.gather(*(pool.close() for pool in pools.values()))
            if isinstance(failures[0], SandboxUnavailable):
                raise errors.IsolationUnavailable(str(failures[0])) from failures[0]
            raise failures[0]
        return cls(config, line, pools)

    @staticmethod
    def plan(
        source: str, target: str, options: Mapping[str, str], uploads: Sequence[Buffer]
    ) -> Job:
        """Check everything that can be checked without running, and name the converter.

        `source` may be `auto`: the first bytes decide. Raises the refusals of `engine.errors`.
        """
        if not uploads:
            raise errors.SourceEmpty("no file came: the request has no body")
        for upload in uploads:
            if not len(upload):
                raise errors.SourceEmpty("the file is empty: it has zero bytes")
        sources = tuple(_checked_source(source, upload) for upload in uploads)
        wanted = formats.find(target).name
        options = dict(options)
        operation = options.pop("operation", None)
        converter = registry.converter_for(sources[0], wanted, operation, inputs=len(uploads))
        for other in sources:
            if other not in converter.sources:
                raise errors.ConversionUnsupported(
                    f"{converter.name} does not take {other} files; it takes "
                    f"{', '.join(converter.sources)}"
                )
        family = registry.family_of(converter)
        job = Job(
            converter=converter.name,
            family=converter.family,
            sources=sources,
            target=wanted,
            options=registry.parse_options(converter, options, target=wanted),
            inputs=tuple(uploads),
        )
        if job.input_bytes > family.limits.input_bytes_max:
            raise errors.SourceTooLarge(
                f"the upload has {job.input_bytes} bytes; {family.name} conversions take at most "
                f"{family.limits.input_bytes_max}"
            )
        return job

    async def convert(self, job: Job, *, account: str = "") -> Output:
        """Run a job in a worker that lives for it alone.

        Waits in line when all slots are taken. Raises EngineBusy, EngineDraining,
        EngineUnavailable, or the failure of the conversion itself.
        """
        if self._draining:
            raise errors.EngineDraining("the service is stopping; nothing was charged")
        clock = asyncio.get_running_loop().time
        asked = clock()
        self._under_way += 1
        self._idle.clear()
        try:
            async with self._line.slot(account):
                begun = clock()
                reply, worker = await self._run(job)
                ended = clock()
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()
        answer = _checked_reply(reply)
        return Output(
            target=job.target,
            files=reply.files,
            warnings=answer.warnings,
            queue_s=begun - asked,
            convert_s=ended - begun,
            cpu_s=answer.cpu_s,
            worker=worker,
        )

    async def drain(self, timeout_s: float) -> bool:
        """Take nothing new and wait for what runs, at most `timeout_s`. True when all finished."""
        self._draining = True
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        """End all workers and zygotes; what still runs fails with EngineDraining."""
        self._draining = True
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))

    def status(self) -> EngineStatus:
        """The figures of this moment; costs nothing."""
        return EngineStatus(
            slots=self._line.slots,
            busy=self._line.busy,
            waiting=self._line.waiting,
            draining=self._draining,
            isolation=self._config.isolation,
            families=tuple(
                FamilyStatus(
                    name=pool.family,
                    up=pool.source is not None,
                    spares=pool.spares,
                    running=pool.running,
                    restarts=pool.restarts,
                )
                for pool in self._pools.values()
            ),
        )

    async def _run(self, job: Job) -> tuple[Reply, str]:
        request = TaskRequest(
            converter=job.converter,
            sources=job.sources,
            target=job.target,
            options=msgspec.to_builtins(job.options),
            bounds=self._families[job.family].bounds,
        )
        try:
            return await self._pools[job.family].run(msgspec.msgpack.encode(request), job.inputs)
        except SandboxError as error:
            log.warning("conversion_failed", converter=job.converter, reason=error.reason)
            raise _translated(error) from error


def _pool(family: registry.Family, config: EngineConfig) -> Pool:
    spec = ZygoteSpec(
        family=family.name,
        preload=family.preload,
        entry=ENTRY,
        warm=WARM,
        touch=TOUCH,
        limits=family.limits,
        level=config.isolation,
        uses=config.uses,
    )
    return Pool(
        family.name,
        boot=lambda: Forkserver.start(spec),
        spares_max=config.spares,
        deadline_s=family.limits.wall_s,
        output_bytes_max=family.limits.output_bytes_max,
    )


def _checked_source(claimed: str, upload: Buffer) -> str:
    """The upload's format by name: found for `auto`, otherwise compared with the claim."""
    seen = sniff(upload)
    if claimed.lower() == "auto":
        if seen is None:
            raise errors.SourceUnrecognised(
                "the file looks like nothing known here; name its format instead of auto"
            )
        return seen
    source = formats.find(claimed)
    if seen == source.name or (seen is None and not source.has_signature):
        return source.name
    looks = f"it looks like {formats.title(seen)}" if seen else "it looks like nothing known here"
    raise errors.SourceMismatch(f"the file is not what it claims to be ({source.title}): {looks}")


def _checked_reply(reply: Reply) -> TaskReply:
    try:
        answer = msgspec.msgpack.decode(reply.header, type=TaskReply)
    except msgspec.MsgspecError as error:
        raise errors.ConversionCrashed(
            "the converter gave an answer that cannot be read", reason="reply"
        ) from error
    if answer.error:
        raise _REFUSALS.get(answer.error, errors.ConversionCrashed)(answer.detail)
    if not reply.files:
        raise errors.ConversionCrashed("the converter gave no result", reason="reply")
    return answer


# What a worker may say went wrong. Anything else from that side of the trust boundary is a crash.
_REFUSALS: dict[str, type[errors.EngineError]] = {
    refusal.__name__: refusal
    for refusal in (
        errors.OptionInvalid,
        errors.SourceUnreadable,
        errors.SourceTooComplex,
        errors.PasswordRequired,
        errors.TargetTooLarge,
        errors.TargetImpossible,
        errors.ConversionOutOfMemory,
        errors.ConversionCrashed,
    )
}


# The one translation from how a process ended to what the customer is told. The first row whose
# class fits decides, so special cases stand above their roots.
_TRANSLATIONS: tuple[tuple[type[SandboxError], type[errors.EngineError], str], ...] = (
    (
        WorkerTimedOut,
        errors.ConversionTimedOut,
        "the conversion reached its time limit and was stopped",
    ),
    (
        WorkerCpuExceeded,
        errors.ConversionTimedOut,
        "the conversion used up its CPU time and was stopped",
    ),
    (
        WorkerOutOfMemory,
        errors.ConversionOutOfMemory,
        "the conversion needed more memory than one worker may have; try a smaller file",
    ),
    (
        WorkerViolation,
        errors.ConversionCrashed,
        "the converter did something that the sandbox forbids and was stopped",
    ),
    (
        ReplyTooLarge,
        errors.TargetTooLarge,
        "the result is larger than the limit for one conversion",
    ),
    (
        ZygoteDied,
        errors.EngineUnavailable,
        "the worker was lost to a restart; the same request can be sent again",
    ),
    (
        SandboxUnavailable,
        errors.EngineUnavailable,
        "no worker can be started at present; try again in a few seconds",
    ),
    (SandboxError, errors.ConversionCrashed, "the converter crashed on this file"),
)


def _translated(error: SandboxError) -> errors.EngineError:
    meaning, sentence = next(row[1:] for row in _TRANSLATIONS if isinstance(error, row[0]))
    if meaning is errors.ConversionCrashed:
        return errors.ConversionCrashed(sentence, reason=error.reason)
    return meaning(sentence)
