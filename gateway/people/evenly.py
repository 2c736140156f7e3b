"""Answers that take as long whatever they are about: what is known here is not to be timed.

A mail to somebody who is here takes a millisecond more or less than none to somebody who is not.
Both are answered when the same time has passed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

# Ten times what the longer way takes on a machine that is not overloaded; nobody who waits for a
# mail notices it.
LEAST_S = 0.04


@asynccontextmanager
async def evenly(least_s: float = LEAST_S) -> AsyncIterator[None]:
    """Let the block, and whatever it raises, take no less than this."""
    loop = asyncio.get_running_loop()
    until = loop.time() + least_s
    try:
        yield
    finally:
        await asyncio.sleep(until - loop.time())
