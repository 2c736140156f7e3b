"""Signature Version 4, against what Amazon published and what its own library signs."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime

import pytest

from gateway.connections import sigv4
from gateway.connections.sigv4 import Chunks, Signature, chunked_size
from gateway.downloads import Kept

# Amazon's documentation uses these in all of its examples.
KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
BUCKET = "examplebucket.s3.amazonaws.com"
THEN = datetime(2013, 5, 24, tzinfo=UTC)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

# "Authenticating Requests: Using the Authorization Header", examples GET Object and PUT Object.
PUBLISHED = [
    (
        ("GET", BUCKET, "/test.txt"),
        {"Range": "bytes=0-9"},
        sigv4.EMPTY,
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    (
        ("PUT", BUCKET, "/test%24file.text"),
        {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
        "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
]
# Made with botocore 1.44.5 (S3SigV4Auth): ports, regions, session tokens, names of every kind.
MADE = [
    (
        ("GET", "s3.eu-central-1.amazonaws.com", "/bucket/folder/plain.png"),
        "eu-central-1",
        {},
        sigv4.EMPTY,
        "0fc403a0d9ab76feeecbaaba57ae88281f01d12dc529ac20fba423ee46bf55ee",
    ),
    (
        (
            "GET",
            "s3.example:9000",
            "/bucket/%C3%BCn%C3%AF%20c%C3%B6d%C3%A9/a%2Bb%3Dc%26d%3Fe%23f%2520%3B~.png",
        ),
        "us-east-1",
        {"X-Amz-Security-Token": "FwoGZXIvYXdzEBY/token+with/signs=="},
        sigv4.EMPTY,
        "cf42f0ede4c322b5b3e46479e0153907d21506dc67f578d8bfcc578abe321ff6",
    ),
    (
        ("PUT", "bucket.s3.example", "/it%27s%20%28a%29%20%2Astar%2A%21/%24%40%2C%3A.webp"),
        "auto",
        {"Content-Type": "image/webp"},
        sigv4.UNSIGNED,
        "0240f8ccfb4415d25082e594cc429ef29e96b1e96d68acd376e5c6b239d85c41",
    ),
    (
        ("PUT", "s3.example", "/base/v1/bucket/%E6%97%A5%E6%9C%AC%E8%AA%9E.pdf"),
        "us-east-1",
        {"Content-Type": "application/pdf", "X-Amz-Security-Token": "token"},
        sigv4.UNSIGNED,
        "0285d61086d2bb6fa00eb5962c4832fc0aa9c047120bc195d206e40209c132ea",
    ),
]


@pytest.mark.parametrize(("request_", "headers", "payload", "signature"), PUBLISHED)
def test_the_published_examples_are_signed_as_published(
    request_: tuple[str, str, str], headers: dict[str, str], payload: str, signature: str
) -> None:
    signed = Signature(KEY_ID, SECRET, "us-east-1", THEN, request_, headers, payload)
    assert signed.seed == signature


@pytest.mark.parametrize(("request_", "region", "headers", "payload", "signature"), MADE)
def test_amazons_own_library_signs_the_same(
    request_: tuple[str, str, str],
    region: str,
    headers: dict[str, str],
    payload: str,
    signature: str,
) -> None:
    signed = Signature(KEY_ID, SECRET, region, NOW, request_, headers, payload)
    assert signed.seed == signature
    assert signed.headers["Authorization"].endswith(f",Signature={signature}")
    assert signed.headers["X-Amz-Date"] == "20260102T030405Z"


def _published_stream() -> Signature:
    """`PUT` of 66,560 bytes in chunks of 64 KiB ("Signature Calculations: ... Multiple Chunks")."""
    return Signature(
        *(KEY_ID, SECRET, "us-east-1", THEN),
        ("PUT", "s3.amazonaws.com", "/examplebucket/chunkObject.txt"),
        {
            "x-amz-storage-class": "REDUCED_REDUNDANCY",
            "Content-Encoding": "aws-chunked",
            "x-amz-decoded-content-length": "66560",
            "Content-Length": "66824",
        },
        sigv4.CHUNKED,
    )


async def test_the_published_stream_is_signed_chunk_by_chunk_as_published() -> None:
    signed = _published_stream()
    assert signed.seed == "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    body = Chunks(Kept([b"a" * 66560]), signed)
    assert body.size == 66824
    sent = b"".join([bytes(piece) async for piece in body.pieces()])
    assert len(sent) == body.size
    assert sent == b"".join(
        (
            (
                b"10000;chunk-signature="
                b"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
            ),
            b"a" * 65536 + b"\r\n",
            (
                b"400;chunk-signature="
                b"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n"
            ),
            b"a" * 1024 + b"\r\n",
            (
                b"0;chunk-signature="
                b"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
            ),
        )
    )


class _Crumbs:
    """A body in pieces of odd sizes, each overwritten when the next one is asked for."""

    def __init__(self, whole: bytes) -> None:
        self._whole = whole
        self.size = len(whole)

    async def pieces(self) -> AsyncGenerator[memoryview, None]:
        at, step = 0, 1
        while at < self.size:
            piece = bytearray(self._whole[at : at + step])
            yield memoryview(piece)
            piece[:] = bytes(len(piece))
            at, step = at + step, step * 2 % 61 + 1


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 31, 32, 33, 1000])
async def test_pieces_of_any_size_are_chunks_of_one_size(size: int) -> None:
    whole = bytes(index % 251 for index in range(size))
    body = Chunks(_Crumbs(whole), _published_stream(), chunk_bytes=16)
    sent = b"".join([bytes(piece) async for piece in body.pieces()])
    assert len(sent) == body.size == chunked_size(size, 16)
    received, sizes = b"", []
    while sent:
        head, _, sent = sent.partition(b"\r\n")
        length = int(head.partition(b";")[0], 16)
        received, sent = received + sent[:length], sent[length + 2 :]
        sizes.append(length)
    assert received == whole
    assert sizes == [16] * (size // 16) + ([size % 16] if size % 16 else []) + [0]
