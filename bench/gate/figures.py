"""The counts of a request, what they may grow by, and the file that remembers them.

Counts do not depend on the clock or on who else uses the machine, so a change of the code shows in
them at once. They do depend on the kernel, the C library and the libraries' versions: after such a
change they are renewed (`--renew`), and the commit says why.
"""

from pathlib import Path
from typing import Literal

import msgspec

FILE = Path(__file__).with_name("figures.json")

Meaning = Literal["gateway", "worker", "database"]


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of count: what it means, and by how much it may grow before the gate closes."""

    title: str
    share: float
    # Where a count is small, a share of it is less than one.
    slack: float

    def allows(self, before: float, now: float) -> bool:
        """Whether `now` is no regression."""
        return now <= before * (1 + self.share) + self.slack

    def is_better(self, before: float, now: float) -> bool:
        """Whether the remembered figure should be renewed."""
        return now < before * (1 - self.share) - self.slack


# What repeated runs on a busy machine differed by, and about half of that again. A worker's counts
# hardly differ at all; a gateway's do where an upload comes in more or fewer pieces, and its clocks
# tick more often where a request takes longer.
FIGURES: dict[str, Figure] = {
    "gateway_calls": Figure(title="system calls, gateway", share=0.20, slack=3),
    "zygote_calls": Figure(title="system calls, zygote", share=0.10, slack=3),
    "worker_calls": Figure(title="system calls, worker", share=0.05, slack=3),
    "gateway_faults": Figure(title="page faults, gateway", share=0.25, slack=40),
    "worker_faults": Figure(title="page faults, zygote and worker", share=0.08, slack=60),
    "statements": Figure(title="SQL statements", share=0.05, slack=0.4),
    "gateway_copied": Figure(title="bytes read and written, gateway : file", share=0.03, slack=0.1),
    "worker_copied": Figure(title="bytes read and written, worker : file", share=0.03, slack=0.1),
    "gateway_python": Figure(title="functions called, gateway", share=0.20, slack=50),
    "gateway_instructions": Figure(title="instructions, gateway", share=0.05, slack=0),
}

Counts = dict[str, float]


def remembered() -> dict[str, Counts]:
    """By row; empty where nothing was committed yet."""
    if not FILE.is_file():
        return {}
    return msgspec.json.decode(FILE.read_bytes(), type=dict[str, Counts])


def remember(counts: dict[str, Counts]) -> None:
    """Write them, rows that were not counted now as they were."""
    rounded = {
        row: {name: round(value, 2) for name, value in found.items()}
        for row, found in (remembered() | counts).items()
    }
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(rounded), indent=2) + b"\n")
