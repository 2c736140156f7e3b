"""The families of this installation, put together with the sandbox: one pool each."""

import sys
from collections.abc import Mapping

import msgspec

from engine import registry
from engine.config import EngineConfig, PoolRules
from engine.counts import Counts
from engine.keep import KEPT_A_SLOT
from engine.line import Line
from engine.pool import Pool
from engine.workers import WorkerSource
from sandbox.host.forkserver import Forkserver
from sandbox.limits import Limits
from sandbox.spec import ZygoteSpec

ENTRY = "engine.task:handle"
WARM = "engine.task:warm"
TOUCH = "engine.task:touch"


def pools(config: EngineConfig, line: Line) -> dict[str, Pool]:
    """A pool for each family, by name; none is started yet. Slots are the line's."""
    return {family.name: _pool(family, config, line) for family in registry.FAMILIES}


def changed(limits: Limits, changes: Mapping[str, float]) -> Limits:
    """The limits with some fields replaced. Raises ValueError for what cannot be."""
    known = msgspec.structs.asdict(limits)
    for name, value in changes.items():
        if name not in known:
            raise ValueError(f"no such limit: {name}; there are {', '.join(known)}")
        if value <= 0 and name != "threads":
            raise ValueError(f"{name} is above 0")
    try:
        return msgspec.convert({**known, **changes}, Limits)
    except msgspec.ValidationError as error:
        raise ValueError(f"not a limit: {error}") from error


def zygote_spec(family: registry.Family, limits: Limits, config: EngineConfig) -> ZygoteSpec:
    """What this family's zygote is told."""
    return ZygoteSpec(
        family=family.name,
        preload=family.preload,
        entry=ENTRY,
        warm=WARM,
        touch=TOUCH,
        limits=limits,
        level=config.isolation,
        calls=family.calls,
        program=family.program,
        reads=family.reads,
        pairs=family.pairs,
        shares=family.shares,
        library=family.library,
        environment=family.environment,
        uses=config.uses,
    )


def _touched_max(family: registry.Family, line: Line) -> int:
    """How many spares shall touch their pages ahead: as many as can convert at once.

    More never begin at an idle moment. While somebody waits for a slot there is no time for it, and
    none, unless it is what a conversion needs.
    """
    if family.prepares:
        return sys.maxsize
    return 0 if line.crowded else line.slots


def _pool(family: registry.Family, config: EngineConfig, line: Line) -> Pool:
    counts = Counts()

    async def boot(limits: Limits) -> WorkerSource:
        spec = zygote_spec(family, limits, config)
        return await Forkserver.start(spec, on_exit=counts.note_exit)

    return Pool(
        family.name,
        boot=boot,
        spares_max=1,
        limits=family.limits,
        rules=PoolRules(
            uses=config.uses,
            kept_max=line.slots * KEPT_A_SLOT,
            spawn_max_s=family.spawn_max_s,
            spare_max_s=config.spare_max_s,
            zygote_crashes_max=config.zygote_crashes_max,
            zygote_max_s=config.zygote_max_s,
            rest_after_s=None if family.name in config.started else config.rest_after_s,
        ),
        touched_max=lambda: _touched_max(family, line),
        counts=counts,
    )
