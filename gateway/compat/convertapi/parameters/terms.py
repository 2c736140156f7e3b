"""The rows of the tables: a converter of ConvertAPI's, its parameters, and what each does here.

A `Counterpart` says which of our converters do the work, one after the other. A `Parameter` says
what its values may be and has one `Effect`:

- `Sets`: it becomes an option of ours, value by value.
- `Only`: some values are what happens here anyway; the others are refused with the reason.
- `Never`: it is refused with the reason, whatever it says, unless that is ConvertAPI's default.
- `Moot`: whatever it says holds here, for the reason given.
- `Joint`: a rule of the counterpart reads it together with others.
- `Holds`: it holds a file.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.compat.convertapi.parameters.kinds import Kind

# Of a counterpart's steps.
FIRST, LAST = 0, -1


class Sets(msgspec.Struct, frozen=True, kw_only=True):
    """Becomes `option` of the step.

    `words` translates, value by value; None there: nothing needs to be said. A value that is not
    among them is refused with `lacks`. `factor` is for numbers in another unit.
    """

    option: str
    words: Mapping[str, str | None] | None = None
    factor: float = 1
    step: int = FIRST
    lacks: str = "this service has no such"


class Only(msgspec.Struct, frozen=True, kw_only=True):
    """Honoured where it says one of `values`, which is what happens here anyway."""

    values: tuple[str, ...]
    why: str


class Never(msgspec.Struct, frozen=True):
    """Refused for this reason."""

    why: str


class Moot(msgspec.Struct, frozen=True):
    """Honoured whatever it says, for this reason."""

    why: str


class Joint(msgspec.Struct, frozen=True):
    """Read by a rule; `how` says what becomes of it."""

    how: str


class Holds(msgspec.Struct, frozen=True):
    """A file: input of the converter, or refused where `why` says so."""

    why: str = ""


Effect = Sets | Only | Never | Moot | Joint | Holds


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter by ConvertAPI's name. `default` is ConvertAPI's own, where it is known."""

    name: str
    kind: Any
    effect: Effect
    default: str = ""
    required: bool = False
    # Heading under which `/info` lists it.
    group: str = "Conversion"

    @property
    def reader(self) -> Kind:
        """Its kind, as the protocol that all kinds keep."""
        kind: Kind = self.kind
        return kind


class To(msgspec.Struct, frozen=True):
    """One conversion of ours: its target, its operation (None: the pair's default), its options."""

    target: str
    operation: str | None = None
    options: Mapping[str, str] = {}


class Counterpart(msgspec.Struct, frozen=True, kw_only=True):
    """A converter of ConvertAPI's that is served here, for one or more of its source formats."""

    # As ConvertAPI's addresses name them, each a pair of its own there.
    sources: tuple[str, ...]
    target: str
    steps: tuple[To, ...]
    parameters: tuple[Parameter, ...] = ()
    # Read what several parameters say together; called with a Draft, in this order.
    rules: tuple[Callable[[Any], None], ...] = ()
    # Further names of sources, which ConvertAPI takes at the same converters.
    also: tuple[str, ...] = ()
    # What differs from ConvertAPI, for docs/convertapi.md.
    note: str = ""
    # What /converter/{name} may say here.
    engines: tuple[str, ...] = ()
