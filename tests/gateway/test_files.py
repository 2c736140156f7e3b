"""Stored results and uploads over HTTP: what a customer can do with them, and nobody else."""

import base64
import hashlib
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pikepdf
import pytest

from engine import registry
from engine.engine import Engine
from gateway import state
from gateway.api.files import span_of
from gateway.asked import FILE, LIFETIME, STORE, URL
from gateway.errors import RangeUnsatisfiable
from gateway.receipt_keys import ReceiptKeys
from gateway.stages import Stage
from ledger.files.limits import FileLimits
from ledger.files.sealing import CHUNK_BYTES
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.gateway.samples import document, noise, opened, picture
from tests.gateway.service import Customer, Reply, Service, listening, until
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

# As long as its chunks and a half: 1,536 KiB of pixels.
LARGE = noise(1024, 512)
UNKNOWN = "ephf_" + "a" * 16 + "_" + "b" * 43


async def upload(
    service: Service, customer: Customer, body: bytes, headers: object = None, **params: str
) -> Reply:
    return await service.ask(
        "POST",
        "/v1/files",
        data=body,
        headers=customer.headers | (headers or {}),
        params=params,  # type: ignore[operator]
    )


async def look(service: Service, customer: Customer, path: str, **headers: str) -> Reply:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return await service.ask("GET", path, headers=customer.headers | headers)


async def count(ledger: Ledger, customer: Customer) -> int:
    """Of this customer: those of others expire meanwhile."""
    statement = "select count(*) from files.file where account_id = $1"
    return int(await ledger._database.value(statement, customer.account_id))


async def test_a_stored_result_is_fetched_with_its_handle(
    service: Service, customer: Customer
) -> None:
    named = {"Content-Disposition": 'attachment; filename="Ünï.png"'}
    reply = await service.convert("png/webp", picture(), customer, named, store="true")
    assert reply.status == 201
    told = reply.json
    assert set(told) == {"handle", "id", "url", "bytes", "media_type", "expires_at"}
    assert reply.headers["Location"] == told["url"] == f"/v1/files/{told['handle']}"
    assert reply.headers["X-Credits-Used"] == "1"
    assert "Content-Disposition" not in reply.headers
    assert await service.kinds(customer) == ["consumption"]
    file = await look(service, customer, told["url"])
    assert file.status == 200
    assert opened(file.body).format == "WEBP"
    assert len(file.body) == told["bytes"] == int(file.headers["Content-Length"])
    assert file.headers["Content-Type"] == told["media_type"] == "image/webp"
    assert file.headers["X-File-Expires"] == told["expires_at"] == reply.headers["X-File-Expires"]
    assert file.headers["Content-Disposition"].startswith("attachment; ")
    assert "%C3%9Cn%C3%AF.webp" in file.headers["Content-Disposition"]
    assert file.headers["Cache-Control"] == "no-store"
    assert file.headers["X-Content-Type-Options"] == "nosniff"


async def test_several_results_are_stored_as_one_archive(
    service: Service, customer: Customer
) -> None:
    reply = await service.convert("pdf/png", document(2), customer, store="true")
    assert (reply.status, reply.json["media_type"]) == (201, "application/zip")
    file = await look(service, customer, reply.json["url"])
    assert file.body[:4] == b"PK\x03\x04"


async def test_a_receipt_of_a_stored_result_is_of_what_is_stored(
    service: Service, customer: Customer, tmp_path: Path
) -> None:
    async with listening(service.engine, service.ledger) as desk:
        object.__setattr__(desk.app[state.RECEIPTS], "keys", ReceiptKeys(tmp_path))
        headers = {"Prefer": "receipt"}
        reply = await desk.convert("png/webp", picture(), customer, headers, store="true")
        assert (reply.status, reply.headers["Preference-Applied"]) == (201, "receipt")
        body = (await look(desk, customer, reply.json["url"])).body
        await desk.quiet()
    payload = reply.headers["X-Ephemera-Receipt"].split(".")[1]
    told = msgspec.json.decode(base64.urlsafe_b64decode(payload + "=="))
    assert told["output"] == {"sha256": hashlib.sha256(body).hexdigest(), "bytes": len(body)}


