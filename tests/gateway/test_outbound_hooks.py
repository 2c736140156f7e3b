"""Calls of webhooks: guarded like a fetch, short, and answered by a status or a reason."""

import asyncio
from pathlib import Path

import pytest

from gateway.errors import FetchRefused, HooksOff
from gateway.outbound.client import POSTED_BYTES_MAX, Posted
from gateway.outbound.settings import HooksConfig
from tests.gateway.origins import Authority, Tallied, file, redirect, serving, silent

pytestmark = pytest.mark.asyncio(loop_scope="module")

BODY = b'{"type":"task.succeeded"}'


async def test_a_webhook_gets_its_body_and_our_headers(tmp_path: Path) -> None:
    got = []

    async def answers(_: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(len(BODY)))
        writer.write(file(b"thanks"))

    ours = Authority(tmp_path)
    async with serving(answers, tls=ours.server("127.0.0.1")) as hook:
        # The switch of fetching is another one.
        client = Tallied(enabled=False, authorities=str(ours.path))
        posted = await client.post(hook.url("/hook?a"), BODY, {"webhook-id": "msg_1"})
        assert posted == Posted(status=200)
        assert got == [BODY]
        head = hook.heads[0]
        assert head.startswith("POST /hook?a HTTP/1.1\r\n")
        assert f"Content-Length: {len(BODY)}\r\n" in head
        assert "webhook-id: msg_1\r\n" in head
        assert client.ends == ["done"]
        assert not client._open


@pytest.mark.parametrize(
    ("answer", "posted"),
    [
        (file(b"gone", status="410 Gone"), Posted(status=410)),
        (file(b"", "Retry-After: 30", status="429 Wait"), Posted(status=429, retry_after_s=30)),
        (redirect("http://127.0.0.1:1/"), Posted(status=302)),
        (b"HTTP/1.1 200 OK\r\n\r\n" + bytes(64 * POSTED_BYTES_MAX), Posted(status=200)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", Posted(status=200)),
        (b"", Posted(error="broken")),
        (b"SSH-2.0-a\r\n\r\n", Posted(error="broken")),
    ],
)
async def test_whatever_a_webhook_answers_is_told_and_not_followed(
    answer: bytes, posted: Posted
) -> None:
    async with serving(answer) as hook:
        client = Tallied(hooks_http=True)
        assert await client.post(hook.url(), BODY, {}) == posted
        assert hook.connections == 1
        assert client.ends == [posted.error or "done"]


async def test_a_webhook_that_hangs_is_left() -> None:
    async with serving(silent) as hook:
        client = Tallied(hooks_http=True, hooks=HooksConfig(timeout_s=0.1))
        assert await client.post(hook.url(), BODY, {}) == Posted(error="slow")
        await hook.left.wait()


async def test_a_webhook_is_public_and_speaks_tls() -> None:
    async with serving(file(b"a")) as hook:
        for client, url, reason in (
            (Tallied(), hook.url(), "scheme"),
            (Tallied(hooks_http=True, allow=()), hook.url(), "address"),
            (Tallied(hooks_http=True), hook.url().replace("//", "//a:b@"), "credentials"),
            (Tallied(ports=(443,)), hook.url().replace("http", "https"), "port"),
        ):
            with pytest.raises(FetchRefused) as caught:
                client.check_hook(url)
            assert caught.value.reason == reason
            assert await client.post(url, BODY, {}) == Posted(error=reason)
        assert hook.connections == 0
        refused = await Tallied(hooks_http=True).post(hook.url(), BODY, {"Host": "a"})
        assert refused == Posted(error="header")


async def test_no_webhook_is_called_where_the_operator_has_them_off() -> None:
    client = Tallied(hooks=HooksConfig(enabled=False))
    with pytest.raises(HooksOff):
        client.check_hook("https://hook.example/")
    assert await client.post("https://hook.example/", BODY, {}) == Posted(error="off")
    assert client.ends == []
