"""Every code of ConvertAPI's table, reached by a request; and every problem of ours, told in it."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from engine import registry
from engine.errors import OptionInvalid
from gateway import problems, state
from gateway.compat.convertapi import errors, general
from gateway.compat.convertapi.errors import told, told_of
from gateway.errors import ParametersInvalid
from tests.gateway.samples import document, noise, picture
from tests.gateway.service import Customer, Reply, Service, listening, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMED = {"Content-Disposition": "attachment; filename=in"}


async def convert(
    service: Service,
    customer: Customer | None,
    body: Any,
    path: str = "png/to/jpg",
    headers: dict[str, str] | None = None,
    **params: str,
) -> Reply:
    given = (customer.headers if customer else {}) | NAMED | (headers or {})
    return await service.ask("POST", f"/convert/{path}", data=body, headers=given, params=params)


def code(reply: Reply) -> tuple[int, int]:
    assert reply.headers["Content-Type"].startswith("application/json"), reply.body
    assert reply.json["Message"]
    return reply.status, reply.json["Code"]


async def refused_for_nothing(service: Service, customer: Customer) -> bool:
    """Nothing was charged, whichever way it was not."""
    await service.quiet()
    kinds = await service.kinds(customer)
    return kinds in ([], ["consumption", "refund"])


async def test_4000_names_every_parameter_that_is_wrong(
    service: Service, customer: Customer
) -> None:
    reply = await convert(service, customer, picture(), Timeout="-10", ImageWidth="x")
    assert code(reply) == (400, 4000)
    assert reply.json["Message"] == "Parameter validation error."
    assert reply.json["InvalidParameters"]["Timeout"]
    known = await convert(service, customer, document(), "pdf/to/jpg", ImageWidth="x")
    assert known.json["InvalidParameters"].keys() == {"ImageWidth"}
    pair = aiohttp.FormData()
    for _ in range(2):
        pair.add_field("File", picture(), filename="a.png")
    several = await service.ask("POST", "/convert/png/to/jpg", data=pair, headers=customer.headers)
    assert code(several) == (400, 4000)
    assert several.json["InvalidParameters"].keys() == {"Files"}


async def test_4000_where_there_is_no_file(service: Service, customer: Customer) -> None:
    for data in (None, {"File": ""}, {"Other": "1"}):
        reply = await service.ask(
            "POST", "/convert/png/to/jpg", data=data, headers=customer.headers
        )
        assert code(reply) == (400, 4000)
        assert reply.json["InvalidParameters"].keys() == {"File"}


async def test_4001_where_a_raw_body_has_no_name(service: Service, customer: Customer) -> None:
    for headers in (
        {"Content-Type": "image/png"},
        {"Content-Type": "image/png", "Content-Disposition": "attachment"},
    ):
        reply = await service.ask(
            "POST", "/convert/png/to/jpg", data=picture(), headers=customer.headers | headers
        )
        assert code(reply) == (400, 4001)


async def test_4002_and_4005_where_json_is_none_or_has_no_file(
    service: Service, customer: Customer
) -> None:
    kind = customer.headers | {"Content-Type": "application/json"}
    for body, expected in (
        (b"{", 4002),
        (b'{"Parameters": [{"Name": "File", "FileValue": {"Name": "x"}}]}', 4005),
    ):
        reply = await service.ask("POST", "/convert/png/to/jpg", data=body, headers=kind)
        assert code(reply) == (400, expected)


@pytest.mark.parametrize(
    ("headers", "params", "expected"),
    [
        ({"Authorization": "Bearer eph_live_wrong"}, {}, 4010),
        ({}, {"Secret": "wrong"}, 4010),
        ({"Authorization": "Basic " + base64.b64encode(b"1:wrong").decode()}, {}, 4010),
        ({}, {"Token": "wrong", "ApiKey": "1"}, 4011),
        ({"Authorization": "Bearer a.b.c"}, {}, 4012),
        ({}, {}, 4013),
        ({"Authorization": "Bearer "}, {}, 4013),
        ({"Authorization": "Basic %%%"}, {}, 4017),
        ({"Authorization": "Basic"}, {}, 4017),
    ],
)
async def test_credentials_that_are_none_have_their_codes(
    service: Service, headers: dict[str, str], params: dict[str, str], expected: int
) -> None:
    reply = await convert(service, None, picture(), headers=headers, **params)
    assert code(reply) == (401, expected)
    assert "wrong" not in reply.json["Message"]
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_the_same_credentials_are_good_in_all_the_old_places(
    service: Service, customer: Customer
) -> None:
    basic = base64.b64encode(f"any:{customer.key}".encode()).decode()
    user = base64.b64encode(f"{customer.key}:".encode()).decode()
    for headers, params in (
        ({}, {"secret": customer.key}),
        ({}, {"TOKEN": customer.key, "ApiKey": "7"}),
        ({"Authorization": f"Basic {basic}"}, {}),
        ({"Authorization": f"basic {user}"}, {}),
        ({"Authorization": f"Bearer {customer.key}"}, {"Secret": "wrong"}),
    ):
        reply = await convert(service, None, picture(), headers=headers, **params)
        assert reply.status == 200, (headers, reply.body)
        assert "X-Ignored-Parameters" not in reply.headers


async def test_a_form_may_say_who_asks_before_its_files(
    service: Service, customer: Customer
) -> None:
    form = aiohttp.FormData({"Secret": customer.key, "StoreFile": "false"})
    form.add_field("File", picture(), filename="a.png")
    assert (await service.ask("POST", "/convert/png/to/jpg", data=form)).status == 200
    late = aiohttp.FormData()
    late.add_field("File", picture(), filename="a.png")
    late.add_field("Secret", customer.key)
    reply = await service.ask("POST", "/convert/png/to/jpg", data=late)
    assert code(reply) == (401, 4013)
    kept = await service.ask("POST", "/upload", data=picture(), headers=NAMED | {"Accept": "*/*"})
    plain = {"Secret": customer.key, "File": kept.json["FileId"]}
    assert (await service.ask("POST", "/convert/png/to/jpg", data=plain)).status == 200
    nobody = await service.ask("POST", "/convert/png/to/jpg", data={"File": "x"})
    assert code(nobody) == (401, 4013)


async def test_4014_where_no_credit_is_left(service: Service) -> None:
    poor = await service.customer(0)
    assert code(await convert(service, poor, picture())) == (401, 4014)


async def test_4015_where_the_account_is_frozen(service: Service, customer: Customer) -> None:
    await service.ledger.accounts.set_status(customer.account_id, "frozen")
    assert code(await convert(service, customer, picture())) == (401, 4015)


async def test_415_where_nothing_turns_the_one_into_the_other(
    service: Service, customer: Customer
) -> None:
    for path in ("png/to/docx", "nonsense/to/pdf", "dwg/to/pdf", "png/to/nonsense"):
        assert code(await convert(service, customer, picture(), path)) == (415, 415)
    packed = {"Content-Encoding": "gzip"}
    assert code(await convert(service, customer, picture(), headers=packed)) == (415, 415)


async def test_413_of_admission_is_told_in_the_dialect(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger, upload={"bytes_max": 100}) as small:
        assert code(await convert(small, customer, b"x" * 101)) == (413, 413)
        assert code(await small.ask("POST", "/upload", data=b"x" * 101, headers=NAMED)) == (
            413,
            413,
        )
        await small.quiet()


async def test_5000_where_the_time_is_over(
    service: Service, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No client may ask for less than ten seconds, which is too long to wait for here.
    monkeypatch.setattr(general, "TIMEOUT_S_MIN", 0)
    reply = await convert(service, customer, noise(800, 800), Timeout="0")
    assert code(reply) == (500, 5000)
    assert await refused_for_nothing(service, customer)


async def test_5001_where_the_worker_is_killed(service: Service, customer: Customer) -> None:
    service.engine.pause()
    conversion = asyncio.create_task(convert(service, customer, noise(2000, 2000), "png/to/webp"))
    await until(lambda: service.engine.status().waiting == 1)
    service.engine.resume()
    pool = service.engine._pools["image"]
    await until(lambda: bool(pool._running))
    next(iter(pool._running)).kill()
    assert code(await conversion) == (500, 5001)
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_5002_where_the_file_is_damaged(service: Service, customer: Customer) -> None:
    for body in (picture()[:100], b"no picture at all"):
        assert code(await convert(service, customer, body)) == (500, 5002)


async def test_5003_5006_and_5007_for_what_is_locked(service: Service, customer: Customer) -> None:
    locked = document(locked_by="open sesame")
    for password, expected in (("", 5003), ("guess", 5007), ("пароль", 5006)):
        given = {"Password": password} if password else {}
        reply = await convert(service, customer, locked, "pdf/to/jpg", **given)
        assert code(reply) == (500, expected)
    fits = await convert(service, customer, locked, "pdf/to/jpg", Password="open sesame")
    assert fits.status == 200


async def test_50020_where_an_archive_has_nothing_in_it(
    service: Service, customer: Customer
) -> None:
    empty = b"PK\x05\x06" + bytes(18)
    reply = await convert(service, customer, empty, "zip/to/extract")
    assert code(reply) == (500, 50020)


@pytest.mark.parametrize(
    ("path", "params", "expected"),
    [
        ("pdf/to/xlsx", {}, 5004),
        ("pdf/to/delete-pages", {"PageRange": "1-2"}, 5005),
        ("pdf/to/extract-images", {}, 50013),
        ("pdf/to/delete-pages", {"PageRange": "7"}, 5001),
    ],
)
async def test_results_that_cannot_be_have_the_codes_of_their_converters(
    service: Service, customer: Customer, path: str, params: dict[str, str], expected: int
) -> None:
    reply = await convert(service, customer, document(2), path, **params)
    assert code(reply) == (500, expected)
    assert await refused_for_nothing(service, customer)


async def test_5009_and_50010_for_what_names_no_file(service: Service, customer: Customer) -> None:
    for value, expected in (
        ("a" * 32, 5009),
        ("not an id", 5009),
        (f"{service.url}/d/{'a' * 32}", 5009),
        ("file:///etc/passwd", 50010),
        ("ftp://example.com/x", 50010),
        ("www.example.com", 50010),
    ):
        reply = await service.ask(
            "POST", "/convert/png/to/jpg", data={"File": value}, headers=customer.headers
        )
        assert code(reply) == (500, expected), value
    assert await service.kinds(customer) == []


@pytest_asyncio.fixture(loop_scope="session")
async def web_site() -> Any:
    """A web site on this machine: one picture, and nothing else."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=picture(), content_type="image/png")

    site = web.Application()
    site.router.add_get("/holiday.png", answer)
    runner = web.AppRunner(site)
    await runner.setup()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}"
    await runner.cleanup()