@pytest.mark.parametrize("size", ["small", "large"])
async def test_a_conversion_takes_a_stored_upload_and_a_stored_result(
    service: Service, customer: Customer, size: str
) -> None:
    body = picture("BMP", 1000, 700) if size == "large" else picture()
    named = {"Content-Disposition": 'attachment; filename="holiday.x"'}
    first = await upload(service, customer, body, named)
    assert (first.status, first.json["bytes"]) == (201, len(body))
    assert first.json["media_type"] == ("image/bmp" if size == "large" else "image/png")
    assert await service.kinds(customer) == []  # storing is free
    source = "bmp" if size == "large" else "png"
    second = await service.convert(
        f"{source}/webp", None, customer, file=first.json["handle"], store="true"
    )
    assert second.status == 201, second.body
    # A client library that always names a form says nothing by it where there is no body.
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    third = await service.convert("auto/jpg", None, customer, form, file=second.json["handle"])
    assert opened(third.body).format == "JPEG"
    assert 'filename="holiday.jpg"' in third.headers["Content-Disposition"]
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"] * 2
    assert service.app[state.MEMORY].taken == 0


async def test_several_stored_files_are_converted_in_their_order(
    service: Service, customer: Customer
) -> None:
    handles = [
        (await upload(service, customer, document(pages))).json["handle"] for pages in (1, 2)
    ]
    query = "&".join(f"file={handle}" for handle in (*handles, handles[0]))
    reply = await service.ask(
        "POST", f"/v1/convert/pdf/pdf?operation=merge&{query}", headers=customer.headers
    )
    assert reply.status == 200, reply.body
    with pikepdf.open(io.BytesIO(reply.body)) as merged:
        assert len(merged.pages) == 4
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"]
    assert service.app[state.MEMORY].taken == 0
    await service.ledger.files.delete(handles[1], customer.account_id)
    gone = await service.ask(
        "POST", f"/v1/convert/pdf/pdf?operation=merge&{query}", headers=customer.headers
    )
    assert (gone.status, gone.json["code"]) == (404, "file-unknown")


async def test_stored_files_are_bounded_as_uploads_are(
    engine: Engine, ledger: Ledger, customer: Customer
) -> None:
    limits = {"bytes_max": 1000, "files_max": 2}
    async with listening(engine, ledger, upload=limits) as strict:
        handle = (await upload(strict, customer, bytes(600))).json["handle"]
        for times, code in ((2, "upload-too-large"), (3, "too-many-files")):
            query = "&".join([f"file={handle}"] * times)
            reply = await strict.ask(
                "POST", f"/v1/convert/pdf/pdf?operation=merge&{query}", headers=customer.headers
            )
            assert (reply.status, reply.json["code"]) == (413, code)


async def test_a_file_that_comes_without_its_length_is_stored(
    service: Service, customer: Customer
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(LARGE), 70_000):
            yield LARGE[start : start + 70_000]

    reply = await upload(service, customer, pieces())  # type: ignore[arg-type]
    assert (reply.status, reply.json["bytes"]) == (201, len(LARGE))
    assert (await look(service, customer, reply.json["url"])).body == LARGE


async def test_an_upload_to_be_stored_takes_two_chunks_of_memory_whatever_its_size(
    engine: Engine, ledger: Ledger, customer: Customer
) -> None:
    limits = {"in_flight_bytes_max": 2 * CHUNK_BYTES}
    async with listening(engine, ledger, upload=limits) as narrow:
        body = bytes(5 * CHUNK_BYTES)
        reply = await upload(narrow, customer, body)
        assert (reply.status, reply.json["bytes"]) == (201, len(body))
        assert (await look(narrow, customer, reply.json["url"])).body == body
        await narrow.quiet()
        assert narrow.app[state.MEMORY].taken == 0


