"""What a conversion is called where requests are counted: as keys name what they may do."""

from collections.abc import Sequence

from engine.job import Job


def operation_of(jobs: Sequence[Job]) -> str:
    """source/target:operation; `steps` in place of the operation where there are several."""
    first, last = jobs[0], jobs[-1]
    operation = first.converter.rpartition(".")[2] if len(jobs) == 1 else "steps"
    return f"{first.sources[0] if first.sources else '-'}/{last.target}:{operation}"
