"""AWS Signature Version 4 for Amazon S3, and what speaks its protocol. Pure.

    https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
    https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html

All headers that are given are signed, and the host. A path is signed as it is sent: encoded once,
in one spelling, and not normalised, as S3 alone has it. There is no query.

What a result is, is known when all of it is out. Over TLS, which protects it, the signature does
not cover it (`UNSIGNED-PAYLOAD`). Without TLS it goes in chunks, each signed with the one before.
"""

import hashlib
import hmac
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime

from engine.wiping import wipe
from gateway.downloads import Body

UNSIGNED = "UNSIGNED-PAYLOAD"
CHUNKED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
EMPTY = hashlib.sha256(b"").hexdigest()
# At least 8 KiB in each but the last; the larger, the less is signed.
CHUNK_BYTES = 64 * 1024
_ALGORITHM = "AWS4-HMAC-SHA256"
_MARK = ";chunk-signature="
_SIGNATURE_CHARS = 64


class Signature:
    """One signed request: its headers, and the chain that its chunks are signed with."""

    def __init__(  # noqa: PLR0917 -- all that is signed
        self,
        access_key_id: str,
        secret: str,
        region: str,
        now: datetime,
        request: tuple[str, str, str],
        headers: Mapping[str, str],
        payload: str,
    ) -> None:
        """`request`: method, host with its port, path. `payload`: a digest, or how it is signed."""
        self._moment = f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        day = self._moment[:8]
        self._scope = f"{day}/{region}/s3/aws4_request"
        self._key = f"AWS4{secret}".encode()
        for part in (day, region, "s3", "aws4_request"):
            self._key = _hmac(self._key, part).digest()
        given = {**headers, "X-Amz-Content-Sha256": payload, "X-Amz-Date": self._moment}
        method, host, path = request
        signed = {name.lower(): " ".join(value.split()) for name, value in given.items()}
        signed["host"] = host
        names = ";".join(sorted(signed))
        lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        canonical = f"{method}\n{path}\n\n{lines}\n{names}\n{payload}"
        self.seed = self._sign(_ALGORITHM, hashlib.sha256(canonical.encode()).hexdigest())
        self.headers = {
            **given,
            "Authorization": f"{_ALGORITHM} Credential={access_key_id}/{self._scope},"
            f"SignedHeaders={names},Signature={self.seed}",
        }

    def chunk(self, before: str, chunk: memoryview) -> str:
        """The signature of a chunk; `before` is that of the one before, at first the seed."""
        digest = hashlib.sha256(chunk).hexdigest()
        return self._sign(f"{_ALGORITHM}-PAYLOAD", f"{before}\n{EMPTY}\n{digest}")

    def _sign(self, algorithm: str, what: str) -> str:
        text = f"{algorithm}\n{self._moment}\n{self._scope}\n{what}"
        return _hmac(self._key, text).hexdigest()


class Chunks:
    """A body in signed chunks. `size` is what goes over the wire."""

    def __init__(self, body: Body, signature: Signature, chunk_bytes: int = CHUNK_BYTES) -> None:
        self._body = body
        self._signature = signature
        self._chunk_bytes = chunk_bytes
        self.size = chunked_size(body.size, chunk_bytes)

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        """The bytes in order; a piece is free again when the next one is asked for."""
        before = self._signature.seed
        async with aclosing(_evened(self._body, self._chunk_bytes)) as chunks:
            async for chunk in chunks:
                before = self._signature.chunk(before, chunk)
                yield memoryview(f"{len(chunk):x}{_MARK}{before}\r\n".encode())
                yield chunk
                yield memoryview(b"\r\n")
        last = self._signature.chunk(before, memoryview(b""))
        yield memoryview(f"0{_MARK}{last}\r\n\r\n".encode())


def chunked_size(size: int, chunk_bytes: int = CHUNK_BYTES) -> int:
    """How many bytes a body of this size is in signed chunks."""
    full, rest = divmod(size, chunk_bytes)
    sizes = {chunk_bytes: full, rest: 1 if rest else 0, 0: 1}
    frame = len(_MARK) + _SIGNATURE_CHARS + 2 * len("\r\n")
    return sum(count * (len(f"{one:x}") + frame + one) for one, count in sizes.items())


async def _evened(body: Body, size: int) -> AsyncGenerator[memoryview, None]:
    """The same bytes in pieces of one size; only the last may be smaller."""
    room = memoryview(bytearray(min(size, body.size)))
    filled = 0
    try:
        async with aclosing(body.pieces()) as pieces:
            async for piece in pieces:
                rest = piece
                while rest:
                    taken = rest[: len(room) - filled]
                    room[filled : filled + len(taken)] = taken
                    filled, rest = filled + len(taken), rest[len(taken) :]
                    if filled == len(room):
                        yield room
                        filled = 0
        if filled:
            yield room[:filled]
    finally:
        wipe(room)


def _hmac(key: bytes, text: str) -> "hmac.HMAC":
    return hmac.new(key, text.encode(), hashlib.sha256)
