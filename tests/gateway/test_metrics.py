"""The figures: complete, counted where they happen, and under labels from closed lists alone."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import hdrs

from engine import formats, registry
from engine.status import FamilyStatus
from gateway import problems
from gateway.admin import ADMIN_ROUTES
from gateway.mail.postman import OUTCOMES as MAIL_OUTCOMES
from gateway.metrics import BUCKETS_S, CAUSES, OTHER, REASONS, _closed
from gateway.outbound.client import OUTCOMES, PURPOSES
from gateway.people.desk import SIGN_INS
from gateway.routes import ROUTES
from gateway.tasks import deliverer
from ledger.billing.payment import EventState
from ledger.mail.kinds import KINDS
from ledger.tasks.states import State
from tests.gateway.operating import Operated, operated
from tests.gateway.samples import document, picture, pixel_bomb
from tests.gateway.service import Customer, Service
from tests.postgres import private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

FAMILIES = {family.name for family in registry.FAMILIES}
FORMATS = {one.name for one in formats.FORMATS}
# Every label there is, and all that it can say.
CLOSED = {
    "route": {"-", *(row.path for row in (*ROUTES, *ADMIN_ROUTES))},
    "method": {"-", *hdrs.METH_ALL},
    "status": {
        str(status)
        for status in (*range(200, 207), 303, 304, *range(400, 432), 499, *range(500, 505), 507)
    },
    "code": {kind.code for kind in (*problems.KINDS.values(), problems.UNFORESEEN)},
    "stage": {"read", "queue", "debit", "convert", "write", "settle"},
    "le": {*(str(float(bound)) for bound in BUCKETS_S), "+Inf"},
    "converter": {one.name for one in registry.CONVERTERS},
    "source": FORMATS,
    "target": FORMATS,
    "kind": {"consumption", "refund", *KINDS},
    "state": {"busy", "free", *State},
    "family": FAMILIES,
    "reason": {*REASONS, OTHER},
    "cause": {*CAUSES, OTHER},
    "version": {version("ephemera")},
    "purpose": set(PURPOSES),
    "outcome": {*OUTCOMES, *deliverer.OUTCOMES, *MAIL_OUTCOMES, *EventState, *SIGN_INS},
}


@pytest.fixture
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(loop_scope="session")
async def operators(service: Service, home: Path) -> AsyncIterator[Operated]:
    async with operated(service.engine, service.ledger, home) as doors:
        yield doors


async def figures(operators: Operated) -> dict[str, float]:
    page = (await operators.look("/metrics")).body.decode()
    return {
        name: float(value)
        for name, value in (
            line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#")
        )
    }


async def test_no_label_says_what_is_not_in_its_list(
    operators: Operated, customer: Customer
) -> None:
    canary = "canary7d1"
    service = operators.service
    for path, body in (
        ("png/webp", picture()),
        (f"png/webp?{canary}={canary}", picture()),
        (f"{canary}/webp", picture()),
        ("png/webp", canary.encode()),
        ("png/webp", pixel_bomb()),
        ("pdf/txt", document(locked_by=canary)),
        ("auto/webp", picture("JPEG")),
    ):
        await service.convert(path, body, customer, {"X-Request-Id": canary})
    for method, path in (("GET", f"/{canary}"), (canary.upper(), "/livez"), ("PUT", "/v1/formats")):
        await service.ask(method, path)
    await operators.order(canary)
    await operators.order("recycle", {"family": canary})
    await operators.order("recycle")

    said = defaultdict(set)
    for name in await figures(operators):
        for label, value in re.findall(r'(\w+)="([^"]*)"', name):
            said[label].add(value)
    assert {label: sorted(values - CLOSED[label]) for label, values in said.items()} == {
        label: [] for label in said
    }
    assert said.keys() == CLOSED.keys()


async def test_no_series_says_when_another_was_created(operators: Operated) -> None:
    names = {name.partition("{")[0] for name in await figures(operators)}
    assert not any(name.endswith("_created") for name in names)


async def test_what_workers_did_is_counted_by_family(
    operators: Operated, customer: Customer
) -> None:
    before = await figures(operators)
    assert (await operators.service.convert("png/webp", picture(), customer)).status == 200
    assert (await operators.service.convert("png/webp", pixel_bomb(), customer)).status == 422
    await operators.order("recycle", {"family": "image"})
    after = await figures(operators)

    def grown(name: str) -> float:
        return after[name] - before[name]

    assert grown('ephemera_conversion_failures_total{family="image",reason="refused"}') == 1
    assert grown('ephemera_zygote_recycles_total{cause="asked",family="image"}') == 1
    assert grown('ephemera_zygote_recycles_total{cause="asked",family="pdf"}') == 0
    assert grown('ephemera_workers_total{family="image"}') >= 2
    assert grown('ephemera_cpu_seconds_total{family="image"}') > 0
    assert {
        after[f'ephemera_worker_written_bytes_total{{family="{one}"}}'] for one in FAMILIES
    } == {0}


async def test_the_moment_is_told_from_the_engine_the_memory_and_the_ledger(
    operators: Operated,
) -> None:
    now = await figures(operators)
    engine = operators.service.engine.status()
    assert now['ephemera_slots{state="free"}'] == engine.slots
    assert now["ephemera_ledger_up"] == 1
    assert now["ephemera_ledger_queue"] == 0
    assert now["ephemera_in_flight_bytes"] == 0 < now["ephemera_in_flight_bytes_max"]
    assert now["process_open_fds"] > 0
    assert now[f'ephemera_build_info{{version="{version("ephemera")}"}}'] == 1
    for family in engine.families:
        assert now[f'ephemera_spares{{family="{family.name}"}}'] >= 0
        assert now[f'ephemera_waiting{{family="{family.name}"}}'] == 0
        assert now[f'ephemera_family_up{{family="{family.name}"}}'] == 1
    await operators.order("pause")
    assert (await figures(operators))["ephemera_paused"] == 1
    await operators.order("resume")


async def test_a_label_that_nobody_announced_is_other() -> None:
    assert _closed({"crashed": 2, "moonlight": 3}, REASONS) == dict.fromkeys(REASONS, 0) | {
        "crashed": 2,
        OTHER: 3,
    }


async def test_the_labels_of_the_engine_are_the_ones_it_documents() -> None:
    text = Path(registry.__file__).with_name("status.py").read_text()
    for name, known in (("failures", REASONS), ("recycles", CAUSES)):
        assert name in FamilyStatus.__struct_fields__
        comment = re.findall(r"((?:    #[^\n]*\n)+)    " + name + ":", text)[0]
        listed = re.findall(r"[a-z_]+", comment.rpartition(": ")[2].partition("(")[0])
        assert set(listed) <= set(known), name


async def test_every_figure_is_explained_to_operators(operators: Operated) -> None:
    page = (Path(registry.__file__).parents[1] / "docs" / "operations.md").read_text()
    for name in await figures(operators):
        bare = re.sub(r"(_bucket|_count|_sum)?({.*)?$", "", name)
        assert bare in page or bare.startswith("process_"), bare
