"""Prometheus figures of one gateway process. No label ever holds a name, a key or content.

Labels have few values that are known beforehand: a route's pattern, a status, a problem's code, a
format's name, a stage. Workers have no registry of their own: what they measured rides on their
reply. Gauges are read from the engine when somebody looks, so that nothing has to be kept in step.
"""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from engine.engine import EngineStatus
from engine.job import Job, Output
from gateway.stages import Stage, Trail
from gateway.uploads import Memory

# From a spare worker's tiny image to the longest deadline; the promises of the service lie between.
BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

# Which gap between two stages is which part of a conversion.
SPANS: dict[Stage, tuple[str, Stage]] = {
    Stage.READ: ("read", Stage.AUTHENTICATED),
    Stage.DEBITED: ("debit", Stage.DEBITING),
    Stage.DELIVERED: ("write", Stage.RESPONDING),
    Stage.SETTLED: ("settle", Stage.DELIVERED),
}


class Metrics:
    """All counters and histograms, and the page they are read from."""

    media_type = CONTENT_TYPE_LATEST

    def __init__(self, status: Callable[[], EngineStatus], memory: Memory) -> None:
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
        registry.register(_Gauges(status, memory))

    def page(self) -> bytes:
        """The figures in Prometheus' text format."""
        return generate_latest(self._registry)

    def answered(self, route: str, method: str, status: int) -> None:
        """Count one answer. `route` is the pattern in the route table, or `-`."""
        self._requests.labels(route, method, str(status)).inc()

    def refused(self, code: str) -> None:
        """Count one problem."""
        self._problems.labels(code).inc()

    def observe(self, stage: Stage, trail: Trail) -> None:
        """Time the part of a conversion that ended with this stage."""
        if span := SPANS.get(stage):
            name, start = span
            self._stages.labels(name).observe(trail.seconds(start, stage))
        if stage is Stage.DEBITED:
            self._credits.labels("consumption").inc(trail.credits)

    def refunded(self, amount: int) -> None:
        """Count credits that went back because their conversion failed."""
        self._credits.labels("refund").inc(amount)

    def converted(self, job: Job, output: Output) -> None:
        """Count one finished conversion and what it took."""
        self._conversions.labels(job.converter, job.sources[0], job.target).inc()
        self._cpu.labels(job.converter).inc(output.cpu_s)
        self._stages.labels("queue").observe(output.queue_s)
        self._stages.labels("convert").observe(output.convert_s)


class _Gauges(Collector):
    """What is true at the moment of asking."""

    def __init__(self, status: Callable[[], EngineStatus], memory: Memory) -> None:
        self._status = status
        self._memory = memory

    def collect(self) -> Iterator[Metric]:
        """Read the engine and the memory now."""
        now = self._status()
        slots = GaugeMetricFamily(
            "ephemera_slots", "Conversions that may run at once, by state.", labels=("state",)
        )
        slots.add_metric(("busy",), now.busy)
        slots.add_metric(("free",), max(now.slots - now.busy, 0))
        yield slots
        yield GaugeMetricFamily(
            "ephemera_waiting", "Conversions in the waiting line.", value=now.waiting
        )
        spares = GaugeMetricFamily(
            "ephemera_spares", "Workers ready for a conversion.", labels=("family",)
        )
        restarts = GaugeMetricFamily(
            "ephemera_zygote_restarts", "Replacements of a family's zygote.", labels=("family",)
        )
        for family in now.families:
            spares.add_metric((family.name,), family.spares)
            restarts.add_metric((family.name,), family.restarts)
        yield spares
        yield restarts
        yield GaugeMetricFamily(
            "ephemera_in_flight_bytes", "Uploads and results in memory.", value=self._memory.taken
        )
