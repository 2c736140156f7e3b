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
from collections.abc import Callable
from typing import Any

import msgspec

from engine.converter import Family, Result, Work
from engine.errors import EngineError
from engine.job import Buffer, TaskReply, TaskRequest
from engine.progress import Tell, heard_by
from engine.registry import FAMILIES, by_name
from engine.rehearsal import Rehearsal

_DETAIL_MAX = 500
# CPython 3.11 looks at a function's eighth call whether it can be specialised: the interpreter's
# caches are left as a worker's first conversion wants them.
_PLAYS = 16
# What `warnings.simplefilter("ignore")` puts before all other filters.
_IGNORING_ALL = ("ignore", None, Warning, None, 0)

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(TaskRequest)


def handle(
    header: bytes, inputs: list[bytes], tell: Tell | None = None
) -> tuple[bytes, list[Buffer]]:
    """Run one conversion. The header is a TaskRequest; the answer a TaskReply and its files.

    The inputs are taken out of their list, so that they end with their last use. `tell` hears how
    far it is, where somebody wants to know.
    """
    before = _cpu_s()
    try:
        with Silence(), heard_by(tell):
            result = _run(_decoder.decode(header), inputs)
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


def _run(request: TaskRequest, inputs: list[bytes]) -> Result:
    converter = by_name(request.converter)
    options = msgspec.convert(request.options, converter.options)
    if converter.check is not None:
        converter.check(options, request.target)
    work = Work(
        sources=request.sources,
        target=request.target,
        inputs=tuple(inputs),
        options=options,
        bounds=request.bounds,
        names=request.names,
    )
    inputs.clear()
    result: Result = _resolve(converter.run)(work)
    return result


class Silence:
    """Warnings and log lines quote the file they are about, and showing one opens source files.

    In a process that is silent for good there is nothing to do, unless a library spoke up since.
    """

    def __enter__(self) -> None:
        """Fall silent."""
        self._level = logging.root.manager.disable
        self._caught: warnings.catch_warnings[None] | None = None
        if self._level >= logging.CRITICAL and warnings.filters[:1] == [_IGNORING_ALL]:
            return
        logging.disable(logging.CRITICAL)
        self._caught = warnings.catch_warnings()
        self._caught.__enter__()
        warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        """Speak again, if that was so before."""
        if self._caught is not None:
            self._caught.__exit__(None, None, None)
            logging.disable(self._level)


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
    with Silence():
        for family in _loaded():
            _rehearsals.extend(_resolve(family.warm)() or ())
        _touches.extend(_resolve(family.touch) for family in _loaded() if family.touch)
        for _ in range(_PLAYS):
            _play()
    silence()


def touch() -> None:
    """Make a spare's pages its own before a customer's bytes arrive."""
    for touched in _touches:
        touched()
    _play()


def _play() -> None:
    for rehearsal in _rehearsals:
        rehearsal.play(handle)


# Of the families loaded here, found before the fork: to look at each family is a page fault.
_touches: list[Callable[[], object]] = []
_rehearsals: list[Rehearsal] = []


def _loaded() -> list[Family]:
    return [one for one in FAMILIES if all(module in sys.modules for module in one.preload)]


def _resolve(path: str) -> Callable[..., Any]:
    """Find "module:function". Inside a worker the module is loaded already: this is a lookup."""
    module, _, name = path.partition(":")
    loaded = sys.modules.get(module) or importlib.import_module(module)
    function: Callable[..., Any] = getattr(loaded, name)
    return function
