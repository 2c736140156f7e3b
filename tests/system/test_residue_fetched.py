"""Nor is anything left of a file that the service fetched, over TLS or in the clear.

The server that it comes from lives in this process, which is not searched.
"""

import os
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from bench import residue
from bench.service import Service, started
from tests.gateway.origins import HERE, Authority, file, serving
from tests.postgres import private_home
from tests.system.conftest import PICTURES

pytestmark = [
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may read a zygote's memory"),
]

SIZES = ("10 KB", "5 MB")
REQUESTS = 3


def chunked(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    pieces = [body[start : start + 10_000] for start in range(0, len(body), 10_000)]
    return head + b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


FRAMED = {
    "announced": file,
    "chunked": chunked,
    "closed": lambda body: b"HTTP/1.1 200 OK\r\n\r\n" + body,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def fetching(authority: Authority) -> AsyncIterator[Service]:
    settings = PICTURES | {
        "EPHEMERA__FETCH__ENABLED": "true",
        "EPHEMERA__FETCH__ALLOW": HERE[0],
        "EPHEMERA__FETCH__PORTS": "",
        "EPHEMERA__FETCH__AUTHORITIES": str(authority.path),
    }
    with private_home() as home:
        async with started(home, settings) as service:
            yield service


async def _left(service: Service, url: str, token: bytes) -> Counter[str]:
    async with aiohttp.ClientSession() as session:
        for _ in range(REQUESTS):
            async with session.post(
                f"{service.url}/v1/convert/bmp/bmp",
                params={"url": url},
                headers={"Authorization": f"Bearer {service.key}"},
            ) as answer:
                result = await answer.read()
                assert answer.status == 200, result
                assert token in result
    await residue.quiet(service)
    return residue.count(service, token)


@pytest.mark.claim("C-RESIDUE-1")
@pytest.mark.parametrize(
    ("scheme", "framing"), [("http", "closed"), ("https", "announced"), ("https", "chunked")]
)
async def test_no_process_remembers_a_file_that_was_fetched(
    fetching: Service, authority: Authority, scheme: str, framing: str
) -> None:
    left = {}
    for size in SIZES:
        token = residue.readable_token()
        body = residue.bitmap(residue.SIZES[size], token)
        tls = authority.server("127.0.0.1") if scheme == "https" else None
        async with serving(FRAMED[framing](body), tls=tls) as origin:
            left[size] = dict(+(await _left(fetching, origin.url(), token)))
    assert left == {size: {} for size in SIZES}