@pytest.mark.claim("C-STORE-4")
async def test_every_handle_that_opens_nothing_gets_the_same_404(
    service: Service, customer: Customer
) -> None:
    stranger = await service.customer()
    mine, deleted, expired = [(await upload(service, customer, picture())).json for _ in range(3)]
    assert (await service.ask("DELETE", deleted["url"], headers=customer.headers)).status == 204
    await service.ledger._database.value(
        "update files.file set expires_at = now() where id = $1", expired["id"]
    )
    wrong = mine["handle"][:-1] + ("a" if mine["handle"][-1] != "a" else "b")
    seen = set()
    for handle, who in (
        (mine["handle"], stranger),
        (deleted["handle"], customer),
        (expired["handle"], customer),
        (wrong, customer),
        (mine["id"], customer),
        (UNKNOWN, customer),
        ("x", customer),
        ("%00%ff", customer),
    ):
        for method in ("GET", "HEAD"):
            reply = await service.ask(method, f"/v1/files/{handle}", headers=who.headers)
            assert reply.status == 404
            if method == "GET":
                seen.add(_alike(reply))
        reply = await service.ask(
            "POST", f"/v1/convert/png/webp?file={handle}", headers=who.headers
        )
        seen.add(_alike(reply))
        assert await service.kinds(who) == []
    assert len(seen) == 1
    assert (await look(service, customer, mine["url"])).body == picture()
    assert (await service.ask("GET", mine["url"])).status == 401


def _alike(reply: Reply) -> bytes:
    """All of a problem but what is every request's own."""
    told = {name: reply.json[name] for name in ("code", "title", "status", "detail", "charged")}
    assert told["code"] == "file-unknown"
    return msgspec.json.encode(told)


async def test_a_deletion_can_be_repeated_and_takes_an_id_as_well(
    service: Service, customer: Customer
) -> None:
    stranger = await service.customer()
    for by in ("handle", "id"):
        file = (await upload(service, customer, picture())).json
        for who, there in ((stranger, 200), (customer, 404), (customer, 404)):
            reply = await service.ask("DELETE", f"/v1/files/{file[by]}", headers=who.headers)
            assert (reply.status, reply.body) == (204, b"")
            assert (await look(service, customer, file["url"])).status == there


async def test_a_list_shows_no_names_no_handles_and_nobody_elses(
    service: Service,
) -> None:
    customer, stranger = await service.customer(), await service.customer()
    await upload(service, stranger, picture())
    named = {"Content-Disposition": 'attachment; filename="canary7d1.png"'}
    files = [(await upload(service, customer, picture(), named)).json for _ in range(3)]
    first = await look(service, customer, "/v1/files?limit=2")
    rest = await look(service, customer, f"/v1/files?limit=2&cursor={first.json['next']}")
    items = [*first.json["files"], *rest.json["files"]]
    assert [one["id"] for one in items] == [one["id"] for one in reversed(files)]
    assert set(items[0]) == {"id", "bytes", "media_type", "created_at", "expires_at"}
    assert rest.json["next"] is None
    for secret in ("canary7d1", *(one["handle"] for one in files)):
        assert secret not in (first.body + rest.body).decode()
    for query in ("limit=0", "limit=201", "limit=x", "cursor=-1"):
        assert (await look(service, customer, f"/v1/files?{query}")).status == 400


async def test_a_lifetime_can_be_shorter_and_never_longer_than_three_hours(
    service: Service, customer: Customer
) -> None:
    for seconds in ("1", "10800"):
        for reply in (
            await upload(service, customer, picture(), lifetime_s=seconds),
            await service.convert(
                "png/webp", picture(), customer, store="true", lifetime_s=seconds
            ),
        ):
            assert reply.status == 201
            left = datetime.fromisoformat(reply.json["expires_at"]) - datetime.now(UTC)
            assert left <= timedelta(seconds=int(seconds))
            assert left > timedelta(seconds=int(seconds) - 120)
    for wrong in ("0", "10801", "-1", "1.5", "x", "9" * 30):
        reply = await upload(service, customer, picture(), lifetime_s=wrong)
        assert (reply.status, reply.json["code"]) == (422, "option-invalid")


