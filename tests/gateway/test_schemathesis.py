"""Every address answers as /openapi.json says, whatever it is asked: generated requests, real HTTP.

Each operation is asked for what fits its description and for what does not, with a key, without one
and with one that is none; and conversions, where that is unlikely to come of chance, for something
that they can do. The examples follow from the description alone: each run makes the same ones.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import cache, partial
from typing import Any

import msgspec
import pytest
import pytest_asyncio
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi import checks as conformance
from structlog.testing import capture_logs

from gateway import openapi
from gateway.routes import ROUTES
from ledger.accounts.rights import Rights, Scope
from tests.gateway.service import Customer, Service

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    # Schemathesis' own; Hypothesis seeds that module for each example.
    pytest.mark.filterwarnings("ignore:Do not use the `random` module"),
]

# Of each operation and kind of data. With five times as many nothing more is found.
EXAMPLES = 6
FEW = 3
# Only ever reached when something hangs.
PATIENCE_S = 60.0
CHECKS = [
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_headers_conformance,
    conformance.response_schema_conformance,
]
REFUSALS = [*CHECKS, conformance.negative_data_rejection]
DOCUMENT = openapi.document()
ADDRESSES = {row.name: (row.path, row.method) for row in ROUTES}
CONVERTED = {"source": "csv", "target": "json"}
TEXT = b"a,b\n1,2\n"


class Possible(msgspec.Struct, frozen=True):
    """What can be done: the address, the query and the body."""

    address: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Any = None
    media_type: str = "application/json"


OCTETS, FORM = "application/octet-stream", "multipart/form-data"
# FILE, UPLOAD, TASK, HOOK and KEY stand for ones that are there.
POSSIBLE: Mapping[str, Possible] = {
    "convert": Possible(CONVERTED, {}, TEXT, OCTETS),
    "convertBatch": Possible(CONVERTED, {"store": "true"}, {"file": [TEXT, b""]}, FORM),
    "convertSteps": Possible(
        {}, {"source": "csv", "step": "json", "store": "true"}, {"file": [TEXT]}, FORM
    ),
    "inspect": Possible({}, {}, TEXT, OCTETS),
    "getFile": Possible({"handle": "FILE"}),
    "submitTask": Possible(CONVERTED, {}, TEXT, OCTETS),
    "getTask": Possible({"id": "TASK"}),
    "followTask": Possible({"id": "TASK"}),
    "getTaskResult": Possible({"id": "TASK"}),
    "createWebhook": Possible(body={"url": "https://hooks.invalid/of-a-test"}),
    "getWebhook": Possible({"id": "HOOK"}),
    "rotateWebhookSecret": Possible({"id": "HOOK"}),
    "enableWebhook": Possible({"id": "HOOK"}),
    "listDeliveries": Possible({"id": "HOOK"}),
    "makeKey": Possible(body={"label": "another"}),
    "getKey": Possible({"id": "KEY"}),
    "rotateKey": Possible({"id": "KEY"}, body={"overlap_s": 60}),
    "convertapiConvertInQuery": Possible({"source": "html", "target": "txt"}, {"File": "UPLOAD"}),
    "convertapiFetch": Possible({"id": "UPLOAD"}),
    "convertapiFetchNamed": Possible({"id": "UPLOAD", "name": "page.html"}),
}

Prepare = Callable[[Case], None]


@pytest.fixture(autouse=True)
def _nothing_unforeseen() -> Iterator[None]:
    """A 500 may be an answer that another protocol wants, but never one that nobody foresaw."""
    with capture_logs() as logs:
        yield
    assert [row for row in logs if row["event"] == "unforeseen"] == []


@cache
def schema() -> BaseSchema:
    return schemathesis.openapi.from_dict(DOCUMENT)


def operation(name: str) -> dict[str, Any]:
    path, method = ADDRESSES[name]
    described: dict[str, Any] = DOCUMENT["paths"][path][method.lower()]
    return described


def can_be_wrong(name: str) -> bool:
    """Whether some request to it does not fit its description: a path may be any text."""
    told = operation(name)
    needs_key = bool(told["security"]) and {} not in told["security"]
    elsewhere = any(one["in"] != "path" for one in told["parameters"])
    return needs_key or elsewhere or "requestBody" in told


def asked(
    url: str,
    name: str,
    mode: GenerationMode,
    prepare: Prepare,
    *,
    examples: int = EXAMPLES,
    described: BaseSchema | None = None,
) -> list[int]:
    """Ask what is generated, check each answer, and give their statuses. Raises FailureGroup."""
    path, method = ADDRESSES[name]
    strategy: st.SearchStrategy[Case] = (described or schema())[path][method].as_strategy(
        generation_mode=mode
    )
    checks = REFUSALS if mode is GenerationMode.NEGATIVE else CHECKS
    statuses = []

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=strategy)
    def answered(case: Case) -> None:
        prepare(case)
        response = case.call(base_url=url, session=session, timeout=PATIENCE_S)
        statuses.append(response.status_code)
        case.validate_response(response, checks=checks)

    with requests.Session() as session:
        answered()
    return statuses


def with_key(customer: Customer) -> Prepare:
    """Show the key in place of one that was made up."""

    def prepare(case: Case) -> None:
        case.headers = {**case.headers, **customer.headers}

    return prepare


def with_no_key_of_ours(_: Case) -> None:
    """Leave it as it was made: without a key, or with one that opens nothing."""


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def someone(shared_service: Service) -> AsyncIterator[Customer]:
    """A customer whose key may do everything, and whose tasks are over when all is asked."""
    found = await shared_service.customer(opening=10_000)
    rights = Rights(scopes=frozenset(Scope))
    key = await shared_service.ledger.keys.create(found.account_id, "all", rights)
    customer = msgspec.structs.replace(found, key=key.secret)
    yield customer
    for state in ("queued", "running"):
        page = await made(shared_service, customer, "GET", f"/v1/tasks?state={state}&limit=100")
        for task in page["tasks"]:
            await ended(shared_service, customer, task["url"])


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def things(shared_service: Service, someone: Customer) -> dict[str, str]:
    """One of each that has an address of its own."""
    ask = partial(made, shared_service, someone, "POST")
    task = await ask("/v1/tasks/csv/json", data=TEXT)
    await ended(shared_service, someone, task["url"])
    file = await ask("/v1/files", data=TEXT)
    upload = await ask("/upload?filename=page.html", data=b"<p>a page</p>")
    hook = await ask("/v1/webhooks", json=POSSIBLE["createWebhook"].body)
    key = await ask("/v1/keys", json=POSSIBLE["makeKey"].body)
    return {
        "FILE": file["handle"],
        "UPLOAD": upload["FileId"],
        "TASK": task["id"],
        "HOOK": hook["webhook"]["id"],
        "KEY": key["id"],
    }


async def made(service: Service, customer: Customer, method: str, path: str, **body: Any) -> Any:
    reply = await service.ask(method, path, headers=customer.headers, **body)
    assert reply.status in {200, 201, 202}, reply.body
    return reply.json


async def ended(service: Service, customer: Customer, url: str) -> None:
    """Wait until a task is over."""
    headers = customer.headers | {"Prefer": "wait=20"}
    told = {"ended_at": None}
    while told["ended_at"] is None:
        told = (await service.ask("GET", url, headers=headers)).json


@pytest.mark.parametrize("name", ADDRESSES)
async def test_what_fits_is_answered_as_described(
    shared_service: Service, someone: Customer, name: str
) -> None:
    prepare = with_key(someone)
    assert await asyncio.to_thread(
        asked, shared_service.url, name, GenerationMode.POSITIVE, prepare
    )


@pytest.mark.parametrize("name", [name for name in ADDRESSES if can_be_wrong(name)])
async def test_what_does_not_fit_is_refused_as_described(
    shared_service: Service, someone: Customer, name: str
) -> None:
    prepare = with_key(someone)
    assert await asyncio.to_thread(
        asked, shared_service.url, name, GenerationMode.NEGATIVE, prepare
    )


@pytest.mark.parametrize("name", ADDRESSES)
async def test_whoever_shows_no_key_of_ours_is_answered_as_described(
    shared_service: Service, name: str
) -> None:
    def ask() -> list[int]:
        url, mode = shared_service.url, GenerationMode.POSITIVE
        return asked(url, name, mode, with_no_key_of_ours, examples=FEW)

    statuses = await asyncio.to_thread(ask)
    if operation(name)["security"] == [{"apiKey": []}]:
        assert set(statuses) == {401}


@pytest.mark.parametrize("name", POSSIBLE)
async def test_what_can_be_done_is_done_and_answered_as_described(
    shared_service: Service, someone: Customer, things: dict[str, str], name: str
) -> None:
    wanted = POSSIBLE[name]

    def prepare(case: Case) -> None:
        for chance in ("Idempotency-Key", "Webhook-Secret"):
            case.headers.pop(chance, None)
        case.headers = {**case.headers, **someone.headers}
        case.query = {name: things.get(text, text) for name, text in wanted.query.items()}
        case.path_parameters = {
            name: things.get(text, text) for name, text in wanted.address.items()
        }
        if wanted.body is not None:
            case.body, case.media_type = wanted.body, wanted.media_type

    def ask() -> list[int]:
        return asked(shared_service.url, name, GenerationMode.POSITIVE, prepare, examples=FEW)

    statuses = await asyncio.to_thread(ask)
    assert set(statuses) <= {200, 201, 202, 206, 303, 304, 416}, statuses


async def test_an_answer_that_is_not_described_is_found(shared_service: Service) -> None:
    other = openapi.document()
    del other["paths"]["/problems/{code}"]["get"]["responses"]["404"]

    def ask() -> list[int]:
        url, mode = shared_service.url, GenerationMode.POSITIVE
        described = schemathesis.openapi.from_dict(other)
        return asked(
            url, "getProblem", mode, with_no_key_of_ours, examples=FEW, described=described
        )

    with pytest.raises(FailureGroup, match="Undocumented status code"):
        await asyncio.to_thread(ask)


async def test_only_another_protocol_describes_a_500() -> None:
    ours = {
        path
        for path, operations in DOCUMENT["paths"].items()
        for told in operations.values()
        if "500" in told["responses"] and told["tags"] != ["convertapi"]
    }
    assert ours == set()
