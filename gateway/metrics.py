"""Prometheus figures of one gateway process. No label ever holds a name, a key or content.

Labels have few values that are known beforehand: a route's pattern, a status, a problem's code, a
format's name, a stage. Workers have no registry of their own: what they measured rides on their
reply. Gauges are read from the engine when somebody looks, so that nothing has to be kept in step.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from engine.engine import EngineStatus, FamilyStatus
from engine.job import Job, Output
from gateway.mail.postman import OUTCOMES as MAIL_OUTCOMES
from gateway.outbound.client import OUTCOMES, PURPOSES
from gateway.people.desk import SIGN_INS
from gateway.processes.figures import Family, Figure
from gateway.stages import Stage, Trail
from gateway.uploads import Memory
from ledger.billing.payment import EventState
from ledger.ledger import Ledger
from ledger.mail.kinds import KINDS
from ledger.tasks.states import LIVE, State

# From a spare worker's tiny image to the longest deadline; the promises of the service lie between.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

# Which gap between two stages is which part of a conversion.
SPANS: dict[Stage, tuple[str, Stage]] = {
    Stage.READ: ("read", Stage.AUTHENTICATED),
    Stage.DEBITED: ("debit", Stage.DEBITING),
    Stage.DELIVERED: ("write", Stage.RESPONDING),
    Stage.SETTLED: ("settle", Stage.DELIVERED),
}

# The engine's labels, each exported from the first moment on, so that an alert on an increase sees
# the first one. A label that is not here yet is `other`: the sets stay closed whatever comes.
REASONS = (
    *("crashed", "segfault", "abort", "bus", "exit", "killed"),
    *("violation", "memory", "cpu", "deadline", "reply", "progress", "output", "refused"),
    *("zygote_died", "gone", "unavailable", "draining"),
)
CAUSES = ("asked", "limits", "crashes", "age", "restart", "died", "hangs")
OTHER = "other"

# What is said of each family: name, meaning, figure.
FAMILY_GAUGES: tuple[tuple[str, str, Callable[[FamilyStatus], float]], ...] = (
    ("ephemera_family_up", "1 while the family has a zygote.", lambda one: one.up),
    ("ephemera_spares", "Workers ready for a conversion.", lambda one: one.spares),
    ("ephemera_spares_max", "Spares that the family may keep now.", lambda one: one.spares_max),
    ("ephemera_kept_workers", "Workers kept for their account.", lambda one: one.kept),
    ("ephemera_running", "Conversions that run now.", lambda one: one.running),
    ("ephemera_waiting", "Conversions in the waiting line.", lambda one: one.waiting),
)
FAMILY_COUNTERS: tuple[tuple[str, str, Callable[[FamilyStatus], float]], ...] = (
    ("ephemera_workers", "Workers that have ended, spares too.", lambda one: one.workers),
    ("ephemera_cpu_seconds", "CPU time of ended workers.", lambda one: one.cpu_s),
    (
        "ephemera_worker_written_bytes",
        "Bytes that workers caused to be written to storage. Must stay 0.",
        lambda one: one.written_bytes,
    ),
    ("ephemera_zygote_restarts", "Zygotes that died or hung.", lambda one: one.restarts),
)


class Metrics:
    """All counters and histograms, and the page they are read from."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, status: Callable[[], EngineStatus], memory: Memory, ledger: Ledger) -> None:
        # A second series for every counter and bucket, of which nobody asks.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter(
            "ephemera_requests",
            "Answered HTTP requests.",
            ("route", "method", "status"),
            registry=registry,
        )
        self._problems = Counter(
            "ephemera_problems",
            "Requests that ended in a problem, by its code.",
            ("code",),
            registry=registry,
        )
        self._stages = Histogram(
            "ephemera_stage_seconds",
            "Wall time of each part of a conversion.",
            ("stage",),
            buckets=BUCKETS_S,
            registry=registry,
        )
        self._conversions = Counter(
            "ephemera_conversions",
            "Conversions that the engine finished.",
            ("converter", "source", "target"),
            registry=registry,
        )
        self._cpu = Counter(
            "ephemera_worker_cpu_seconds",
            "CPU time that workers report for their conversions.",
            ("converter",),
            registry=registry,
        )
        self._credits = Counter(
            "ephemera_credits",
            "Credits debited, and refunded in this process.",
            ("kind",),
            registry=registry,
        )
        self._outbound = Counter(
            "ephemera_outbound",
            "Requests of the service itself, by purpose and how they ended.",
            ("purpose", "outcome"),
            registry=registry,
        )
        for purpose, outcome in itertools.product(PURPOSES, OUTCOMES):
            self._outbound.labels(purpose, outcome)
        self._tasks = Counter(
            "ephemera_tasks", "Tasks that ended, by state.", ("state",), registry=registry
        )
        self._deliveries = Counter(
            "ephemera_webhook_attempts", "Calls of webhooks.", ("outcome",), registry=registry
        )
        self._mails = Counter(
            "ephemera_mail_attempts",
            "Attempts to hand over a mail, by its kind and how they ended.",
            ("kind", "outcome"),
            registry=registry,
        )
        for kind, outcome in itertools.product(KINDS, MAIL_OUTCOMES):
            self._mails.labels(kind, outcome)
        self._billing = Counter(
            "ephemera_billing_events",
            "Webhooks of the payment provider, by what became of them.",
            ("outcome",),
            registry=registry,
        )
        for outcome in EventState:
            self._billing.labels(outcome)
        self._sign_ins = Counter(
            "ephemera_sign_ins", "Sign-ins, by how they ended.", ("outcome",), registry=registry
        )
        for outcome in SIGN_INS:
            self._sign_ins.labels(outcome)
        # The one figure of a metric with these labels. The library's own lookup takes a lock and a
        # tuple of strings: 0.1 ms of a request's CPU. All label sets are closed, so it stays small.
        self._of = functools.cache(lambda metric, *labels: metric.labels(*labels))
        # Of the gateway itself: CPU, memory, open files.
        ProcessCollector(registry=registry)
        registry.register(_Moment(status, memory, ledger))

    def page(self) -> bytes:
        """The figures of this process in Prometheus' text format."""
        return generate_latest(self._registry)

    def own(self) -> list[Family]:
        """The figures of this process, to be added to others'."""
        return [
            Family(
                metric.name,
                metric.documentation,
                metric.type,
                [Figure(one.name, dict(one.labels), float(one.value)) for one in metric.samples],
            )
            for metric in self._registry.collect()
        ]

    def answered(self, route: str, method: str, status: int) -> None:
        """Count one answer. `route` is the pattern in the route table, or `-`."""
        self._of(self._requests, route, method, str(status)).inc()

    def refused(self, code: str) -> None:
        """Count one problem."""
        self._of(self._problems, code).inc()

    def observe(self, stage: Stage, trail: Trail) -> None:
        """Time the part of a conversion that ended with this stage."""
        if span := SPANS.get(stage):
            name, start = span
            self._of(self._stages, name).observe(trail.seconds(start, stage))
        if stage is Stage.DEBITED:
            self._of(self._credits, "consumption").inc(trail.credits)

    def asked_outside(self, purpose: str, outcome: str) -> None:
        """Count one request of the service itself: a file fetched by URL, a webhook called."""
        self._of(self._outbound, purpose, outcome).inc()

    def refunded(self, amount: int) -> None:
        """Count credits that went back because their conversion failed."""
        self._of(self._credits, "refund").inc(amount)

    def task_ended(self, ended: State) -> None:
        """Count one task that ended in this process."""
        self._of(self._tasks, ended).inc()

    def delivery_tried(self, outcome: str) -> None:
        """Count one call of a webhook; `outcome` is of `gateway.tasks.deliverer.OUTCOMES`."""
        self._of(self._deliveries, outcome).inc()

    def mail_tried(self, kind: str, outcome: str) -> None:
        """Count one attempt; `outcome` is of `gateway.mail.postman.OUTCOMES`."""
        self._of(self._mails, kind, outcome).inc()

    def sign_in(self, outcome: str) -> None:
        """Count one sign-in; `outcome` is of `SIGN_INS`."""
        self._of(self._sign_ins, outcome).inc()

    def billing_event(self, outcome: str) -> None:
        """Count one genuine webhook of the payment provider; `outcome` is what became of it."""
        self._of(self._billing, outcome).inc()

    def converted(self, job: Job, output: Output) -> None:
        """Count one finished conversion and what it took."""
        self._of(self._conversions, job.converter, job.sources[0], job.target).inc()
        self._of(self._cpu, job.converter).inc(output.cpu_s)
        self._of(self._stages, "queue").observe(output.queue_s)
        self._of(self._stages, "convert").observe(output.convert_s)


