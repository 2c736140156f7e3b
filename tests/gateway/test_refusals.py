"""Bad input over HTTP: each gets its problem document, and nothing is lost.

The `service` fixture's books are audited after every test.
"""

from typing import Any

import aiohttp
import pytest

from tests.gateway.samples import document, picture, pixel_bomb
from tests.gateway.service import Customer, Reply, Service, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")


def _problem(reply: Reply, status: int, code: str) -> dict[str, Any]:
    assert reply.headers["Content-Type"] == "application/problem+json"
    problem: dict[str, Any] = reply.json
    assert (reply.status, problem["code"]) == (status, code), problem
    assert problem["status"] == status
    assert problem["charged"] is False
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    assert reply.headers["Cache-Control"] == "no-store"
    return problem


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "says"),
    [
        ("png/webp", b"", 422, "file-empty", "zero bytes"),
        ("png/webp", picture("JPEG"), 422, "file-mismatch", "JPEG"),
        ("pdf/txt", picture("JPEG"), 422, "file-mismatch", "JPEG"),
        ("auto/webp", bytes(1000), 422, "file-unrecognised", "auto"),
        ("png/docx", picture(), 422, "conversion-unsupported", "docx"),
        ("png/nonsense", picture(), 404, "format-unknown", "nonsense"),
        ("nonsense/png", picture(), 404, "format-unknown", "nonsense"),
    ],
)
async def test_what_can_be_refused_before_running_is_never_debited(  # noqa: PLR0917 -- a table
    service: Service, customer: Customer, path: str, body: bytes, status: int, code: str, says: str
) -> None:
    problem = _problem(await service.convert(path, body, customer), status, code)
    assert says in problem["detail"]
    assert await service.kinds(customer) == []


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("png/webp", picture()[:100], "file-unreadable"),
        ("png/webp", pixel_bomb(), "file-too-complex"),
        ("pdf/txt", document()[:200], "file-unreadable"),
        ("pdf/txt", document(locked_by="secret"), "password-required"),
    ],
)
async def test_what_only_a_codec_can_refuse_is_refunded_once(
    service: Service, customer: Customer, path: str, body: bytes, code: str
) -> None:
    _problem(await service.convert(path, body, customer), 422, code)
    assert await service.kinds(customer) == ["consumption", "refund"]
    assert await service.ledger.balance(customer.account_id) == customer.credits


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"widht": "10"}, "widht"),
        ({"width": "ten"}, "width"),
        ({"width": "0"}, "width"),
        ({"operation": "melt"}, "operation"),
    ],
)
async def test_an_option_is_refused_by_its_name(
    service: Service, customer: Customer, query: dict[str, str], says: str
) -> None:
    reply = await service.convert("png/webp", picture(), customer, **query)
    assert says in _problem(reply, 422, "option-invalid")["detail"]
    assert await service.kinds(customer) == []


async def test_an_option_that_is_given_twice_is_refused(
    service: Service, customer: Customer
) -> None:
    reply = await service.convert("png/webp?width=1&width=2", picture(), customer)
    assert "width" in _problem(reply, 422, "option-invalid")["detail"]


async def test_more_files_than_the_converter_takes_are_refused(
    service: Service, customer: Customer
) -> None:
    form = _form([picture(), picture()])
    reply = await service.convert("png/webp", form, customer)
    _problem(reply, 422, "file-count-invalid")


async def test_without_credits_nothing_is_converted(service: Service) -> None:
    poor = await service.customer(opening=0)
    problem = _problem(
        await service.convert("png/webp", picture(), poor), 402, "insufficient-credits"
    )
    assert "costs 1 credit" in problem["detail"]
    assert await service.entries(poor) == []


@pytest.mark.parametrize(
    "header",
    [None, "Bearer ", "Basic abc", "Bearer eph_live_x", "Bearer " + "x" * 5000, "Bearer schlüssel"],
)
async def test_no_key_or_a_wrong_one_is_a_401(service: Service, header: str | None) -> None:
    headers = {"Authorization": header} if header else {}
    reply = await service.ask("GET", "/v1/account", headers=headers)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == 'Bearer realm="ephemera"'


