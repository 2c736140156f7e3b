"""Figures of several gateways as those of one service: counters added, and what else is sensible.

They travel as JSON from socket to socket. Most figures add up: requests, slots, bytes, CPU seconds.
What each gateway read from the database they share does not, nor does what is true or false.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

# Gauges that do not add up, and what is said instead. A test finds a gauge that is in neither list.
HOW: Mapping[str, Callable[[Iterable[float]], float]] = {
    # A fault of one is a fault.
    "ephemera_ledger_up": min,
    "ephemera_family_up": min,
    "ephemera_paused": max,
    # Of all gateways already, as each saw it when it last looked.
    "ephemera_stored_files": max,
    "ephemera_stored_files_max": max,
    "ephemera_stored_bytes": max,
    "ephemera_stored_bytes_max": max,
    "ephemera_tasks_present": max,
    "ephemera_task_lag_seconds": max,
    "ephemera_webhooks_waiting": max,
    "ephemera_mails_waiting": max,
    "ephemera_mails_dead": max,
    "ephemera_mail_lag_seconds": max,
    "ephemera_tickets_open": max,
    "ephemera_incidents_open": max,
    "ephemera_incident_notice_hours": min,
    "ephemera_build_info": max,
    "process_start_time_seconds": min,
}
ADDED = frozenset(
    {
        *("ephemera_slots", "ephemera_spares", "ephemera_spares_max", "ephemera_kept_workers"),
        *("ephemera_running", "ephemera_waiting", "ephemera_ledger_queue"),
        *("ephemera_in_flight_bytes", "ephemera_in_flight_bytes_max"),
        *("ephemera_request_records_waiting", "process_open_fds", "process_max_fds"),
        *("process_virtual_memory_bytes", "process_resident_memory_bytes"),
    }
)

GATEWAYS = "ephemera_gateways"

_Place = tuple[str, tuple[tuple[str, str], ...]]


class Figure(msgspec.Struct, frozen=True, array_like=True):
    """One number."""

    name: str
    labels: dict[str, str]
    value: float


class Family(msgspec.Struct, frozen=True, array_like=True):
    """A metric with all its numbers."""

    name: str
    meaning: str
    kind: str
    figures: list[Figure]


def encode(families: Iterable[Family]) -> bytes:
    """For a sibling."""
    return msgspec.json.encode(list(families))


def decode(page: bytes) -> list[Family]:
    """What `encode` made."""
    return msgspec.json.decode(page, type=list[Family])


def added_up(pages: Sequence[Iterable[Family]]) -> list[Family]:
    """One page of several, and how many they were."""
    together: dict[str, Family] = {}
    values: dict[str, dict[_Place, list[float]]] = {}
    for family in (family for page in pages for family in page):
        together.setdefault(family.name, family)
        places = values.setdefault(family.name, {})
        for one in family.figures:
            place = (one.name, tuple(sorted(one.labels.items())))
            places.setdefault(place, []).append(one.value)
    everything = [
        Family(
            name,
            family.meaning,
            family.kind,
            [
                Figure(sample, dict(labels), HOW.get(name, sum)(found))
                for (sample, labels), found in values[name].items()
            ],
        )
        for name, family in together.items()
    ]
    alive = Figure(GATEWAYS, {}, len(pages))
    meaning = "Gateways of this service that answered."
    return [*everything, Family(GATEWAYS, meaning, "gauge", [alive])]
