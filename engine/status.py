"""What the engine says of itself: figures of this moment, and what an operator's action did."""

import msgspec


class FamilyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One family at this moment, and its counts since the start."""

    name: str
    # Able to convert: its zygote is there, or it rests until somebody asks.
    up: bool
    spares: int
    # How many spares it may keep now, of the budget for all families.
    spares_max: int = 0
    # Without a zygote, because nobody needs one; the next conversion boots it.
    resting: bool = False
    # Workers that wait for the next conversion of their account or request.
    kept: int = 0
    running: int
    waiting: int = 0
    # Zygotes that died or hung and were replaced.
    restarts: int
    conversions: int = 0
    # Failed conversions by reason: segfault, abort, bus, exit, crashed (anything else that ends a
    # worker or a codec), killed, violation, memory, cpu, deadline, reply, output, zygote_died,
    # unavailable, refused (the file or its options).
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    # Replaced zygotes by cause: asked, limits, crashes, age, restart, died, hangs.
    recycles: dict[str, int] = msgspec.field(default_factory=dict)
    # Ended workers, and what the kernel counted for them. Written bytes must stay 0.
    workers: int = 0
    cpu_s: float = 0.0
    written_bytes: int = 0
    retry_after_s: float = 1.0


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `ephemera ops status` shows."""

    slots: int
    busy: int
    waiting: int
    draining: bool
    paused: bool = False
    isolation: str
    policy: str = "per-conversion"
    families: tuple[FamilyStatus, ...]


class Paused(msgspec.Struct, frozen=True, kw_only=True):
    """`pause` and `resume`: how it is now, and whether that is new."""

    paused: bool
    changed: bool
    waiting: int
    running: int


class Resized(msgspec.Struct, frozen=True, kw_only=True):
    """`resize`: slots before and now; `busy` may be above for as long as conversions run."""

    before: int
    slots: int
    busy: int


class Recycled(msgspec.Struct, frozen=True, kw_only=True):
    """`recycle`, `restart_zygote` and `set_limit`: the new zygotes, by family."""

    families: tuple[str, ...]
    # What set_limit changed: field, new value. Empty for the others, and where nothing changed.
    limits: dict[str, float] = msgspec.field(default_factory=dict)


class Drained(msgspec.Struct, frozen=True, kw_only=True):
    """`drain`: whether all finished in time, and how many did not."""

    finished: bool
    left: int