async def test_5008_and_50010_for_urls_and_200_for_a_good_one(
    service: Service, customer: Customer, web_site: str
) -> None:
    port = int(web_site.rpartition(":")[2])
    fetch = {"enabled": True, "allow": ["127.0.0.1"], "ports": [port]}
    async with listening(service.engine, service.ledger, fetch=fetch) as open_:
        for url, status, expected in (
            (f"{web_site}/holiday.png", 200, None),
            (f"{web_site}/nothing", 500, 5008),
            ("http://10.0.0.1/x.png", 500, 50010),
            ("http://user:hunter2@127.0.0.1/x.png", 500, 50010),
        ):
            form = {"File": url}
            reply = await open_.ask(
                "POST", "/convert/png/to/jpg", data=form, headers=customer.headers
            )
            assert (reply.status, reply.json.get("Code")) == (status, expected), reply.body
            assert "hunter2" not in reply.json.get("Message", "")
        named = await open_.ask(
            "POST",
            "/convert/png/to/jpg",
            json={
                "Parameters": [{"Name": "File", "FileValue": {"Url": f"{web_site}/holiday.png"}}]
            },
            headers=customer.headers,
        )
        assert named.json["Files"][0]["FileName"] == "holiday.jpg"
        for path in ("/upload", "/upload-from-url"):
            kept = await open_.ask(
                "POST",
                path,
                params={"url": f"{web_site}/holiday.png", "HeaderName": "X-A", "HeaderValue": "b"},
                headers=customer.headers | {"Accept": "application/json"},
            )
            assert kept.json["FileName"] == "holiday.png"
        for name in ("Host", "a b", "Content-Length"):
            params = {"url": f"{web_site}/holiday.png", "HeaderName": name, "HeaderValue": "x"}
            reply = await open_.ask(
                "POST", "/upload-from-url", params=params, headers=customer.headers
            )
            assert code(reply) == (400, 4000)
        await open_.quiet()


