"""What tasks are run with: the parts of one application, handed in by its composition root."""

from collections.abc import Callable, Sequence

import msgspec

from engine.engine import Engine
from engine.job import Job
from gateway.config import Settings
from gateway.connections.desk import StorageDesk
from gateway.drain import Door
from gateway.metrics import Metrics
from gateway.outbound.client import Outbound
from gateway.stages import Observer
from gateway.uploads import Memory
from ledger.credits.terms import Terms
from ledger.ledger import Ledger


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """One of each."""

    settings: Settings
    engine: Engine
    ledger: Ledger
    memory: Memory
    door: Door
    metrics: Metrics
    outbound: Outbound
    storage: StorageDesk
    observers: tuple[Observer, ...]
    # Raises where somebody with these terms may not have these jobs (`gateway.permits`).
    permit: Callable[[Terms, Sequence[Job]], None]
