"""The ConvertAPI surface over HTTP: every encoding of its clients, and every kind of answer."""

import base64
import email
import io
import json
import re
from typing import Any

import aiohttp
import pikepdf
import pytest

from gateway import state
from gateway.errors import ConfigError
from gateway.stages import Stage
from tests.gateway.samples import document, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening, with_settings

pytestmark = pytest.mark.asyncio(loop_scope="session")

ID = re.compile(r"[a-z0-9]{32}")


async def ask(
    service: Service,
    customer: Customer | None,
    path: str = "/convert/png/to/jpg",
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    **rest: Any,
) -> Reply:
    given = (customer.headers if customer else {}) | (headers or {})
    return await service.ask(method, path, headers=given, **rest)


async def upload(
    service: Service, customer: Customer | None, body: bytes | None = None, name: str = "in.png"
) -> str:
    reply = await ask(
        service,
        customer,
        "/upload",
        data=picture() if body is None else body,
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Accept": "*/*"},
    )
    assert reply.status == 200, reply.body
    return str(reply.json["FileId"])


def only(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    (file,) = reply.json["Files"]
    return dict(file)


def pixels(file: dict[str, Any]) -> Any:
    body = base64.b64decode(file["FileData"], validate=True)
    assert len(body) == file["FileSize"]
    return opened(body)


def multipart(**fields: Any) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        if isinstance(value, bytes):
            form.add_field(name, value, filename=f"{name}.png")
        else:
            form.add_field(name, value)
    return form


async def test_a_form_names_an_uploaded_file(service: Service, customer: Customer) -> None:
    file_id = await upload(service, customer)
    reply = await ask(service, customer, data={"File": file_id})
    file = only(reply)
    assert (file["FileName"], file["FileExt"]) == ("in.jpg", "jpg")
    assert pixels(file).format == "JPEG"
    assert reply.json["ConversionCost"] == 1
    assert isinstance(reply.json["ConversionTime"], int)
    assert reply.headers["Content-Type"] == "application/json"
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"]
    assert service.app[state.MEMORY].taken == 0


async def test_a_multipart_form_brings_the_file_itself(
    service: Service, customer: Customer
) -> None:
    file = only(await ask(service, customer, data=multipart(File=picture())))
    assert (file["FileName"], pixels(file).format) == ("File.jpg", "JPEG")


async def test_json_brings_the_file_in_base64(service: Service, customer: Customer) -> None:
    data = base64.b64encode(picture()).decode()
    body = {"Parameters": [{"Name": "File", "FileValue": {"Name": "ä.png", "Data": data}}]}
    file = only(await ask(service, customer, json=body))
    assert (file["FileName"], pixels(file).format) == ("ä.jpg", "JPEG")


@pytest.mark.parametrize("kind", ["image/png", "application/json", "application/octet-stream"])
async def test_a_raw_body_is_named_by_its_disposition(
    service: Service, customer: Customer, kind: str
) -> None:
    named = {"Content-Disposition": 'attachment; filename="a b.png"', "Content-Type": kind}
    file = only(await ask(service, customer, data=picture(), headers=named))
    assert (file["FileName"], pixels(file).format) == ("a b.jpg", "JPEG")


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_everything_may_stand_in_the_query(
    service: Service, customer: Customer, method: str
) -> None:
    params = {"file": await upload(service, customer), "IMAGEWIDTH": "32", "timeout": ""}
    file = only(await ask(service, customer, method=method, params=params))
    assert pixels(file).width == 32


async def test_a_stored_result_is_named_by_id_and_address(
    service: Service, customer: Customer
) -> None:
    reply = await ask(service, customer, data=multipart(File=picture(), StoreFile="True"))
    file = only(reply)
    assert set(file) == {"FileName", "FileExt", "FileSize", "FileId", "Url"}
    assert ID.fullmatch(file["FileId"])
    assert file["Url"] == f"{service.url}/d/{file['FileId']}/file.{file['FileExt']}"
    stored = await ask(service, None, f"/d/{file['FileId']}", method="GET")
    assert stored.status == 200
    assert len(stored.body) == file["FileSize"]
    assert opened(stored.body).format == "JPEG"
    assert stored.headers["Content-Disposition"] == 'attachment; filename="File.jpg"'
    # One of our own addresses is never fetched, whatever this service is called outside.
    for host in (service.url, "https://v2.convertapi.example"):
        again = await ask(
            service, customer, "/convert/jpg/to/png", data={"File": f"{host}/d/{file['FileId']}/x"}
        )
        assert pixels(only(again)).format == "PNG"


async def test_a_job_is_charged_as_on_the_native_surface_and_seen_at_every_stage(
    service: Service, customer: Customer
) -> None:
    file_id = await upload(service, customer)
    service.stages.seen.clear()
    reply = await ask(service, customer, data={"File": file_id})
    await service.quiet()
    assert service.stages.seen == list(Stage)
    newest = (await service.entries(customer))[0]
    assert reply.headers["X-Request-Id"] == str(newest.conversion_id)


async def test_several_files_are_merged_in_the_order_of_their_indices(
    service: Service, customer: Customer
) -> None:
    ids = [await upload(service, customer, document(pages), f"{pages}.pdf") for pages in (1, 2)]
    form = {"files[1]": ids[1], "Files[0]": ids[0], "files": ""}
    file = only(await ask(service, customer, "/convert/pdf/to/merge", data=form))
    merged = pikepdf.open(io.BytesIO(base64.b64decode(file["FileData"])))
    assert (len(merged.pages), file["FileName"]) == (3, "1.pdf")


async def test_several_results_are_counted_from_0(service: Service, customer: Customer) -> None:
    form = multipart(File=document(2), FileName="re/port.pdf")
    reply = await ask(service, customer, "/convert/pdf/to/jpg", data=form)
    assert [file["FileName"] for file in reply.json["Files"]] == [
        "port.pdf_0.jpg",
        "port.pdf_1.jpg",
    ]


@pytest.mark.parametrize(
    ("query", "accept", "disposition"),
    [
        ("", "application/octet-stream", "attachment"),
        ("?download=inline", "*/*", "inline"),
        ("?Download=attachment", "application/json", "attachment"),
    ],
)
async def test_the_result_itself_may_be_the_answer(
    service: Service, customer: Customer, query: str, accept: str, disposition: str
) -> None:
    form = multipart(File=picture(), StoreFile="true", Frobnicate="1")
    reply = await ask(
        service, customer, f"/convert/png/to/jpg{query}", data=form, headers={"Accept": accept}
    )
    assert reply.headers["Content-Type"] == "application/octet-stream"
    assert reply.headers["Content-Disposition"] == f'{disposition}; filename="File.jpg"'
    assert opened(reply.body).format == "JPEG"
    # An id that nobody is told would be of no use: said, and not stored.
    assert reply.headers["X-Ignored-Parameters"] == "Frobnicate, StoreFile"


