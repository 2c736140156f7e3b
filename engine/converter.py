"""What a converter is: its declaration, for everyone to read, and its call, which the jail makes.

A family's `catalogue.py` declares converters with these types and imports no codec, so the gateway
can list, price and check what it never runs. `run`, `warm` and `touch` are strings for that reason:
only `engine/task.py`, inside a zygote, resolves them.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from engine.formats import ANY
from engine.job import Bounds, Buffer
from sandbox.limits import Limits


class Converter(msgspec.Struct, frozen=True, kw_only=True):
    """One capability: turns any of `sources` into any of `targets`."""

    name: str  # "image.convert": the family, then the operation
    family: str
    title: str
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    options: type[msgspec.Struct]
    run: str  # "engine.converters.image.convert:convert", a function of a Work
    inputs_min: int = 1
    inputs_max: int = 1
    # Formats of the inputs after the first, where those are not `sources`: the picture of a stamp,
    # the key of a signature.
    companions: tuple[str, ...] = ()
    # Whether it is told what the client called its files; nobody else's worker is.
    named: bool = False
    # Chosen where several converters serve a pair and the request names none.
    default: bool = False
    # Base price hint for the gateway: the weight of one conversion.
    credits: int = 1
    # What the types alone cannot refuse; called with (options, target), raises OptionInvalid.
    check: Callable[[Any, str], None] | None = None

    def takes(self, source: str) -> bool:
        """Whether files of this format, by its name, are taken."""
        return source in self.sources or ANY in self.sources

    @property
    def operation(self) -> str:
        """The last part of the name, as it appears in `?operation=`."""
        return self.name.rpartition(".")[2]


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """Converters that share codecs, and so a zygote."""

    name: str
    preload: tuple[str, ...]  # modules the zygote imports before it confines itself
    # "module:function": uses every codec once, so that a worker loads nothing any more, and may
    # return rehearsals, which spares play while they wait (`engine/rehearsal.py`).
    warm: str
    limits: Limits
    bounds: Bounds
    # System calls its codecs need beyond the sandbox's table, and why (a comment beside each).
    calls: tuple[str, ...] = ()
    # The one program its workers may execute, by its path (`sandbox/jail/program.py`); "" is none.
    program: str = ""
    # What its workers may read: a system extra's own files. `sandbox/spec.py` says what that costs.
    reads: tuple[str, ...] = ()
    # Its program's parts talk to each other through pairs of sockets, which reach nothing else.
    pairs: bool = False
    # Its program sees the same memory at two addresses (anonymous shared mappings).
    shares: bool = False
    # A shared library for its zygote (LD_PRELOAD), by its path, and environment variables.
    library: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    # "module:function": what spares do besides.
    touch: str = ""
    # Whether `touch` prepares what a conversion needs, and so is never left out. Elsewhere it only
    # saves time while there is some.
    prepares: bool = False
    # A fork, its confinement and its first tiny conversion take milliseconds; a zygote that needs
    # longer than this hangs, and is replaced.
    spawn_max_s: float = 3.0
    # Foreign modules that its code imports. Where one is not installed, the family does not exist.
    needs: tuple[str, ...] = ()
    # The same for files: the programs and libraries of a system extra, by their absolute paths.
    needs_files: tuple[str, ...] = ()


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What an implementation is called with, inside the jail."""

    sources: tuple[str, ...]  # one format name an input
    target: str
    inputs: tuple[Buffer, ...]
    options: Any  # the converter's own options struct
    bounds: Bounds
    # What the client called each input, "" where it did not: a claim. Empty where nobody said.
    names: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The format of the first input."""
        return self.sources[0]

    def let_go(self) -> None:
        """Forget the inputs: what a library holds of them is freed once it needs them no more.

        A worker has no other reference, and the next thing it allocates is not fresh memory then.
        """
        msgspec.structs.force_setattr(self, "inputs", ())


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an implementation returns. Warnings say what the customer would miss in the result."""

    files: tuple[Buffer, ...]
    warnings: tuple[str, ...] = ()
    # What each file is to be called, folders and extension included, where it has a name of its
    # own; otherwise none, and the files are numbered.
    names: tuple[str, ...] = ()
