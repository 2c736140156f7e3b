"""What one run found: figures added up over its rounds, and what follows from them."""

import statistics
from collections import Counter
from collections.abc import Sequence

import msgspec

from bench.load import percentile
from bench.peers.peer import Ask, Peer
from bench.peers.rows import Row

OURS = "ephemera"


class Kind(msgspec.Struct, frozen=True):
    """How a peer was asked: by so many clients, or (0) at random at half of its capacity."""

    clients: int


class Cell(msgspec.Struct):
    """One peer asked in one way, all rounds together."""

    wall_s: float = 0.0
    cpu_s: float = 0.0
    seconds: list[float] = msgspec.field(default_factory=list)
    failed: Counter[int] = msgspec.field(default_factory=Counter)

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return len(self.seconds) / self.wall_s if self.wall_s else 0.0

    @property
    def p50_s(self) -> float:
        """The middle answer; 0 where there is none."""
        return statistics.median(self.seconds) if self.seconds else 0.0

    @property
    def p99_s(self) -> float:
        """The slowest of a hundred; 0 where there is none."""
        return percentile(self.seconds, 0.99) if self.seconds else 0.0


class Turn(msgspec.Struct, frozen=True):
    """What is wanted: a row's name, whose way, for how long."""

    row: str
    how: str
    seconds: float


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What it took. `error`: why it could not be done, and then nothing else counts."""

    count: int = 0
    cpu_s: float = 0.0
    output_bytes: int = 0
    error: str = ""


class Bare(msgspec.Struct):
    """The row without a service."""

    count: int = 0
    cpu_s: float = 0.0
    output_bytes: int = 0
    error: str = ""

    @property
    def each_s(self) -> float | None:
        """CPU seconds of one; None where it could not be done."""
        return self.cpu_s / self.count if self.count and not self.error else None


class Entry(msgspec.Struct, kw_only=True):
    """A peer in a row."""

    peer: Peer
    asks: Sequence[Ask]
    results: int
    likeness: float | None
    output_bytes: int
    # Of one request to the warm, idle peer.
    request_s: float
    memory_bytes: int = 0
    cells: dict[Kind, Cell] = msgspec.field(default_factory=dict)

    def cell(self, clients: int) -> Cell | None:
        """What was found for so many clients."""
        return self.cells.get(Kind(clients))

    @property
    def capacity(self) -> float:
        """The most good answers a second that it had in a closed loop."""
        return max((cell.rate for kind, cell in self.cells.items() if kind.clients), default=0.0)

    def expected_s(self, clients: int) -> float:
        """How long so many clients wait for one answer each."""
        rate = self.capacity
        return clients / rate if rate else self.request_s

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds a result (of a batch: a picture), all closed loops together."""
        closed = [cell for kind, cell in self.cells.items() if kind.clients]
        good = sum(len(cell.seconds) for cell in closed)
        return sum(cell.cpu_s for cell in closed) / good / self.results if good else None

    @property
    def failed(self) -> Counter[int]:
        """Answers that were none, by status."""
        return sum((cell.failed for cell in self.cells.values()), Counter())


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A row, measured."""

    row: Row
    entries: list[Entry]
    bare: dict[str, Bare]
    left_out: dict[str, str]

    def entry(self, name: str) -> Entry | None:
        """That of a peer, where it took part."""
        return next((entry for entry in self.entries if entry.peer.name == name), None)

    @property
    def base(self) -> Entry | None:
        """Whom the ratios are of; the first of the others where the base is absent."""
        others = [entry for entry in self.entries if not entry.peer.name.startswith(OURS)]
        return self.entry(self.row.base) or next(iter(others), None)

    @property
    def we_failed(self) -> bool:
        """Whether we could not do it, or refused some of it."""
        entry = self.entry(OURS)
        return (entry is None and bool(self.entries)) or bool(entry and entry.failed)
