"""What the operator says of tasks, besides the ledger's limits (`ledger.tasks.limits`)."""

from typing import Annotated

from msgspec import Meta

from ledger.tasks.limits import TaskLimits

_Seconds = Annotated[float, Meta(gt=0, le=86_400)]
_Count = Annotated[int, Meta(ge=1)]


class TasksConfig(TaskLimits, frozen=True, kw_only=True):
    """How a process runs tasks, and how many may look at them."""

    # Tasks at once in this process; they stand in the engine's line as all conversions do.
    # 0: as many as there are slots, so that those who wait for an answer find room beside them.
    running_max: Annotated[int, Meta(ge=0)] = 0
    # What a client gives a task that says nothing, and the most that it can give.
    timeout_s: _Seconds = 600.0
    timeout_s_max: _Seconds = 3600.0
    # Files and results of hold=memory, a quarter of what may be in flight in all.
    memory_bytes_max: Annotated[int, Meta(ge=0)] = 256 * 1024 * 1024
    # How long a result in memory is there to be fetched; its debit is open as long.
    memory_s: _Seconds = 300.0
    # Of Prefer: wait. Proxies give up an answer after a minute.
    wait_s_max: _Seconds = 55.0
    # Streams of events: each is a connection, and 25 of one account are many tabs.
    streams_max: _Count = 256
    account_streams_max: _Count = 25
    # A comment now and then keeps proxies from closing a stream.
    stream_beat_s: _Seconds = 15.0
    stream_s_max: _Seconds = 3600.0
