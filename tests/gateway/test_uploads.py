"""Uploads that are too large, too slow, cut, malformed: over a real socket, by hand."""

import pytest

from gateway import state
from gateway.stages import Stage
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Reply, Service, listening

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_body_that_announces_too_much_is_refused_before_it_is_sent(
    service: Service, customer: Customer
) -> None:
    async with (
        listening(service.engine, service.ledger, upload={"bytes_max": 1000}) as small,
        await small.open() as wire,
    ):
        await wire.post("png/webp", customer, "Content-Length: 1001")
        reply = await wire.answer()
    assert (reply.status, reply.json["code"]) == (413, "upload-too-large")
    assert Stage.READ not in small.stages.seen


async def test_a_body_that_announces_nothing_is_counted(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger, upload={"bytes_max": 1000}) as small:
        async with await small.open() as wire:
            await wire.post("png/webp", customer, "Transfer-Encoding: chunked")
            await wire.send(b"3e8\r\n" + bytes(1000) + b"\r\n1\r\n\0\r\n")
            reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (413, "upload-too-large")
        assert small.app[state.MEMORY].taken == 0


async def test_a_part_that_is_too_large_is_counted_too(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger, upload={"bytes_max": 1000}) as small:
        reply = await _multipart(small, customer, _part("file", bytes(1001)), announce=False)
    assert (reply.status, reply.json["code"]) == (413, "upload-too-large")


async def test_more_parts_than_one_request_may_carry(service: Service, customer: Customer) -> None:
    async with listening(service.engine, service.ledger, upload={"files_max": 2}) as small:
        reply = await _multipart(small, customer, _part("file", b"x") * 3)
    assert (reply.status, reply.json["code"]) == (413, "too-many-files")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no boundary at all",
        b"--b--\r\n",
        b"--b\r\nContent-Disposition: form-data; name=file\r\n\r\nunfinished",
        b"--b\r\nContent-Disposition: form-data; name=width\r\n\r\n10\r\n--b--\r\n",
        b"--b\r\nnot a header\r\n\r\nx\r\n--b--\r\n",
        b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n",
        b"--b\r\n" + b"X: y\r\n" * 500 + b"\r\nx\r\n--b--\r\n",
        b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx\r\n--b--\r\n",
    ],
)
async def test_a_multipart_body_that_is_none_is_malformed(
    service: Service, customer: Customer, body: bytes
) -> None:
    reply = await _multipart(service, customer, body, closed=False)
    assert (reply.status, reply.json["code"]) == (400, "malformed-request")
    assert await service.kinds(customer) == []


@pytest.mark.parametrize(
    "header",
    [
        "Content-Type: multipart/mixed; boundary=b",
        "Content-Encoding: gzip",
        "Content-Encoding: br",
    ],
)
@pytest.mark.claim("C-HTTP-3")
async def test_an_encoding_that_would_be_unpacked_here_is_refused(
    service: Service, customer: Customer, header: str
) -> None:
    async with await service.open() as wire:
        await wire.post("png/webp", customer, header, "Content-Length: 1", body=b"x")
        reply = await wire.answer()
    assert (reply.status, reply.json["code"]) == (415, "media-type-unsupported")


async def test_a_client_that_stops_sending_is_told_so(service: Service, customer: Customer) -> None:
    async with listening(service.engine, service.ledger, upload={"stall_s": 0.05}) as strict:
        async with await strict.open() as wire:
            await wire.post("png/webp", customer, "Content-Length: 100", body=b"x" * 99)
            reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (408, "upload-too-slow")
        assert reply.json["retryable"] is True
        assert strict.app[state.MEMORY].taken == 0


@pytest.mark.claim("C-HTTP-4")
async def test_a_client_that_dribbles_is_cut_by_the_least_rate(
    service: Service, customer: Customer
) -> None:
    limits = {"rate_grace_s": 0.05, "rate_min_bytes_s": 1_000_000_000}
    async with (
        listening(service.engine, service.ledger, upload=limits) as strict,
        await strict.open() as wire,
    ):
        await wire.post("png/webp", customer, "Content-Length: 100", body=b"x")
        reply = await wire.answer()
    assert (reply.status, reply.json["code"]) == (408, "upload-too-slow")


async def test_a_client_that_hangs_up_during_the_upload_is_never_charged(
    service: Service, customer: Customer
) -> None:
    async with listening(service.engine, service.ledger) as fresh:
        wire = await fresh.open()
        await wire.post("png/webp", customer, "Content-Length: 100", body=b"x")
        await fresh.stages.wait(Stage.AUTHENTICATED)
        wire.hang_up()
        await fresh.quiet()
        assert fresh.app[state.MEMORY].taken == 0
    assert await service.kinds(customer) == []


