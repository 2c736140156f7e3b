"""Customers' storage on this machine: an S3 server that checks signatures by itself, and WebDAV.

What the S3 server checks is written from the protocol's description and shares nothing with the
service: the canonical request is made from the request line as it arrived.
"""

import asyncio
import base64
import hashlib
import hmac
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web

KEY_ID, SECRET, SESSION = "AKIDFORTESTS", "sesame+4711/open", "session-of-tests-0815"
USER, PASSWORD = "büro", "pässword-4711"
BEARER = "bearer-4711-of-tests"
REGION, BUCKET = "eu-test-1", "bucket"

Act = Callable[[web.Request], Awaitable[web.StreamResponse]]


class File(msgspec.Struct, frozen=True):
    """What was written."""

    body: bytes
    media_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'


class Storage:
    """A server of files. `act` does something else for the next requests than it should."""

    def __init__(self) -> None:
        self.url = ""
        self.files: dict[str, File] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.act: Act | None = None
        # What hangs waits for this; set, it goes on.
        self.released = asyncio.Event()
        self.came = asyncio.Event()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        self.came.set()
        if self.act is not None:
            return await self.act(request)
        refusal = await self.refused(request)
        if refusal is not None:
            return refusal
        if request.method == "PUT":
            return await self.put(request)
        file = self.files.get(request.path)
        if file is None:
            return self.error(404, "NoSuchKey")
        return web.Response(body=file.body, content_type=file.media_type)

    async def refused(self, request: web.Request) -> web.Response | None:
        """An answer to who may not; None to who may."""
        raise NotImplementedError

    async def put(self, request: web.Request) -> web.Response:
        file = File(await request.read(), request.content_type)
        self.files[request.path] = file
        return web.Response(status=201, headers={"ETag": file.etag})

    def error(self, status: int, code: str) -> web.Response:
        return web.Response(
            status=status, text=f"<?xml version='1.0'?><Error><Code>{code}</Code></Error>"
        )

    async def hang(self, request: web.Request) -> web.StreamResponse:
        """Take everything, and say nothing."""
        await request.read()
        await self.released.wait()
        return web.Response(status=201)

    async def hang_at_once(self, _request: web.Request) -> web.StreamResponse:
        """Take nothing, and say nothing."""
        await self.released.wait()
        return web.Response(status=201)

    async def take_half(self, request: web.Request) -> web.StreamResponse:
        """Break off in the middle of the body."""
        await request.content.readexactly((request.content_length or 0) // 2)
        assert request.transport
        request.transport.abort()
        return web.Response(status=201)

    async def say_so_at_half(self, request: web.Request) -> web.StreamResponse:
        """Say that all is well when half of it is there, and take no more."""
        await request.content.readexactly((request.content_length or 0) // 2)
        response = web.StreamResponse(status=200)
        response.content_length = 0
        await response.prepare(request)
        await response.write_eof()
        await self.released.wait()
        return response

    def saying(self, status: int, code: str = "", **headers: str) -> Act:
        """Take everything and answer this."""

        async def act(request: web.Request) -> web.StreamResponse:
            await request.read()
            answer = self.error(status, code)
            answer.headers.update(headers)
            return answer

        return act

    def refusing(self, status: int) -> Act:
        """Answer this to the head alone, and take nothing of the body."""

        async def act(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse(status=status)
            response.content_length = 0
            await response.prepare(request)
            await response.write_eof()
            await self.released.wait()
            return response

        return act


class S3Server(Storage):
    """An object store that takes nothing that is not signed right."""

    def __init__(self, *, secure: bool = False, session: str | None = None) -> None:
        super().__init__()
        self.secure = secure
        self.session = session
        self.chunks = 0

    async def refused(  # noqa: PLR0911 -- one for each thing that can be wrong
        self, request: web.Request
    ) -> web.Response | None:
        given = request.headers.get("Authorization", "")
        found = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?"
            r"SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})",
            given,
        )
        if not found:
            return self.error(403, "AccessDenied")
        key_id, day, region, names, signature = found.groups()
        if key_id != KEY_ID:
            return self.error(403, "InvalidAccessKeyId")
        if region != REGION:
            return self.error(400, "AuthorizationHeaderMalformed")
        if self.session is not None and request.headers.get("X-Amz-Security-Token") != self.session:
            return self.error(403, "InvalidToken")
        amz = {n.lower() for n in request.headers if n.lower().startswith("x-amz-")}
        if not amz | {"host"} <= set(names.split(";")):
            return self.error(403, "AccessDenied")
        scope = f"{day}/{region}/s3/aws4_request"
        moment = request.headers["X-Amz-Date"]
        key = self._key(day, region)
        payload = request.headers["X-Amz-Content-Sha256"]
        path, _, query = request.raw_path.partition("?")
        lines = "".join(f"{n}:{request.headers[n].strip()}\n" for n in names.split(";"))
        canonical = f"{request.method}\n{path}\n{query}\n{lines}\n{names}\n{payload}"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
        if hmac.new(key, text.encode(), "sha256").hexdigest() != signature:
            return self.error(403, "SignatureDoesNotMatch")
        named = request.path.startswith(f"/{BUCKET}/") or request.host.startswith(f"{BUCKET}.")
        if not named:
            return self.error(404, "NoSuchBucket")
        self._seal = (key, moment, scope, signature)
        if payload == "UNSIGNED-PAYLOAD" and not self.secure:
            return self.error(403, "UnsignedWithoutTls")
        return None

    async def put(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers["X-Amz-Content-Sha256"].startswith("STREAMING-"):
            try:
                body = self._unchunked(body)
            except ValueError:
                return self.error(403, "SignatureDoesNotMatch")
            if len(body) != int(request.headers["X-Amz-Decoded-Content-Length"]):
                return self.error(400, "IncompleteBody")
        self.files[request.path] = file = File(body, request.content_type)
        return web.Response(status=200, headers={"ETag": file.etag})

    @staticmethod
    def _key(day: str, region: str) -> bytes:
        key = ("AWS4" + SECRET).encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return key

    def _unchunked(self, sent: bytes) -> bytes:
        key, moment, scope, before = self._seal
        whole = b""
        empty = hashlib.sha256().hexdigest()
        while True:
            head, _, sent = sent.partition(b"\r\n")
            size, _, claimed = head.decode().partition(";chunk-signature=")
            chunk, sent = sent[: int(size, 16)], sent[int(size, 16) :]
            digest = hashlib.sha256(chunk).hexdigest()
            text = f"AWS4-HMAC-SHA256-PAYLOAD\n{moment}\n{scope}\n{before}\n{empty}\n{digest}"
            before = hmac.new(key, text.encode(), "sha256").hexdigest()
            if claimed != before or not sent.startswith(b"\r\n"):
                raise ValueError(claimed)
            sent = sent[2:]
            whole += chunk
            self.chunks += 1
            if not chunk:
                return whole


class DavServer(Storage):
    """A WebDAV server with folders that are there or not."""

    def __init__(self) -> None:
        super().__init__()
        self.folders = {"/dav", "/dav/in"}

    async def refused(self, request: web.Request) -> web.Response | None:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return web.Response(status=401)
        if request.method == "PUT" and request.path.rpartition("/")[0] not in self.folders:
            return web.Response(status=409)
        return None


class BearerServer(Storage):
    """A server that is opened by a header."""

    async def refused(self, request: web.Request) -> web.Response | None:
        good = {f"Bearer {BEARER}", f"Key {BEARER}"}
        given = request.headers.get("Authorization") or request.headers.get("X-Open", "")
        return None if given in good else web.Response(status=403)


@asynccontextmanager
async def serving(storage: Any, tls: ssl.SSLContext | None = None) -> AsyncIterator[Any]:
    """A server for the block, on any port."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", storage.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = socket.socket()
    # What the kernel would take in by itself nobody has read: no more than this of a file.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    listener.bind(("127.0.0.1", 0))
    site = web.SockSite(runner, listener, ssl_context=tls)
    await site.start()
    assert runner.addresses
    storage.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield storage
    finally:
        storage.released.set()
        await runner.cleanup()


def s3(storage: Storage, **other: str) -> dict[str, str]:
    """What a connection to such a server is made of."""
    return {
        "kind": "s3",
        "endpoint": storage.url,
        "bucket": BUCKET,
        "region": REGION,
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
    } | other


def webdav(storage: Storage, **other: str) -> dict[str, str]:
    return {
        "kind": "webdav",
        "url": f"{storage.url}/dav",
        "username": USER,
        "password": PASSWORD,
    } | other


def http(storage: Storage, **other: object) -> dict[str, object]:
    return {"kind": "http", "url": f"{storage.url}/up/", "bearer": BEARER} | other
