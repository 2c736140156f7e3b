"""Several conversions of one request, each of what the one before made.

Planned as a whole, so that whatever can be refused is refused before the first step runs; run one
after the other, the results in memory between them. Steps of one family share one worker, which is
this request's alone (`Engine.batch`); others hop to a worker of their own family.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import msgspec

from engine import errors, formats, planning, registry
from engine.engine import Batch
from engine.job import Buffer, Job, Output
from engine.passage import Delivery
from engine.progress import Progress, Shares
from engine.registry import Converter
from engine.wiping import wipe

# A chain that a person writes has three or four; each holds a result in memory and a place in line.
STEPS_MAX = 10


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What one step is asked to do: the same words as a conversion of its own."""

    target: str
    # `operation` among them.
    options: Mapping[str, str]


class Pipeline(msgspec.Struct, frozen=True, kw_only=True):
    """Checked steps. The first has its files; each other takes the one file of the step before."""

    jobs: tuple[Job, ...]


def check(source: str, steps: Sequence[Step], *, several: bool) -> Converter | None:
    """Refuse what formats and options alone give away; the first converter, where it is certain.

    Raises as `planning.check` does, with the step's number in the sentence.
    """
    _check_count(steps)
    with _named(1, steps):
        first = planning.check(source, steps[0].target, steps[0].options, several=several)
    following(steps)
    return first


def following(steps: Sequence[Step]) -> tuple[Job, ...]:
    """The jobs of all steps but the first, without their files. Raises as `planning.check` does."""
    jobs = []
    for number, step in enumerate(steps[1:], start=2):
        with _named(number, steps):
            jobs.append(_follow(steps[number - 2].target, step))
    return tuple(jobs)


def plan(source: str, steps: Sequence[Step], uploads: Sequence[Buffer]) -> Pipeline:
    """All jobs of a request whose files are here. Raises as `planning.plan` does."""
    _check_count(steps)
    with _named(1, steps):
        jobs = [planning.plan(source, steps[0].target, steps[0].options, uploads)]
    for number, step in enumerate(steps[1:], start=2):
        with _named(number, steps):
            jobs.append(_follow(jobs[-1].target, step))
    return Pipeline(jobs=tuple(jobs))


@asynccontextmanager
async def run(
    pipeline: Pipeline,
    batch: Batch,
    done: Callable[[Job, Output], None],
    progress: Progress | None = None,
) -> AsyncIterator[Delivery]:
    """Run all steps; the last one's result is still with its worker, and says all warnings.

    `done` hears of every step, `progress` how far all of them are. What a step made is wiped when
    the next one has it. Raises what a step fails with, with its number in the sentence.
    """
    steps = pipeline.jobs
    shares = Shares(progress, len(steps))
    outputs: list[Output] = []
    job = steps[0]
    async with contextlib.AsyncExitStack() as until_read:
        for number, following in enumerate(steps[1:], start=1):
            with _named(number, steps):
                output = await batch.convert(job, shares.of(number - 1))
                shares.done(number - 1)
                for file in output.files:
                    until_read.callback(wipe, file)
                done(job, output)
                _forget(outputs)
                outputs.append(output)
                job = msgspec.structs.replace(following, inputs=(_only_file(output),))
        with _named(len(steps), steps):
            last = batch.conversion(job, shares.of(len(steps) - 1))
            delivery = await until_read.enter_async_context(last)
        done(job, delivery.output)
        _forget(outputs)
        delivery.output = _with_all_warnings([*outputs, delivery.output])
        yield delivery


def _forget(outputs: Sequence[Output]) -> None:
    """Wipe what the step before made: its successor has read it."""
    for output in outputs[-1:]:
        for file in output.files:
            wipe(file)


def _follow(source: str, step: Step) -> Job:
    """The job of a step that takes one file of this format, without the file."""
    wanted = formats.find(step.target).name
    options = dict(step.options)
    converter = registry.converter_for(source, wanted, options.pop("operation", None))
    if converter.inputs_min > 1:
        raise errors.SourceCountInvalid(
            f"{converter.name} takes at least {converter.inputs_min} files, and a step gets one"
        )
    return Job(
        converter=converter.name,
        family=converter.family,
        sources=(formats.find(source).name,),
        target=wanted,
        options=registry.parse_options(converter, options, target=wanted),
        inputs=(),
    )


def _check_count(steps: Sequence[Step]) -> None:
    if not 1 <= len(steps) <= STEPS_MAX:
        raise errors.OptionInvalid(
            f"step: one request has 1 to {STEPS_MAX} steps, not {len(steps)}"
        )


def _only_file(output: Output) -> Buffer:
    if len(output.files) != 1:
        raise errors.TargetImpossible(
            f"it made {len(output.files)} files; only the last step may make several"
        )
    return output.files[0]


def _with_all_warnings(outputs: Sequence[Output]) -> Output:
    """The last output with the warnings of all, and the time that all took."""
    if len(outputs) == 1:
        return outputs[0]
    return msgspec.structs.replace(
        outputs[-1],
        warnings=tuple(
            f"step {number}: {warning}"
            for number, output in enumerate(outputs, start=1)
            for warning in output.warnings
        ),
        queue_s=sum(output.queue_s for output in outputs),
        convert_s=sum(output.convert_s for output in outputs),
        cpu_s=sum(output.cpu_s for output in outputs),
    )


@contextlib.contextmanager
def _named(number: int, steps: Sequence[Step] | Sequence[Job]) -> Iterator[None]:
    """Say in the sentence of whatever is raised which step it was."""
    try:
        yield
    except errors.EngineError as error:
        error.args = (f"step {number} ({_called(steps[number - 1])}): {error}", *error.args[1:])
        raise


def _called(step: Step | Job) -> str:
    return step.converter if isinstance(step, Job) else f"to {step.target[:32]}"