async def test_the_first_of_several_results_may_be_the_answer(
    service: Service, customer: Customer
) -> None:
    reply = await ask(
        service, customer, "/convert/pdf/to/png?download=inline", data=multipart(File=document(2))
    )
    assert opened(reply.body).format == "PNG"
    assert reply.headers["Content-Disposition"] == 'inline; filename="File_0.png"'


async def test_results_come_as_parts_where_accept_names_them(
    service: Service, customer: Customer
) -> None:
    reply = await ask(
        service,
        customer,
        "/convert/pdf/to/png",
        data=multipart(File=document(2)),
        headers={"Accept": "multipart/mixed"},
    )
    head = f"Content-Type: {reply.headers['Content-Type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + reply.body).get_payload()
    assert [part.get_filename() for part in parts] == ["File_0.png", "File_1.png"]
    for part in parts:
        body = part.get_payload(decode=True)
        assert opened(body).format == "PNG"
        assert f"size={len(body)}" in part["Content-Disposition"]
        assert "filename*=UTF-8''File_" in part["Content-Disposition"]


async def test_an_unknown_parameter_is_named_and_a_known_one_checked(
    service: Service, customer: Customer
) -> None:
    file_id = await upload(service, customer)
    told = await ask(service, customer, data={"File": file_id, "Frobnicate": "1"})
    assert told.headers["X-Ignored-Parameters"] == "Frobnicate"
    wrong = await ask(service, customer, data={"File": file_id, "Timeout": "-10", "StoreFile": "x"})
    assert (wrong.status, wrong.json["Code"]) == (400, 4000)
    assert wrong.json["Message"] == "Parameter validation error."
    assert set(wrong.json["InvalidParameters"]) == {"Timeout", "StoreFile"}
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"]