def page_of(families: Iterable[Family]) -> bytes:
    """Figures of several processes in Prometheus' text format."""
    return generate_latest(_Families(families))


class _Families(Collector):
    """Figures that were collected elsewhere."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """Give them as they are."""
        for family in self._families:
            metric = Metric(family.name, family.meaning, family.kind)
            for one in family.figures:
                metric.add_sample(one.name, one.labels, one.value)
            yield metric


class _Moment(Collector):
    """What is true at the moment of asking."""

    def __init__(self, status: Callable[[], EngineStatus], memory: Memory, ledger: Ledger) -> None:
        self._status = status
        self._memory = memory
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Read the engine, the memory and the ledger now."""
        now = self._status()
        slots = GaugeMetricFamily(
            "ephemera_slots", "Conversions that may run at once, by state.", labels=("state",)
        )
        slots.add_metric(("busy",), now.busy)
        slots.add_metric(("free",), max(now.slots - now.busy, 0))
        yield slots
        yield from self._values(now)
        yield from _families(now.families)
        build = GaugeMetricFamily("ephemera_build_info", "Always 1.", labels=("version",))
        build.add_metric((version("ephemera"),), 1)
        yield build

    def _values(self, now: EngineStatus) -> Iterator[Metric]:
        for name, meaning, value in (
            ("ephemera_paused", "1 while an operator holds the line.", now.paused),
            ("ephemera_in_flight_bytes", "Uploads and results in memory.", self._memory.taken),
            ("ephemera_in_flight_bytes_max", "Their limit.", self._memory.bytes_max),
            ("ephemera_ledger_up", "1 while PostgreSQL answers.", self._ledger.healthy()),
            ("ephemera_ledger_queue", "Movements not yet written.", self._ledger.queued()),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        yield from self._store()
        yield from self._backlog()
        yield from self._outbox()

    def _backlog(self) -> Iterator[Metric]:
        """What the sweeper of tasks saw when it last looked, a few seconds ago."""
        backlog = self._ledger.task_sweeper.backlog
        tasks = GaugeMetricFamily(
            "ephemera_tasks_present", "Tasks that wait or run.", labels=("state",)
        )
        for one in LIVE:
            tasks.add_metric((one,), backlog.states.get(one, 0))
        yield tasks
        for name, meaning, value in (
            ("ephemera_task_lag_seconds", "Age of the task that waits longest.", backlog.lag_s),
            (
                "ephemera_webhooks_waiting",
                "Deliveries that wait for their next attempt.",
                backlog.waiting_deliveries,
            ),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)

    def _outbox(self) -> Iterator[Metric]:
        """What the sweeper of mails saw when it last looked, half a minute ago."""
        fill = self._ledger.mail_sweeper.fill
        for name, meaning, value in (
            ("ephemera_mails_waiting", "Mails that wait to be handed over.", fill.waiting),
            ("ephemera_mails_dead", "Mails that could not be: ephemera mail list.", fill.dead),
            ("ephemera_mail_lag_seconds", "Age of the mail that waits longest.", fill.lag_s),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        writer = self._ledger.requests.writer
        yield GaugeMetricFamily(
            "ephemera_request_records_waiting",
            "Records of requests that are not written yet.",
            value=writer.waiting,
        )
        yield CounterMetricFamily(
            "ephemera_request_records_dropped",
            "Records of requests that were dropped: the queue was full, or they were refused.",
            value=writer.dropped,
        )
        waiting = self._ledger.support.sweeper.waiting
        for name, meaning, value in (
            ("ephemera_tickets_open", "Tickets that wait for an answer.", waiting.open_tickets),
            ("ephemera_incidents_open", "Incidents not closed.", waiting.open_incidents),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        if waiting.notice_h is not None:
            yield GaugeMetricFamily(
                "ephemera_incident_notice_hours",
                "Until the authority has to know of an incident; below 0: too late.",
                value=waiting.notice_h,
            )

    def _store(self) -> Iterator[Metric]:
        """What the sweeper saw when it last looked, at most half a minute ago."""
        sweeper, limits = self._ledger.file_sweeper, self._ledger.files.limits
        for name, meaning, value in (
            ("ephemera_stored_files", "Stored files of all gateways.", sweeper.fill.files),
            ("ephemera_stored_files_max", "Their limit.", limits.files_max),
            ("ephemera_stored_bytes", "Bytes of stored files.", sweeper.fill.bytes),
            ("ephemera_stored_bytes_max", "Their limit.", limits.bytes_max),
        ):
            yield GaugeMetricFamily(name, meaning, value=value)
        yield CounterMetricFamily(
            "ephemera_purged_files", "Stored files purged after expiry.", value=sweeper.purged
        )


def _families(families: tuple[FamilyStatus, ...]) -> Iterator[Metric]:
    for kind, rows in (
        (GaugeMetricFamily, FAMILY_GAUGES),
        (CounterMetricFamily, FAMILY_COUNTERS),
    ):
        for name, meaning, figure in rows:
            metric = kind(name, meaning, labels=("family",))
            for family in families:
                metric.add_metric((family.name,), figure(family))
            yield metric
    failures = CounterMetricFamily(
        "ephemera_conversion_failures", "Failed conversions.", labels=("family", "reason")
    )
    recycles = CounterMetricFamily(
        "ephemera_zygote_recycles", "Zygotes that were replaced.", labels=("family", "cause")
    )
    for family in families:
        for label, count in _closed(family.failures, REASONS).items():
            failures.add_metric((family.name, label), count)
        for label, count in _closed(family.recycles, CAUSES).items():
            recycles.add_metric((family.name, label), count)
    yield failures
    yield recycles


def _closed(counts: Mapping[str, int], labels: tuple[str, ...]) -> dict[str, int]:
    """The counts under known labels alone, all of them."""
    closed = dict.fromkeys((*labels, OTHER), 0)
    for label, count in counts.items():
        closed[label if label in closed else OTHER] += count
    return closed