@pytest.mark.parametrize(
    "query", ["store=yes", "lifetime_s=60", "store=false&lifetime_s=60", "store=true&store=true"]
)
async def test_words_about_storing_that_say_nothing_clear_are_refused(
    service: Service, customer: Customer, query: str
) -> None:
    reply = await service.convert(f"png/webp?{query}", picture(), customer)
    assert (reply.status, reply.json["code"]) == (422, "option-invalid")
    assert await service.kinds(customer) == []


async def test_what_cannot_be_stored_is_refused(service: Service, customer: Customer) -> None:
    file = (await upload(service, customer, picture())).json["handle"]
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    for reply, code in (
        (await upload(service, customer, b""), "file-empty"),
        (await upload(service, customer, b"x", form), "media-type-unsupported"),
        (await upload(service, customer, b"x", name="a"), "option-invalid"),
        (await service.convert("png/webp", b"x", customer, file=file), "malformed-request"),
    ):
        assert reply.json["code"] == code
    assert await service.kinds(customer) == []


async def test_no_converter_has_an_option_of_a_word_about_storing() -> None:
    words = {STORE, LIFETIME, FILE, URL}
    assert not [
        one.name for one in registry.CONVERTERS if words & set(one.options.__struct_fields__)
    ]


async def test_parts_are_fetched_as_rfc_9110_has_them(service: Service, customer: Customer) -> None:
    body = bytes(range(256)) * 6000
    file = (await upload(service, customer, body)).json
    for asked, first, last in (
        ("bytes=0-0", 0, 0),
        (f"bytes={CHUNK_BYTES - 2}-{CHUNK_BYTES + 1}", CHUNK_BYTES - 2, CHUNK_BYTES + 1),
        ("bytes=1000-", 1000, len(body) - 1),
        ("bytes=-7", len(body) - 7, len(body) - 1),
        ("bytes=5-99999999", 5, len(body) - 1),
    ):
        reply = await look(service, customer, file["url"], Range=asked)
        assert reply.status == 206
        assert reply.body == body[first : last + 1]
        assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{len(body)}"
    beyond = await look(service, customer, file["url"], Range=f"bytes={len(body)}-")
    assert (beyond.status, beyond.json["code"]) == (416, "range-unsatisfiable")
    assert beyond.headers["Content-Range"] == f"bytes */{len(body)}"
    whole = await look(service, customer, file["url"], Range="bytes=0-1,5-6")
    assert (whole.status, whole.body) == (200, body)
    etag = whole.headers["ETag"]
    changed = await look(service, customer, file["url"], Range="bytes=0-1", If_Range='"other"')
    assert (changed.status, len(changed.body)) == (200, len(body))
    same = await look(service, customer, file["url"], Range="bytes=0-1", If_Range=etag)
    assert (same.status, len(same.body)) == (206, 2)
    known = await look(service, customer, file["url"], If_None_Match=f'"x", {etag}')
    assert (known.status, known.body, known.headers["ETag"]) == (304, b"", etag)


async def test_head_tells_all_but_the_bytes(service: Service, customer: Customer) -> None:
    file = (await upload(service, customer, picture())).json
    head = await service.ask("HEAD", file["url"], headers=customer.headers)
    got = await look(service, customer, file["url"])
    assert (head.status, head.body) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "X-File-Expires", "Accept-Ranges"):
        assert head.headers[name] == got.headers[name]
    # A range is for a GET alone.
    part = await service.ask("HEAD", file["url"], headers=customer.headers | {"Range": "bytes=0-0"})
    assert (part.status, part.headers["Content-Length"]) == (200, head.headers["Content-Length"])


