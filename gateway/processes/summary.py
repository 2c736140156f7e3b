"""What several gateways of one service say of themselves, added up for an operator's eye."""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter

import msgspec
from msgspec.structs import replace

from engine.engine import EngineStatus, FamilyStatus
from gateway.api.health import Health, LedgerStatus, ServiceStatus

_FAMILY_SUMS = (
    *("spares", "spares_max", "kept", "running", "waiting", "restarts", "conversions"),
    *("workers", "cpu_s", "written_bytes"),
)


def together(statuses: Sequence[ServiceStatus]) -> ServiceStatus:
    """One status of several, as the process that began first. What is missing in one is missing."""
    first = min(statuses, key=attrgetter("process.started_at"))
    engines = [one.engine for one in statuses]
    missing = dict.fromkeys(name for one in statuses for name in one.health.missing)
    return replace(
        first,
        health=Health(ready=not missing, missing=tuple(missing)),
        conversions=sum(one.conversions for one in statuses),
        in_flight_bytes=sum(one.in_flight_bytes for one in statuses),
        in_flight_bytes_max=sum(one.in_flight_bytes_max for one in statuses),
        ledger=LedgerStatus(
            up=all(one.ledger.up for one in statuses),
            queued=sum(one.ledger.queued for one in statuses),
        ),
        engine=_engine(engines),
    )


def _engine(engines: Sequence[EngineStatus]) -> EngineStatus:
    families: dict[str, list[FamilyStatus]] = {}
    for family in (family for engine in engines for family in engine.families):
        families.setdefault(family.name, []).append(family)
    return replace(
        engines[0],
        **_sums(engines, ("slots", "busy", "waiting")),
        draining=any(one.draining for one in engines),
        paused=any(one.paused for one in engines),
        families=tuple(_family(ones) for ones in families.values()),
    )


def _family(ones: Sequence[FamilyStatus]) -> FamilyStatus:
    failures: Counter[str] = Counter()
    recycles: Counter[str] = Counter()
    for one in ones:
        failures.update(one.failures)
        recycles.update(one.recycles)
    return replace(
        ones[0],
        **_sums(ones, _FAMILY_SUMS),
        up=all(one.up for one in ones),
        resting=all(one.resting for one in ones),
        failures=dict(failures),
        recycles=dict(recycles),
        retry_after_s=max(one.retry_after_s for one in ones),
    )


def _sums(ones: Sequence[msgspec.Struct], names: Sequence[str]) -> dict[str, float]:
    return {name: sum(getattr(one, name) for one in ones) for name in names}