async def test_a_revoked_key_is_refused_at_once(service: Service, customer: Customer) -> None:
    assert (await service.convert("png/webp", picture(), customer)).status == 200
    key = (await service.ledger.keys.list(customer.account_id))[0]
    await service.ledger.keys.revoke(key.id)
    _problem(await service.convert("png/webp", picture(), customer), 401, "key-refused")


async def test_a_frozen_account_cannot_convert(service: Service, customer: Customer) -> None:
    await service.ledger.accounts.set_status(customer.account_id, "frozen")
    _problem(await service.convert("png/webp", picture(), customer), 403, "account-frozen")


async def test_a_full_waiting_line_says_when_to_come_back(
    service: Service, customer: Customer
) -> None:
    line = service.engine._line
    holds = [line.slot("somebody") for _ in range(line.slots)]
    for hold in holds:
        await hold.__aenter__()
    waiting_max, line._waiting_max = line._waiting_max, 0
    try:
        reply = await service.convert("png/webp", picture(), customer)
    finally:
        line._waiting_max = waiting_max
        for hold in holds:
            await hold.__aexit__(None, None, None)
    assert _problem(reply, 503, "busy")["retryable"] is True
    assert int(reply.headers["Retry-After"]) >= 1
    assert await service.kinds(customer) == []


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not-found"),
        ("GET", "/v1/nothing", 404, "not-found"),
        ("GET", "/v1/convert/png/webp", 405, "method-not-allowed"),
        ("DELETE", "/v1/formats", 405, "method-not-allowed"),
        ("PATCH", "/v1/account", 405, "method-not-allowed"),
        ("GET", "/problems/nonsense", 404, "not-found"),
    ],
)
async def test_what_is_not_there_is_a_problem_too(
    service: Service, method: str, path: str, status: int, code: str
) -> None:
    _problem(await service.ask(method, path), status, code)


async def test_a_405_names_the_methods(service: Service) -> None:
    reply = await service.ask("GET", "/v1/convert/png/webp")
    assert reply.headers["Allow"] == "POST"


async def test_options_says_what_is_allowed(service: Service) -> None:
    reply = await service.ask("OPTIONS", "/v1/formats")
    assert (reply.status, reply.headers["Allow"]) == (204, "GET, HEAD, OPTIONS")


async def test_head_is_get_without_the_body(service: Service) -> None:
    head, get = await service.ask("HEAD", "/v1/formats"), await service.ask("GET", "/v1/formats")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == get.headers["Content-Length"]


async def test_every_problem_says_where_its_meaning_is(
    service: Service, customer: Customer
) -> None:
    problem = (await service.convert("png/webp", b"", customer)).json
    page = await service.ask("GET", problem["type"])
    assert (page.status, page.json["code"]) == (200, "file-empty")


async def test_a_stranger_behind_a_proxy_is_not_the_operator(service: Service) -> None:
    assert (await service.ask("GET", "/status")).status == 200
    for path in ("/status", "/metrics"):
        reply = await service.ask("GET", path, headers={"X-Forwarded-For": "203.0.113.9"})
        _problem(reply, 403, "operator-only")


async def test_the_operators_token_opens_the_metrics_from_anywhere(service: Service) -> None:
    async with listening(
        service.engine, service.ledger, server={"operator_token": "let me in"}
    ) as other:
        far = {"X-Forwarded-For": "203.0.113.9"}
        assert (await other.ask("GET", "/livez", headers=far)).status == 200
        for token, status in (("let me in", 200), ("let me", 403)):
            headers = far | {"Authorization": f"Bearer {token}"}
            assert (await other.ask("GET", "/metrics", headers=headers)).status == status


def _form(files: list[bytes]) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for body in files:
        form.add_field("file", body, filename="f")
    return form