@pytest.mark.parametrize(
    ("header", "size", "span"),
    [
        (None, 10, None),
        ("", 10, None),
        ("bytes=-", 10, None),
        ("bytes=3-2", 10, None),
        ("items=0-1", 10, None),
        ("bytes=0-1 ", 10, None),
        ("bytes=" + "9" * 30 + "-", 10, None),
        ("bytes=-99", 10, range(10)),
        ("bytes=9-", 10, range(9, 10)),
    ],
)
async def test_a_range_that_is_not_understood_is_none(
    header: str | None, size: int, span: range | None
) -> None:
    assert span_of(header, size) == span


@pytest.mark.parametrize(("header", "size"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0)])
async def test_a_range_of_nothing_cannot_be_satisfied(header: str, size: int) -> None:
    with pytest.raises(RangeUnsatisfiable):
        span_of(header, size)


@pytest.mark.parametrize("stage", [Stage.RESPONDING, Stage.CONVERTED])
async def test_an_error_before_the_handle_is_out_takes_the_file_back_and_refunds(
    service: Service, customer: Customer, stage: Stage
) -> None:
    before = await count(service.ledger, customer)
    async with listening(service.engine, service.ledger) as fresh:

        def fail() -> None:
            raise ZeroDivisionError

        fresh.stages.at(stage, fail)
        reply = await fresh.convert("png/webp", picture(), customer, store="true")
        assert reply.status == 500
        await fresh.quiet()
    assert await service.kinds(customer) == ["consumption", "refund"]
    assert await count(service.ledger, customer) == before


async def test_a_client_that_hangs_up_before_it_has_the_handle_leaves_no_file(
    service: Service, customer: Customer
) -> None:
    before = await count(service.ledger, customer)
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open()
        # The reset comes while the file is being written.
        fresh.stages.at(Stage.CONVERTED, wire.hang_up)
        body = picture()
        await wire.post("png/bmp?store=true", customer, f"Content-Length: {len(body)}", body=body)
        await fresh.stages.wait(Stage.CONVERTED)
        await fresh.quiet()
        delivered = Stage.DELIVERED in fresh.stages.seen
    # Charged exactly if the kernel took the whole answer before it knew of the reset.
    kinds = await service.kinds(customer)
    assert kinds == (["consumption"] if delivered else ["consumption", "refund"])
    assert await count(service.ledger, customer) == before + delivered


async def test_an_upload_that_is_cut_leaves_no_file(service: Service, customer: Customer) -> None:
    before = await count(service.ledger, customer)
    wire = await service.open()
    await wire.send(
        b"POST /v1/files HTTP/1.1\r\nHost: test\r\nContent-Length: 9000000\r\n"
        + f"Authorization: Bearer {customer.key}\r\n\r\n".encode()
        + bytes(3_000_000)
    )
    await until(lambda: service.app[state.DOOR].inside == 1)
    wire.hang_up()
    await service.quiet()
    assert await count(service.ledger, customer) == before


async def test_a_repeat_with_its_key_is_stored_again_and_not_charged(
    service: Service, customer: Customer
) -> None:
    key = {"Idempotency-Key": "one"}
    first = await service.convert("png/webp", picture(), customer, key, store="true")
    again = await service.convert("png/webp", picture(), customer, key, store="true")
    assert (again.status, again.headers["X-Credits-Used"]) == (201, "0")
    assert first.json["handle"] != again.json["handle"]
    other = await service.convert("png/webp", picture(), customer, key)
    assert (other.status, other.json["code"]) == (422, "idempotency-key-mismatch")
    assert await service.kinds(customer) == ["consumption"]


