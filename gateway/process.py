"""Which process this is, for operators who run several."""

import os
from datetime import UTC, datetime
from importlib.metadata import version

import msgspec


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One gateway process."""

    pid: int
    host: str
    version: str
    started_at: datetime

    @property
    def label(self) -> str:
        """How the audit records name it."""
        return f"{self.host}:{self.pid}"


def this_process() -> Process:
    """Describe the process that asks, as of now."""
    return Process(
        pid=os.getpid(),
        host=os.uname().nodename,
        version=version("ephemera"),
        started_at=datetime.now(UTC),
    )