async def test_a_body_with_broken_chunks_is_a_problem(service: Service, customer: Customer) -> None:
    async with await service.open() as wire:
        await wire.post("png/webp", customer, "Transfer-Encoding: chunked", body=b"zz\r\nxx\r\n")
        reply = await wire.answer()
    assert reply.status == 400
    assert reply.json["charged"] is False


async def test_a_full_memory_refuses_at_once(service: Service, customer: Customer) -> None:
    limits = {"in_flight_bytes_max": 1000}
    async with listening(service.engine, service.ledger, upload=limits) as small:
        async with await small.open() as first, await small.open() as second:
            await first.post("png/webp", customer, "Content-Length: 900")
            await small.stages.wait(Stage.AUTHENTICATED)
            await second.post("png/webp", customer, "Content-Length: 101")
            reply = await second.answer()
        assert (reply.status, reply.json["code"]) == (503, "busy")
        assert reply.headers["retry-after"] == "2"
        await small.quiet()
        assert small.app[state.MEMORY].taken == 0


async def test_a_refused_upload_is_not_asked_for(service: Service, customer: Customer) -> None:
    async with await service.open() as wire:
        await wire.post("png/webp", None, "Content-Length: 10", "Expect: 100-continue")
        reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (401, "key-missing")
        assert reply.headers["cache-control"] == "no-store"
        assert await wire.rest() == b""
    async with await service.open() as wire:
        huge = f"Content-Length: {10**12}"
        await wire.post("png/webp", customer, huge, "Expect: 100-continue")
        assert (await wire.answer()).status == 413


async def test_an_upload_that_is_welcome_is_asked_for(service: Service, customer: Customer) -> None:
    body = picture()
    async with await service.open() as wire:
        length = f"Content-Length: {len(body)}"
        await wire.post("png/webp", customer, length, "Expect: 100-continue")
        assert (await wire.head())[0] == 100
        await wire.send(body)
        assert (await wire.answer()).status == 200


async def test_another_expectation_is_refused(service: Service, customer: Customer) -> None:
    async with await service.open() as wire:
        await wire.post("png/webp", customer, "Content-Length: 1", "Expect: a miracle")
        reply = await wire.answer()
    assert (reply.status, reply.json["code"]) == (417, "expectation-unknown")


@pytest.mark.claim("C-HTTP-5")
async def test_a_wrong_key_is_refused_before_the_body_is_read(service: Service) -> None:
    async with await service.open() as wire:
        await wire.post("png/webp", None, "Content-Length: 1000000")
        assert (await wire.answer()).status == 401


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"BREW /v1/account HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /v1/formats HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n",
        b"GET /" + b"y" * 9000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 100 + b"\r\n",
        b"POST /v1/convert/png/webp HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
@pytest.mark.claim("C-HTTP-2")
async def test_what_is_not_http_gets_a_problem_and_a_closed_connection(
    service: Service, garbage: bytes
) -> None:
    async with await service.open() as wire:
        await wire.send(garbage)
        reply = await wire.answer()
        assert (reply.status, reply.json["code"]) == (400, "malformed-request")
        assert reply.headers["x-request-id"] == reply.json["request_id"]
        assert await wire.rest() == b""


async def test_too_many_connections_are_dropped_and_the_service_goes_on(service: Service) -> None:
    limits = {"connections_max": 1}
    async with (
        listening(service.engine, service.ledger, server=limits) as small,
        await small.open() as first,
    ):
        await first.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await first.answer()).status == 200
        async with await small.open() as second:
            assert await second.rest() == b""
        await first.send(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await first.answer()).status == 200


@pytest.mark.claim("C-HTTP-4")
async def test_a_client_that_never_sends_its_head_is_cut(service: Service) -> None:
    limits = {"keepalive_s": 0.05}
    async with (
        listening(service.engine, service.ledger, server=limits) as strict,
        await strict.open() as wire,
    ):
        await wire.send(b"POST /v1/convert/png/webp HTTP/1.1\r\nHost:")
        assert await wire.rest() == b""


def _part(name: str, body: bytes) -> bytes:
    head = f'--b\r\nContent-Disposition: form-data; name={name}; filename="f"\r\n\r\n'
    return head.encode() + body + b"\r\n"


async def _multipart(
    service: Service, customer: Customer, body: bytes, *, announce: bool = True, closed: bool = True
) -> Reply:
    body += b"--b--\r\n" if closed else b""
    kind = "Content-Type: multipart/form-data; boundary=b"
    async with await service.open() as wire:
        if announce:
            await wire.post("png/webp", customer, kind, f"Content-Length: {len(body)}", body=body)
        else:
            framed = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            await wire.post("png/webp", customer, kind, "Transfer-Encoding: chunked", body=framed)
        return await wire.answer()
