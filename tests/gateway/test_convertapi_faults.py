"""ConvertAPI's clients that hang up, crowd or dribble: nothing is charged or held for them."""

import asyncio
import base64
import json

import pytest

from gateway import state
from gateway.compat.convertapi.answering import (
    CHUNK_BYTES,
    ConvertAnswer,
    Inline,
    _Base64,
    file_answer,
)
from gateway.stages import Stage
from tests.gateway.samples import document, noise, picture
from tests.gateway.service import Customer, Service, Wire, listening, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def send(wire: Wire, path: str, *lines: str, body: bytes = b"") -> None:
    head = "\r\n".join([f"POST {path} HTTP/1.1", "Host: test", *lines, "", ""])
    await wire.send(head.encode() + body)


def raw(body: bytes, customer: Customer) -> list[str]:
    return [
        f"Authorization: Bearer {customer.key}",
        f"Content-Length: {len(body)}",
        "Content-Disposition: attachment; filename=in.png",
    ]


async def stored(service: Service, customer: Customer) -> int:
    listed = await service.ask("GET", "/v1/files", headers=customer.headers)
    return len(listed.json["files"])


async def test_a_client_that_hangs_up_before_it_has_the_ids_leaves_no_file(
    service: Service, customer: Customer
) -> None:
    body = document(3)
    async with listening(service.engine, service.ledger) as other:
        wire = await other.open()
        other.stages.at(Stage.CONVERTED, wire.hang_up)
        await send(wire, "/convert/pdf/to/png?StoreFile=true", *raw(body, customer), body=body)
        await other.stages.wait(Stage.CONVERTED)
        await other.quiet()
        assert Stage.DELIVERED not in other.stages.seen
    assert await service.kinds(customer) == ["consumption", "refund"]
    assert await stored(service, customer) == 0


async def test_a_client_that_takes_half_of_its_answer_is_refunded(
    service: Service, customer: Customer
) -> None:
    # More than the kernel's buffers between two sockets take.
    body = noise(2000, 2000)
    async with await service.open(window=4096) as wire:
        await send(wire, "/convert/png/to/tiff", *raw(body, customer), body=body)
        assert (await wire.head())[0] == 200
        await wire.reader.readexactly(100)
    await service.quiet()
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_a_gateway_that_stops_shows_its_clients_out(
    service: Service, customer: Customer
) -> None:
    service.engine.pause()
    try:
        async with listening(service.engine, service.ledger) as other:
            body = picture()
            async with await other.open() as wire:
                await send(wire, "/convert/png/to/jpg", *raw(body, customer), body=body)
                await other.stages.wait(Stage.CONVERTING)
                await other.app[state.DOOR].show_out()
                reply = await wire.answer()
            assert (reply.status, reply.json["Code"]) == (503, 503)
    finally:
        service.engine.resume()
    assert await service.kinds(customer) == ["consumption", "refund"]


async def test_no_memory_is_kept_for_what_somebody_unknown_announces(service: Service) -> None:
    async with await service.open() as wire:
        form = "Content-Type: multipart/form-data; boundary=xyz"
        await send(wire, "/convert/png/to/jpg", form, "Content-Length: 200000000", body=b"--xyz")
        await until(lambda: service.app[state.DOOR].inside == 1)
        assert service.app[state.MEMORY].taken < 1024 * 1024
    await service.quiet()


async def test_only_so_many_come_and_go_without_a_key(service: Service, customer: Customer) -> None:
    limits = {"visitor_at_once_max": 1}
    named = {"Content-Disposition": "attachment; filename=a.png"}
    async with listening(service.engine, service.ledger, convertapi=limits) as other:
        async with await other.open() as wire:
            await send(wire, "/upload?filename=a.png", "Content-Length: 1000", body=b"x")
            await until(lambda: other.app[state.DOOR].inside == 1)
            for method, path in (("POST", "/upload"), ("GET", f"/d/{'a' * 32}")):
                crowded = await other.ask(method, path, data=picture(), headers=named)
                assert (crowded.status, crowded.json["Code"]) == (503, 503)
                assert crowded.headers["Retry-After"] == "2"
            ours = await other.ask(
                "POST", "/upload", data=picture(), headers=named | customer.headers
            )
            assert ours.status == 200
        await other.quiet()
        assert (await other.ask("POST", "/upload", data=picture(), headers=named)).status == 200


@pytest.mark.parametrize("sizes", [(0,), (1, 2, 3), (2 * CHUNK_BYTES + 1,), (CHUNK_BYTES, 5)])
async def test_results_in_base64_are_as_long_as_announced_and_exact(
    sizes: tuple[int, ...],
) -> None:
    plain = bytes(number % 251 for number in range(sum(sizes)))
    at = 0

    async def read(room: memoryview) -> None:
        nonlocal at
        room[:] = plain[at : at + len(room)]
        at += len(room)
        await asyncio.sleep(0)

    files = tuple(file_answer(f"ü{size}.bin", size) for size in sizes)
    body = Inline(ConvertAnswer(conversion_cost=1, conversion_time=2, files=files), read)
    text = b"".join([bytes(piece) async for piece in body.pieces()])
    assert len(text) == body.size
    told = json.loads(text)
    assert told["ConversionCost"] == 1
    assert b"".join(base64.b64decode(file["FileData"]) for file in told["Files"]) == plain
    assert [file["FileSize"] for file in told["Files"]] == list(sizes)


async def test_the_text_of_a_result_is_wiped() -> None:
    with _Base64() as text:
        for size in (300, 300, 7):
            view = text.of(memoryview(bytearray(b"s" * size)))
            assert bytes(view) == base64.b64encode(b"s" * size)
    assert set(bytes(view)) == {0}