async def test_a_file_that_is_deleted_while_it_is_sent_is_cut_off(
    service: Service, customer: Customer
) -> None:
    body = bytes(12 * CHUNK_BYTES)
    file = (await upload(service, customer, body)).json
    async with await service.open(window=4096) as wire:
        await wire.send(
            f"GET {file['url']} HTTP/1.1\r\nHost: test\r\n"
            f"Authorization: Bearer {customer.key}\r\n\r\n".encode()
        )
        status, headers = await wire.head()
        assert (status, int(headers["content-length"])) == (200, len(body))
        await service.ask("DELETE", file["url"], headers=customer.headers)
        assert len(await wire.rest()) < len(body)


async def test_neither_handle_nor_name_reaches_the_log_or_the_metrics(
    service: Service, customer: Customer, capfd: pytest.CaptureFixture[str]
) -> None:
    named = {"Content-Disposition": 'attachment; filename="canary7d1.png"'}
    file = (await upload(service, customer, picture(), named)).json
    await look(service, customer, file["url"])
    await look(service, customer, file["url"] + "x")
    await service.convert("png/webp", None, customer, file=file["handle"], store="true")
    await service.convert("png/webp", None, customer, file=UNKNOWN)
    await service.ask("DELETE", file["url"], headers=customer.headers)
    page = (await service.ask("GET", "/metrics")).body.decode()
    said = "".join(capfd.readouterr())
    assert said.count("route=/v1/files") >= 4
    for secret in ("canary7d1", file["id"], file["handle"].rpartition("_")[2], UNKNOWN):
        assert secret not in said
        assert secret not in page


@asynccontextmanager
async def narrow(
    postgres: Server, service: Service, **limits: int
) -> AsyncIterator[tuple[Service, Customer]]:
    """A service of its own database whose store has these limits."""
    async with postgres.database() as name:
        settings = LedgerSettings(
            dsn=postgres.dsn(name), pepper=bytes(16), files=FileLimits(**limits)
        )
        async with (
            Ledger.connect(settings) as ledger,
            listening(service.engine, ledger) as fresh,
        ):
            yield fresh, await fresh.customer()


@pytest.mark.parametrize(
    ("limits", "status", "code"),
    [
        ({"bytes_max": 0}, 501, "store-off"),
        ({"bytes_max": 100}, 507, "store-full"),
        ({"files_max": 0}, 507, "store-full"),
        ({"account_bytes_max": 100}, 507, "store-quota-exceeded"),
        ({"account_files_max": 0}, 507, "store-quota-exceeded"),
    ],
)
async def test_a_store_without_room_says_so_and_charges_nothing(
    postgres: Server, service: Service, limits: dict[str, int], status: int, code: str
) -> None:
    async with narrow(postgres, service, **limits) as (fresh, customer):
        for reply in (
            await upload(fresh, customer, bytes(200)),
            await fresh.convert("png/bmp", picture(), customer, store="true"),
        ):
            assert (reply.status, reply.json["code"]) == (status, code)
            assert not reply.json["charged"]
            assert ("Retry-After" in reply.headers) == (code == "store-full")
        await fresh.quiet()
        assert await fresh.ledger.balance(customer.account_id) == customer.credits
        assert await count(fresh.ledger, customer) == 0
        # The result itself is to be had all the same.
        assert (await fresh.convert("png/webp", picture(), customer)).status == 200


async def test_the_metrics_tell_how_full_the_store_is(postgres: Server, service: Service) -> None:
    async with narrow(postgres, service) as (fresh, customer):
        await upload(fresh, customer, bytes(200))
        await fresh.ledger.file_sweeper.sweep()
        page = (await fresh.ask("GET", "/metrics")).body.decode()
    figures = dict(re.findall(r"^(ephemera_(?:stored|purged)\w+) (\S+)$", page, re.MULTILINE))
    assert {name: float(figure) for name, figure in figures.items()} == {
        "ephemera_stored_files": 1,
        "ephemera_stored_files_max": FileLimits().files_max,
        "ephemera_stored_bytes": 200,
        "ephemera_stored_bytes_max": FileLimits().bytes_max,
        "ephemera_purged_files_total": 0,
    }
