"""Large uploads pass through while they arrive, results while they are fetched: nothing is lost."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import msgspec
import pytest
import pytest_asyncio

from engine.arrivals import Arrivals
from gateway import state
from gateway.receipt_desk import HEADER
from gateway.receipt_keys import ReceiptKeys
from gateway.receipts import PublicKey, checked, digest
from gateway.stages import Stage
from sandbox.host.worker import Worker
from tests.gateway.samples import bitmap, document, noise, opened, picture, pixel_bomb
from tests.gateway.service import Customer, Reply, Service, Wire, listening, until

pytestmark = pytest.mark.asyncio(loop_scope="session")

WINDOW = 4096


BODY = bitmap()
HALF = len(BODY) // 2
LENGTH = f"Content-Length: {len(BODY)}"


@pytest_asyncio.fixture(loop_scope="session")
async def streaming(service: Service) -> AsyncIterator[Service]:
    """A service of its own, where every upload that can passes through."""
    async with passing_all(service) as fresh:
        yield fresh


@asynccontextmanager
async def passing_all(service: Service, **upload: Any) -> AsyncIterator[Service]:
    upload = {"stream_over_bytes": 0, **upload}
    async with listening(service.engine, service.ledger, upload=upload) as fresh:
        yield fresh
        await fresh.quiet()
        assert fresh.app[state.MEMORY].taken == 0
        assert len(fresh.engine._arrivals) == 0
        assert running(fresh) == 0


def running(service: Service) -> int:
    return sum(family.running for family in service.engine.status().families)


def forked(service: Service) -> int:
    return sum(family.workers for family in service.engine.status().families)


async def half_sent(service: Service, customer: Customer) -> Wire:
    """An upload whose worker has begun to receive it, and that does not go on."""
    others = running(service)
    wire = await service.open()
    await wire.post("bmp/png", customer, LENGTH, body=BODY[:HALF])
    await until(lambda: running(service) == others + 1)
    return wire


def framed(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(body), body)


async def test_a_slow_upload_holds_no_slot(streaming: Service, customer: Customer) -> None:
    slots = streaming.engine.status().slots
    slow = [await half_sent(streaming, customer) for _ in range(slots + 1)]
    assert streaming.engine.status().busy == 0
    for _ in range(3):
        assert (await streaming.convert("png/webp", picture(), customer)).status == 200
    assert await streaming.kinds(customer) == ["consumption"] * 3
    for wire in slow:
        await wire.send(BODY[HALF:])
        reply = await wire.answer()
        assert (reply.status, opened(reply.body).size) == (200, (1000, 700))
        wire.hang_up()


async def test_hanging_up_while_the_worker_receives_is_never_charged(
    streaming: Service, customer: Customer
) -> None:
    wire = await half_sent(streaming, customer)
    wire.hang_up()
    await streaming.quiet()
    assert Stage.READ not in streaming.stages.seen
    assert await streaming.kinds(customer) == []


async def test_a_worker_that_dies_while_it_receives_is_answered_and_the_next_request_served(
    streaming: Service, customer: Customer
) -> None:
    pool = streaming.engine._pools["image"]
    async with await half_sent(streaming, customer) as wire:
        victim = cast("Worker", next(iter(pool._running)))
        victim.kill()
        await victim.ended()
        await wire.send(BODY[HALF:])
        reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (422, "conversion-crashed")
        await wire.post("bmp/png", customer, LENGTH, body=BODY)
        assert opened((await wire.answer()).body).size == (1000, 700)
    assert await streaming.kinds(customer) == ["consumption"]


async def test_an_upload_that_comes_in_small_parts_arrives_whole(
    streaming: Service, customer: Customer
) -> None:
    async with await half_sent(streaming, customer) as wire:
        for start in range(HALF, len(BODY), 100_003):
            await wire.send(BODY[start : start + 100_003])
        reply = await wire.answer()
    expected = await streaming.convert("bmp/png", BODY, customer, {"Prefer": "receipt"})
    assert (reply.status, reply.body) == (200, expected.body)


async def test_an_upload_with_broken_chunks_ends_its_worker(
    streaming: Service, customer: Customer
) -> None:
    async with await streaming.open() as wire:
        await wire.post("bmp/png", customer, "Transfer-Encoding: chunked", body=framed(BODY[:HALF]))
        await until(lambda: running(streaming) == 1)
        await wire.send(b"this is no chunk\r\n")
        reply = await wire.answer()
    assert (reply.status, reply.json["code"]) == (400, "upload-cut")
    assert await streaming.kinds(customer) == []


async def test_a_client_that_stops_sending_is_told_so_and_its_worker_ended(
    service: Service, customer: Customer
) -> None:
    async with (
        passing_all(service, stall_s=0.2) as strict,
        await half_sent(strict, customer) as wire,
    ):
        reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (408, "upload-too-slow")
    assert await service.kinds(customer) == []


async def test_a_body_of_unknown_length_is_converted(
    streaming: Service, customer: Customer
) -> None:
    async with await streaming.open() as wire:
        await wire.post("bmp/png", customer, "Transfer-Encoding: chunked", body=framed(BODY[:HALF]))
        await until(lambda: running(streaming) == 1)
        await wire.send(framed(BODY[HALF:]) + b"0\r\n\r\n")
        assert opened((await wire.answer()).body).size == (1000, 700)
    assert await streaming.kinds(customer) == ["consumption"]


async def test_a_body_that_grows_past_the_cap_is_refused(
    service: Service, customer: Customer
) -> None:
    async with passing_all(service, bytes_max=HALF + 1000) as small, await small.open() as wire:
        await wire.post("bmp/png", customer, "Transfer-Encoding: chunked", body=framed(BODY[:HALF]))
        await until(lambda: running(small) == 1)
        await wire.send(framed(BODY[HALF:]))
        reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (413, "upload-too-large")
    assert await service.kinds(customer) == []


async def test_what_comes_after_the_announced_length_is_another_request(
    streaming: Service, customer: Customer
) -> None:
    async with await streaming.open() as wire:
        await wire.post("bmp/png", customer, LENGTH, body=BODY + b"and more\r\n\r\n")
        assert (await wire.answer()).status == 200
        assert (await wire.answer()).status == 400


async def test_a_mislabelled_file_is_refused_before_a_worker_gets_it(
    streaming: Service, customer: Customer
) -> None:
    before = forked(streaming)
    async with await streaming.open() as wire:
        await wire.post("png/webp", customer, LENGTH, body=BODY[:HALF])
        reply = await wire.answer()  # although half of it is still to come
    assert (reply.status, reply.json["code"]) == (422, "file-mismatch")
    assert (forked(streaming), await streaming.kinds(customer)) == (before, [])


BAD: dict[str, tuple[str, bytes]] = {
    "empty": ("png/webp", b""),
    "another format": ("png/webp", picture("JPEG")),
    "another format, large": ("png/webp", BODY),
    "nothing known": ("auto/webp", bytes(1000)),
    "nothing known, large": ("auto/webp", bytes(300_000)),
    "large text": ("png/webp", b"All work and no play. " * 20_000),
    "a late header": ("pdf/txt", b"x" * 2000 + document()),
    "cut": ("png/webp", picture()[:100]),
    "cut, large": ("png/webp", noise(400, 400)[:300_000]),
    "a bomb": ("png/webp", pixel_bomb()),
    "locked": ("pdf/txt", document(locked_by="secret")),
    "a large archive": ("pdf/txt", b"PK\x03\x04" + bytes(400_000)),
    "no such pages": ("pdf/pdf?operation=pages&pages=7", document()),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_bad_file_gets_the_same_answer_either_way(
    service: Service, streaming: Service, customer: Customer, name: str
) -> None:
    path, body = BAD[name]
    limits = {"stream_over_bytes": 10**9}
    async with listening(service.engine, service.ledger, upload=limits) as gathering:
        replies = [await one.convert(path, body, customer) for one in (gathering, streaming)]
    told = [(reply.status, reply.json["code"], reply.json["detail"]) for reply in replies]
    assert told[0] == told[1]
    assert told[0][0] in {200, 422}
    kinds = await service.kinds(customer)
    assert kinds in ([], ["consumption", "refund"] * 2)


async def test_an_idempotency_key_names_the_same_request_either_way(
    service: Service, streaming: Service, customer: Customer
) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = await streaming.convert("bmp/png", BODY, customer, key)
    limits = {"stream_over_bytes": 10**9}
    async with listening(service.engine, service.ledger, upload=limits) as gathering:
        again = await gathering.convert("bmp/png", BODY, customer, key)
    assert (first.status, again.status) == (200, 200)
    assert again.headers["Idempotent-Replay"] == "true"
    other = await streaming.convert("bmp/png", BODY[:-1] + b"x", customer, key)
    assert other.json["code"] == "idempotency-key-mismatch"
    assert await service.kinds(customer) == ["consumption"]


async def test_a_receipt_has_the_digests_of_what_passed_through(
    streaming: Service, customer: Customer, tmp_path: Path
) -> None:
    keys = ReceiptKeys(tmp_path)
    object.__setattr__(streaming.app[state.RECEIPTS], "keys", keys)
    reply = await streaming.convert("bmp/png", BODY, customer, {"Prefer": "receipt"})
    page = await streaming.ask("GET", "/.well-known/ephemera-receipts.json")
    published = msgspec.json.decode(page.body)["keys"]
    receipt, _ = checked(reply.headers[HEADER], msgspec.convert(published, tuple[PublicKey, ...]))
    assert receipt.inputs.files == (digest(BODY),)
    assert receipt.output == digest(reply.body)


@pytest.mark.parametrize(("places", "account_places"), [(1, 1), (2, 1)])
async def test_when_enough_files_arrive_the_next_is_gathered_and_converted_as_well(
    streaming: Service, customer: Customer, places: int, account_places: int
) -> None:
    engine = streaming.engine
    arrivals, engine._arrivals = engine._arrivals, Arrivals(places, account_places)
    try:
        async with await half_sent(streaming, customer) as first:
            workers = running(streaming)
            async with await streaming.open() as second:
                await second.post("bmp/png", customer, LENGTH, body=BODY[:HALF])
                await second.send(BODY[HALF:])
                reply = await second.answer()
            assert (reply.status, opened(reply.body).size) == (200, (1000, 700))
            assert (running(streaming), len(engine._arrivals)) == (workers, 1)
            await first.send(BODY[HALF:])
            assert (await first.answer()).status == 200
    finally:
        engine._arrivals = arrivals
    assert await streaming.kinds(customer) == ["consumption"] * 2


async def test_what_is_gathered_for_want_of_a_place_may_be_of_unknown_length(
    streaming: Service, customer: Customer
) -> None:
    engine = streaming.engine
    arrivals, engine._arrivals = engine._arrivals, Arrivals(places=1, account_places=1)
    memory = streaming.app[state.MEMORY]
    body = bitmap(250, 100)
    # The second piece has room made for the third, in which the format is known already.
    cuts = (0, 40_000, 70_000, len(body))
    try:
        async with await half_sent(streaming, customer), await streaming.open() as second:
            await second.post("bmp/png", customer, "Transfer-Encoding: chunked")
            before = memory.taken
            for start, end in itertools.pairwise(cuts):
                await second.send(framed(body[start:end]))
                await until(lambda end=end: memory.taken == before + end)
            await second.send(b"0\r\n\r\n")
            reply = await second.answer()
        assert (reply.status, opened(reply.body).size) == (200, (250, 100))
    finally:
        await streaming.quiet()
        engine._arrivals = arrivals
    assert await streaming.kinds(customer) == ["consumption"]


async def test_behind_a_file_that_waits_for_its_slot_the_next_waits_with_its_client(
    streaming: Service, customer: Customer
) -> None:
    engine = streaming.engine
    arrivals, engine._arrivals = engine._arrivals, Arrivals(places=2, account_places=1)
    engine.pause()
    try:
        converting = [
            asyncio.ensure_future(streaming.convert("bmp/png", BODY, customer)) for _ in range(3)
        ]
        await until(lambda: engine.status().waiting == 3)
        assert (running(streaming), len(engine._arrivals)) == (1, 1)
        engine.resume()
        replies = await asyncio.gather(*converting)
    finally:
        engine.resume()
        engine._arrivals = arrivals
    assert [opened(reply.body).size for reply in replies] == [(1000, 700)] * 3
    assert await streaming.kinds(customer) == ["consumption"] * 3


async def test_who_waits_for_a_place_counts_as_one_who_waits_and_gives_up_like_one(
    service: Service, customer: Customer
) -> None:
    line = service.engine._line
    waits = line._wait_max_s
    async with passing_all(service) as streaming:
        engine = streaming.engine
        arrivals, engine._arrivals = engine._arrivals, Arrivals(places=2, account_places=1)
        engine.pause()
        try:
            first = asyncio.ensure_future(streaming.convert("bmp/png", BODY, customer))
            await until(lambda: any(one.queued for one in line._families.values()))
            line._wait_max_s = 0.05
            reply = await streaming.convert("bmp/png", BODY, customer)
            assert (reply.status, reply.json["code"]) == (503, "busy")
            assert int(reply.headers["Retry-After"]) >= 1
        finally:
            line._wait_max_s = waits
            engine.resume()
            engine._arrivals = arrivals
        assert (await first).status == 200
    assert await service.kinds(customer) == ["consumption"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("bmp/png?width=0", 422, "option-invalid"),
        ("bmp/png?widht=1", 422, "option-invalid"),
        ("bmp/png?width=1&width=2", 422, "option-invalid"),
        ("bmp/nonsense", 404, "format-unknown"),
        ("auto/nonsense", 404, "format-unknown"),
        ("png/docx", 422, "conversion-unsupported"),
        ("pdf/pdf", 422, "option-invalid"),
    ],
)
async def test_what_the_address_gives_away_is_refused_before_the_body(
    service: Service, customer: Customer, path: str, status: int, code: str
) -> None:
    for expect in ("Expect: 100-continue", "X-Nothing: 1"):
        async with await service.open() as wire:
            await wire.post(path, customer, LENGTH, expect)
            reply = await wire.answer()
            assert (reply.status, reply.json["code"]) == (status, code)
    assert await service.kinds(customer) == []


async def test_the_slot_is_free_while_the_result_is_fetched(
    streaming: Service, customer: Customer
) -> None:
    large = bitmap(2000, 2000)
    wire = await streaming.open(window=WINDOW)
    await wire.post("bmp/bmp", customer, f"Content-Length: {len(large)}", body=large)
    await streaming.stages.wait(Stage.RESPONDING)
    assert streaming.engine.status().busy == 0
    assert running(streaming) == 1
    assert (await streaming.convert("png/webp", picture(), customer)).status == 200
    wire.hang_up()
    await streaming.quiet()
    assert await streaming.kinds(customer) == ["consumption", "consumption", "refund"]


async def test_a_worker_that_dies_in_the_middle_of_its_result_is_refunded_and_counted(
    streaming: Service, customer: Customer
) -> None:
    large = bitmap(2000, 2000)
    pool = streaming.engine._pools["image"]
    before = pool.counts.failures["killed"]
    async with await streaming.open(window=WINDOW) as wire:
        await wire.post("bmp/bmp", customer, f"Content-Length: {len(large)}", body=large)
        await streaming.stages.wait(Stage.RESPONDING)
        next(iter(pool._running)).kill()
        _, headers = await wire.head()
        rest: Reply | bytes = await wire.rest()
        assert len(rest) < int(headers["content-length"])
        await streaming.quiet()
    assert pool.counts.failures["killed"] == before + 1
    assert await streaming.kinds(customer) == ["consumption", "refund"]


async def test_several_results_of_a_file_that_passed_through_are_an_archive(
    streaming: Service, customer: Customer
) -> None:
    reply = await streaming.convert("pdf/pdf?operation=split", document(3), customer)
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/zip")


async def test_many_uploads_at_once_end_well(streaming: Service, customer: Customer) -> None:
    replies = await asyncio.gather(
        *(streaming.convert("bmp/png", BODY, customer) for _ in range(12))
    )
    assert {reply.status for reply in replies} == {200}
    assert await streaming.kinds(customer) == ["consumption"] * 12