async def test_50050_where_nobody_foresaw_it(service: Service, customer: Customer) -> None:
    kept = await service.ask(
        "POST", "/upload", data=picture(), headers=customer.headers | NAMED | {"Accept": "*/*"}
    )
    await service.ledger._database.rows(
        "update files.file set bytes = bytes + 1 where account_id = $1 returning id",
        customer.account_id,
    )
    reply = await service.ask(
        "POST",
        "/convert/png/to/jpg",
        data={"File": kept.json["FileId"]},
        headers=customer.headers,
    )
    assert code(reply) == (500, 50050)
    assert "chunk" not in reply.json["Message"]


async def test_501_and_507_where_the_store_says_no(service: Service, customer: Customer) -> None:
    no_room = msgspec.structs.replace(service.ledger.files.limits, account_files_max=0)
    off = msgspec.structs.replace(no_room, bytes_max=0)
    before = service.ledger.files.limits
    for limits, expected in ((no_room, 507), (off, 501)):
        service.ledger.files.limits = limits
        try:
            reply = await convert(service, customer, picture(), StoreFile="true")
        finally:
            service.ledger.files.limits = before
        assert code(reply) == (expected, expected)
    await service.quiet()
    assert await service.kinds(customer) == ["consumption", "refund"] * 2


async def test_503_says_when_to_come_back(service: Service, customer: Customer) -> None:
    tight = {"in_flight_bytes_max": 10}
    async with listening(service.engine, service.ledger, upload=tight) as full:
        for reply in (
            await convert(full, customer, picture()),
            await full.ask("POST", "/upload", data=picture(), headers=NAMED),
        ):
            assert code(reply) == (503, 503)
            assert int(reply.headers["Retry-After"]) > 0
        full.app[state.DOOR].close()
        assert code(await convert(full, customer, picture())) == (503, 503)


