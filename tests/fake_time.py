"""An event loop whose clock jumps: what would wait a minute is over at once, in the right order.

When nothing is ready to run, the loop's time moves to the next timer instead of sleeping, so tests
of deadlines and back-offs are exact and take no time. Only for tests without sockets or processes.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any


class _JumpingSelector(selectors.SelectSelector):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout:
            self.now += timeout
        if not ready and timeout is None:
            raise RuntimeError("the test waits for something that no timer will ever bring")
        return ready


class FakeTimeLoop(asyncio.SelectorEventLoop):
    """`loop.time()` starts at 0.0 and moves only when everybody waits."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function to its end in fake time."""
    with asyncio.Runner(loop_factory=FakeTimeLoop) as runner:
        runner.run(main())
