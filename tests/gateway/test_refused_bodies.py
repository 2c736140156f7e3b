"""What is left of a body whose request is answered: dropped by the kernel, and then forgotten."""

import pytest

from gateway import receiving
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Service, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")

BODY = bytes(8 * 1024 * 1024)
LENGTH = f"Content-Length: {len(BODY)}"


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each read brought into this process."""
    counts: list[int] = []
    taken = receiving.Receiver.buffer_updated

    def counted(self: receiving.Receiver, nbytes: int) -> None:
        counts.append(nbytes)
        taken(self, nbytes)

    monkeypatch.setattr(receiving.Receiver, "buffer_updated", counted)
    return counts


async def test_a_refused_body_is_not_read_and_its_connection_serves_the_next_request(
    service: Service, customer: Customer, seen: list[int]
) -> None:
    async with await service.open() as wire:
        for _ in range(3):
            await wire.post("bmp/nonsense", customer, LENGTH, body=BODY[:1000])
            reply = await wire.answer()
            assert (reply.status, reply.json["code"]) == (404, "format-unknown")
            seen.clear()
            await wire.send(BODY[1000:])
            small = picture()
            await wire.post("png/jpeg", customer, f"Content-Length: {len(small)}", body=small)
            assert (await wire.answer()).status == 200
            assert sum(seen) < len(BODY) // 10
    assert await service.kinds(customer) == ["consumption"] * 3


async def test_the_next_request_may_follow_a_refused_body_in_the_same_packet(
    service: Service, customer: Customer
) -> None:
    small = picture()
    async with await service.open() as wire:
        await wire.post("bmp/nonsense", customer, LENGTH, body=BODY)
        await wire.post("png/jpeg", customer, f"Content-Length: {len(small)}", body=small)
        assert [(await wire.answer()).status for _ in range(2)] == [404, 200]


async def test_who_goes_on_sending_for_too_long_or_hangs_up_is_let_go(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger, server={"linger_s": 0.05}) as fresh:
        async with await fresh.open() as wire:
            await wire.post("bmp/nonsense", customer, LENGTH, body=BODY[:1000])
            assert (await wire.answer()).status == 404
            assert await wire.rest() == b""
        async with await fresh.open() as wire:
            await wire.post("bmp/nonsense", customer, LENGTH, body=BODY[: len(BODY) // 2])
            assert (await wire.answer()).status == 404
            wire.hang_up()
        await fresh.quiet()


async def test_the_gateway_looks_once_at_a_refused_body_whose_sender_has_ended(
    service: Service, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, drop = 0, receiving.Rest.drop

    async def counted(self: receiving.Rest) -> bool:
        nonlocal looks
        looks += 1
        return await drop(self)

    monkeypatch.setattr(receiving.Rest, "drop", counted)
    async with await service.open() as wire:
        await wire.post("bmp/nonsense", customer, LENGTH, body=BODY[:1000])
        assert (await wire.answer()).status == 404
        wire.writer.write_eof()
        assert await wire.rest() == b""
    assert looks == 1


async def test_a_refused_body_in_chunks_is_dropped_as_well(
    service: Service, customer: Customer
) -> None:
    small = picture()
    async with await service.open() as wire:
        await wire.post("bmp/nonsense", customer, "Transfer-Encoding: chunked")
        assert (await wire.answer()).status == 404
        for _ in range(20):
            await wire.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")
        await wire.send(b"0\r\n\r\n")
        await wire.post("png/jpeg", customer, f"Content-Length: {len(small)}", body=small)
        assert (await wire.answer()).status == 200
