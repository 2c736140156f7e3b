"""How far a conversion is: said by converters in the jail, heard by whoever asked for it.

A converter says `report(fraction)` as often as it likes. Where nobody listens that is one
comparison; where somebody does, a word crosses the pipe for every hundredth that is new, so at most
a hundred in all, and without a look at the clock. On the way out `Shares` makes one figure of the
parts of something larger: the steps of a pipeline, the files of a batch.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from sandbox.wire import PARTS

# Called with a fraction from above 0 to 1, each time more; it returns at once and raises nothing.
Progress = Callable[[float], None]
# The same in whole hundredths, as it crosses the pipe.
Tell = Callable[[int], None]

_Item = TypeVar("_Item")


def report(fraction: float) -> None:
    """Say what part of the present conversion is done; what is no more than before is not told."""
    if fraction >= _listener.beyond:
        _listener.hear(fraction)


def each(items: Sequence[_Item]) -> Iterator[_Item]:
    """Give the items in their order, and report what part of them was given before each.

    Never all of it: what comes after the last one takes its time as well, and then the reply says
    that it is over.
    """
    for number, item in enumerate(items):
        report(number / len(items))
        yield item


class Hearing:
    """A block whose reports are passed on. What `contextmanager` makes is dearer in a worker."""

    def __init__(self, tell: Tell | None) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        """Begin to listen."""
        _listener.begin(self._tell)

    def __exit__(self, *_: object) -> None:
        """Nobody listens any more."""
        _listener.begin(None)


def heard_by(tell: Tell | None) -> Hearing:
    """Pass on what is reported in this block, where there is somebody to tell."""
    return Hearing(tell)


class _Listener:
    """Who hears of the one conversion that a worker has at a time."""

    def __init__(self) -> None:
        self.begin(None)

    def begin(self, tell: Tell | None) -> None:
        self._tell = tell
        # What a fraction must reach to be told; nothing does, where nobody listens.
        self.beyond = 1 / PARTS if tell else math.nan

    def hear(self, fraction: float) -> None:
        # A hair more, because 0.29 * 100 is 28.999999999999996.
        part = min(math.floor(min(fraction, 1.0) * PARTS + 1e-9), PARTS)
        self.beyond = (part + 1) / PARTS if part < PARTS else math.nan
        if self._tell is not None:
            self._tell(part)


_listener = _Listener()


class Shares:
    """The progress of several things as that of one: the mean of their own.

    Each thing weighs the same, because nobody knows beforehand how long it takes.
    """

    def __init__(self, progress: Progress | None, count: int) -> None:
        self._progress = progress
        self._fractions = [0.0] * count
        self._told = 0.0

    def of(self, number: int) -> Progress | None:
        """What the thing of this number, from 0, reports to; None where nobody listens."""
        return partial(self._hear, number) if self._progress else None

    def done(self, number: int) -> None:
        """Say that it is over, whatever it reported itself."""
        self._hear(number, 1.0)

    def _hear(self, number: int, fraction: float) -> None:
        self._fractions[number] = max(fraction, self._fractions[number])
        whole = math.fsum(self._fractions) / len(self._fractions)
        # Each of a thousand files has a hundred words to say; nobody reads as many.
        if self._progress and (whole - self._told >= 1 / PARTS or whole >= 1 > self._told):
            self._told = whole
            self._progress(whole)