def every_problem() -> Iterator[str]:
    yield from {kind.code for kind in problems.KINDS.values()} | {problems.UNFORESEEN.code}


async def test_every_problem_of_ours_can_be_told() -> None:
    for problem in every_problem():
        answer = told_of(problem, "a sentence")
        assert 400 <= answer.status <= 599
        assert answer.document.code >= 400


async def test_the_table_names_problems_and_converters_that_exist() -> None:
    assert errors.TABLE.keys() <= set(every_problem())
    names = {one.name for _, converters in registry.DECLARED for one in converters}
    assert errors.IMPOSSIBLE.keys() <= names


async def test_a_refused_option_of_a_step_is_named() -> None:
    for sentence in ("width: 0 is too small", "step 2 (image.convert): width: 0 is too small"):
        document = told(OptionInvalid(sentence)).document
        assert document.invalid_parameters == {"width": ["0 is too small"]}
    nameless = told(OptionInvalid("this pair means several things")).document
    assert (nameless.code, nameless.invalid_parameters) == (4000, {})


async def test_invalid_parameters_are_lists_of_reasons() -> None:
    document = told(ParametersInvalid({"A": ["x", "y"]})).document
    assert msgspec.json.decode(msgspec.json.encode(document)) == {
        "Code": 4000,
        "Message": "Parameter validation error.",
        "InvalidParameters": {"A": ["x", "y"]},
    }
