"""What each of several gateways may use: the operator's settings, dealt out among them.

Whatever bounds this machine's memory, cores or descriptors is divided, so that one number in the
settings means the same however many processes there are. What is counted in the database (credits,
stored files, quotas, tasks) is shared there and stays as it is; what only says how long or how
slowly stays too.
"""

import os
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from gateway.config import Settings
from gateway.errors import ConfigError

# The private PostgreSQL takes 50 connections, and a gateway under load has eleven.
EMBEDDED_PROCESSES_MAX = 4

Section = TypeVar("Section", bound=msgspec.Struct)


def dealt(settings: Settings, *, dsn: str, cores: int = 0) -> list[Settings]:
    """The settings of each gateway, which finds its database at `dsn`.

    Raises ConfigError where there is too little of something for so many.
    """
    many = settings.gateway.processes
    slots = settings.engine.slots or cores or len(os.sched_getaffinity(0))
    if many > slots:
        raise ConfigError(
            f"gateway.processes is {many} and there are {slots} slots, of which each process needs "
            "one; lower it, or raise engine.slots"
        )
    if many > EMBEDDED_PROCESSES_MAX and not settings.ledger.dsn:
        raise ConfigError(
            f"gateway.processes is {many}, and the private PostgreSQL has connections for "
            f"{EMBEDDED_PROCESSES_MAX}; lower it, or give a PostgreSQL of your own (ledger.dsn)"
        )
    room = settings.upload.in_flight_bytes_max // many
    if room < settings.upload.bytes_max:
        raise ConfigError(
            f"upload.in_flight_bytes_max is {settings.upload.in_flight_bytes_max}: the share of "
            f"each of {many} processes is less than upload.bytes_max ({settings.upload.bytes_max}),"
            " so the largest uploads would never be taken; raise the one or lower the other"
        )
    return [_share(settings, slots, many, number, dsn) for number in range(many)]


def part(whole: int, many: int, number: int) -> int:
    """One of `many` parts that differ by at most one and add up to the whole."""
    return whole // many + (number < whole % many)


def _share(settings: Settings, slots: int, many: int, number: int, dsn: str) -> Settings:
    def cut(section: Section, *names: str) -> Section:
        """Divide what is set; 0 means that the process decides, and nobody gets none of a thing."""
        return replace(
            section,
            **{
                name: max(1, part(whole, many, number))
                for name in names
                if (whole := getattr(section, name))
            },
        )

    engine = cut(
        replace(settings.engine, slots=slots),
        *("slots", "spares", "waiting_max", "receivers_max", "account_receivers_max"),
    )
    visitors = max(1, part(settings.convertapi.visitors_at_once_max, many, number))
    fetches = max(1, part(settings.fetch.at_once_max, many, number))
    threads = settings.accounts.hashing_threads or max(1, (os.cpu_count() or 1) // 2)
    return replace(
        settings,
        engine=engine,
        server=cut(settings.server, "connections_max"),
        upload=cut(settings.upload, "in_flight_bytes_max"),
        tasks=cut(settings.tasks, "running_max", "memory_bytes_max", "streams_max"),
        fetch=replace(
            settings.fetch,
            at_once_max=fetches,
            account_at_once_max=min(settings.fetch.account_at_once_max, fetches),
        ),
        convertapi=replace(
            settings.convertapi,
            visitors_at_once_max=visitors,
            visitor_at_once_max=min(settings.convertapi.visitor_at_once_max, visitors),
        ),
        accounts=cut(
            replace(settings.accounts, hashing_threads=threads), "hashing_threads", "hashing_queue"
        ),
        # Who counts alone would let everybody ask as often as there are processes.
        limits=replace(settings.limits, store="postgres"),
        # The demo account is made by the parent, once.
        ledger=replace(settings.ledger, dsn=dsn, demo_credits=0),
    )
