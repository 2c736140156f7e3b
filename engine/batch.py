"""The files of one request that has several."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from engine.job import Job, Output
from engine.passage import Delivery
from engine.progress import Progress


class Batch:
    """The conversions of one request. Made by `Engine.batch`."""

    def __init__(self, conversion: Callable[..., AbstractAsyncContextManager[Delivery]]) -> None:
        # As `Engine.conversion`, of a job and a `progress`, in a worker of this request.
        self.conversion = conversion

    async def convert(self, job: Job, progress: Progress | None = None) -> Output:
        """Convert one file. Raises as `Engine.convert` does; the batch goes on after it."""
        async with self.conversion(job, progress) as delivery:
            return await delivery.whole()