async def test_a_file_of_any_format_is_looked_at(service: Service, customer: Customer) -> None:
    for source in ("any", "*"):
        path = f"/convert/{source}/to/jpg"
        assert pixels(only(await ask(service, customer, path, data=multipart(File=picture()))))


async def test_head_converts_nothing_and_other_methods_are_told_in_the_dialect(
    service: Service, customer: Customer
) -> None:
    file_id = await upload(service, customer)
    head = await ask(service, customer, f"/convert/png/to/jpg?File={file_id}", method="HEAD")
    assert head.status == 405
    put = await ask(service, customer, method="PUT", data=b"x")
    assert (put.status, put.json["Code"]) == (405, 405)
    assert "POST" in put.headers["Allow"]
    nowhere = await ask(service, customer, "/convert/png", method="POST")
    assert nowhere.headers["Content-Type"] == "application/problem+json"
    assert await service.kinds(customer) == []


async def test_the_account_is_told_in_integers(service: Service, customer: Customer) -> None:
    await ask(service, customer, data=multipart(File=picture()))
    await service.quiet()
    user = (await ask(service, customer, "/user", method="GET")).json
    assert (user["ConversionsTotal"], user["ConversionsConsumed"]) == (100, 1)
    assert user["ApiKey"] == customer.account_id
    assert (user["Active"], user["Status"]) == (True, "active")
    assert customer.key not in json.dumps(user)
    days = (await ask(service, customer, "/user/statistic", method="GET")).json
    assert [(day["Conversions"], day["ConversionsConsumed"]) for day in days] == [(1, 1)]
    table = await ask(
        service,
        customer,
        f"/user/statistic?startDate={days[0]['Date']}",
        method="GET",
        headers={"Accept": "text/csv"},
    )
    assert table.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert table.body.decode().splitlines() == [
        "Date,Conversions,Refunded,ConversionsConsumed",
        f"{days[0]['Date']},1,0,1",
    ]
    for wrong in ("startDate=yesterday", "startDate=2020-01-01"):
        reply = await ask(service, customer, f"/user/statistic?{wrong}", method="GET")
        assert (reply.status, reply.json["Code"]) == (400, 4000)


@pytest.mark.parametrize("side", [101, 102, 103])
async def test_the_answer_is_as_long_as_it_says(
    service: Service, customer: Customer, side: int
) -> None:
    form = multipart(File=picture(width=2 * side, height=side))
    reply = await ask(service, customer, "/convert/png/to/tiff", data=form)
    assert int(reply.headers["Content-Length"]) == len(reply.body)
    assert pixels(only(reply)).size == (2 * side, side)
    assert only(reply)["FileName"] == "File.tiff"


async def test_pages_of_the_operator_s_origins_may_use_it_from_a_browser(
    service: Service, customer: Customer
) -> None:
    ours, other = {"Origin": "https://app.example"}, {"Origin": "https://other.example"}
    allowed = {"origins": ["https://app.example"]}
    allow = "Access-Control-Allow-Origin"
    async with listening(service.engine, service.ledger, convertapi=allowed) as open_:
        preflight = await open_.ask("OPTIONS", "/convert/png/to/jpg", headers=ours)
        assert preflight.status == 204
        assert preflight.headers[allow] == "https://app.example"
        assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
        form = multipart(File=picture())
        reply = await ask(open_, customer, data=form, headers=ours)
        assert (reply.status, reply.headers[allow]) == (200, "https://app.example")
        assert reply.headers["Vary"] == "Origin"
        refused = await ask(open_, None, data=b"", headers=ours)
        assert (refused.status, refused.headers[allow]) == (401, "https://app.example")
        stranger = await open_.ask("OPTIONS", "/convert/png/to/jpg", headers=other)
        native = await open_.ask("GET", "/v1/formats", headers=ours)
        assert not {allow} & (stranger.headers.keys() | native.headers.keys())
        await open_.quiet()
    closed = await service.ask("OPTIONS", "/convert/png/to/jpg", headers=ours)
    assert allow not in closed.headers


@pytest.mark.parametrize("origin", ["app.example", "https://a.example/", "null", "https://*"])
async def test_an_origin_that_is_none_stops_the_boot(origin: str) -> None:
    with pytest.raises(ConfigError):
        with_settings(convertapi={"origins": [origin]})
