"""The engine's settings, each with its reason."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from sandbox.spec import Level

_Count = Annotated[int, Meta(ge=1)]
_Seconds = Annotated[float, Meta(gt=0)]
# A spare's memory was laid out when it was forked; two hours is the longest that layout may wait
# for a customer.
_SpareSeconds = Annotated[float, Meta(gt=0, le=7200)]


# A fork, its confinement and its first tiny conversion take milliseconds; a zygote that needs
# seconds hangs, and is replaced.
SPAWN_MAX_S = 3.0


class PoolRules(msgspec.Struct, frozen=True, kw_only=True):
    """How one family's workers are held in stock; the numbers' reasons stand in `EngineConfig`."""

    uses: int = 1
    # Workers that are kept for their owners, at most.
    kept_max: int = 8
    spawn_max_s: float = SPAWN_MAX_S
    spare_max_s: float = 60.0
    zygote_crashes_max: int = 16
    zygote_max_s: float = 3600.0
    # None: the family boots with the service and stays.
    rest_after_s: float | None = None


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the machine the engine may use, and how strictly workers are confined."""

    # Conversions at once; 0 means as many as the cores this process may use. More than that makes
    # each slower without finishing more.
    slots: int = 0
    # Ready workers of all families together, dealt out by recent demand; never less than one a
    # family. 0 means one a slot and one a family: a burst as wide as the machine waits for no
    # fork. An idle one costs 2 to 4 MB.
    spares: int = 0
    # After this long a spare that nobody needed is replaced by a new one. That also proves, while
    # nothing else happens, that the zygote still forks: one that was stopped is replaced.
    spare_max_s: _SpareSeconds = 60.0
    # Of each family. With 0.1 s a conversion and two slots, 256 are about 13 s of waiting: what a
    # client bears.
    waiting_max: int = 256
    wait_max_s: float = 30.0
    # Large files that arrive at once, each in a worker that waits for the rest. One costs 3 MB,
    # three descriptors and two pipes; of pipes the kernel gives an ordinary user 64 MiB, which are
    # 32 times two of 1 MiB. Beyond it new pipes are small, and slow for everybody.
    receivers_max: _Count = 32
    # Of them, how many one account can hold: half, so slow uploads of one keep nobody else out.
    account_receivers_max: _Count = 16
    isolation: Level = "strict"
    # Families that boot with the service. The others boot at their first conversion, which waits
    # for that, and rest again after so long without one: a family takes 30 to 150 MB.
    started: tuple[str, ...] = ("image", "pdf")
    rest_after_s: _Seconds = 600.0
    # All workers of a zygote share its memory layout, so somebody who makes workers crash can learn
    # about it bit by bit. Sixteen wrong guesses, or this long, and there is a new one.
    zygote_crashes_max: _Count = 16
    zygote_max_s: _Seconds = 3600.0
    # Whether a worker may serve the same account again, so often and so long. The default is a
    # worker a conversion; files of one request may always share one (`Engine.batch`).
    policy: Literal["per-conversion", "per-account"] = "per-conversion"
    account_uses: _Count = 20
    account_s: _Seconds = 60.0
    # Conversions after which a batch goes on in a new worker: enough to hide the fork.
    request_uses: _Count = 100
    # Conversions that a spare serves before it ends. 1 is the promise; benches use more to compare.
    uses: _Count = 1
