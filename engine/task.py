"""The engine's end inside the jail: one request in, one reply out, whatever the file does.

`handle` never raises for a bad file. What a converter raises is answered by its name in
`engine.errors`; what nobody foresaw is answered as ConversionCrashed with the exception's type and
nothing of its message, which may quote the file.
"""

import importlib
import logging
import resource
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from engine.converter import Family, Result, Work
from engine.errors import EngineError
from engine.job import Buffer, TaskReply, TaskRequest
from engine.progress import Tell, heard_by
from engine.registry import FAMILIES, by_name

_DETAIL_MAX = 500
# What `warnings.simplefilter("ignore")` puts before all other filters.
_IGNORING_ALL = ("ignore", None, Warning, None, 0)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TaskRequest)


def handle(
    header: bytes, inputs: Sequence[Buffer], tell: Tell | None = None
) -> tuple[bytes, list[Buffer]]:
    """Run one conversion. The header is a TaskRequest; the answer a TaskReply and its files.

    `tell` hears how far it is, where somebody wants to know.
    """
    before = _cpu_s()
    try:
        with _silence(), heard_by(tell):
            result = _run(_decoder.decode(header), tuple(inputs))
    except EngineError as error:
        reply = TaskReply(error=type(error).__name__, detail=str(error)[:_DETAIL_MAX])
        return _encoder.encode(reply), []
    except MemoryError:
        reply = TaskReply(error="ConversionOutOfMemory", detail="the conversion ran out of memory")
        return _encoder.encode(reply), []
    except RecursionError:
        reply = TaskReply(error="SourceTooComplex", detail="the file is nested too deeply")
        return _encoder.encode(reply), []
    except Exception as error:  # noqa: BLE001  # the border to foreign code: see the module's first lines
        detail = f"the converter failed unexpectedly ({type(error).__name__})"
        return _encoder.encode(TaskReply(error="ConversionCrashed", detail=detail)), []
    reply = TaskReply(warnings=result.warnings, cpu_s=_cpu_s() - before, names=result.names)
    return _encoder.encode(reply), list(result.files)


def _run(request: TaskRequest, inputs: tuple[Buffer, ...]) -> Result:
    converter = by_name(request.converter)
    options = msgspec.convert(request.options, converter.options)
    if converter.check is not None:
        converter.check(options, request.target)
    work = Work(
        sources=request.sources,
        target=request.target,
        inputs=inputs,
        options=options,
        bounds=request.bounds,
        names=request.names,
    )
    result: Result = _resolve(converter.run)(work)
    return result


@contextmanager
def _silence() -> Iterator[None]:
    """Warnings and log lines quote the file they are about, and showing one opens source files.

    In a process that is silent for good there is nothing to do, unless a library spoke up since.
    """
    level = logging.root.manager.disable
    if level >= logging.CRITICAL and warnings.filters[:1] == [_IGNORING_ALL]:
        yield
        return
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)


def silence() -> None:
    """For good: to fall silent and to speak again takes a conversion a dozen microseconds."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")


def _cpu_s() -> float:
    """Of this process and of the program that it may have executed."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def warm() -> None:
    """Use every codec of the families loaded here once, so that workers load nothing any more.

    Runs in the zygote after its imports, leaves no thread behind, and the process silent for good.
    """
    with _silence():
        for family in _loaded():
            _resolve(family.warm)()
    _touches[:] = [_resolve(family.touch) for family in _loaded()]
    silence()


def touch() -> None:
    """One tiny conversion: a spare's pages are its own before a customer's bytes arrive."""
    with _silence():
        for touched in _touches:
            touched()


# Of the families loaded here, found before the fork: to look at each family is a page fault.
_touches: list[Callable[[], object]] = []


def _loaded() -> list[Family]:
    return [one for one in FAMILIES if all(module in sys.modules for module in one.preload)]


def _resolve(path: str) -> Callable[..., Any]:
    """Find "module:function". Inside a worker the module is loaded already: this is a lookup."""
    module, _, name = path.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
