"""What a conversion costs, in whole credits, before it is run.

Pure: the converter's weight times the step of the upload's size. Both tables are published in
`/v1/formats`, so that a customer can compute a price without asking.
"""

import msgspec

from engine import registry
from engine.job import Job
from engine.pipeline import Pipeline
from gateway.errors import PriceAboveLimit

MIB = 1024 * 1024


class SizeStep(msgspec.Struct, frozen=True, kw_only=True):
    """Uploads up to this size, all files together, cost this many times the converter's weight."""

    input_bytes_max: int | None
    factor: int


# Almost every photograph and document is in the first step; memory and time grow with the size.
SIZE_STEPS: tuple[SizeStep, ...] = (
    SizeStep(input_bytes_max=25 * MIB, factor=1),
    SizeStep(input_bytes_max=100 * MIB, factor=2),
    SizeStep(input_bytes_max=None, factor=4),
)
WEIGHTS: dict[str, int] = {converter.name: converter.credits for converter in registry.CONVERTERS}
# Of an inspection by a worker, whatever the file's size: less than its conversion, mostly.
INSPECTION = 1
# What a client lets one request cost at the most.
LIMIT_HEADER = "X-Max-Credits"


def price(job: Job) -> int:
    """Credits for a job; at least 1."""
    return WEIGHTS[job.converter] * size_factor(job.input_bytes)


def size_factor(input_bytes: int) -> int:
    """The factor of the first step that holds this many bytes."""
    return next(
        step.factor
        for step in SIZE_STEPS
        if step.input_bytes_max is None or input_bytes <= step.input_bytes_max
    )


def price_of_steps(pipeline: Pipeline) -> int:
    """Credits for all steps: each costs as if it were given the upload, so it is known before."""
    first = pipeline.jobs[0]
    return sum(WEIGHTS[job.converter] for job in pipeline.jobs) * size_factor(first.input_bytes)


def demand(credits: int, limit: int | None) -> int:
    """Give the price, if it is within the limit. Raises PriceAboveLimit."""
    if limit is not None and credits > limit:
        raise PriceAboveLimit(
            f"this costs {credits} {'credit' if credits == 1 else 'credits'}, and {LIMIT_HEADER}"
            f" allows {limit}; nothing was charged"
        )
    return credits
