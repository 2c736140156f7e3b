"""How much of a customer's file is left in the service's memory, and what does its absence cost?

Every kibibyte of an upload carries a marker, and so does its result (a bitmap into a bitmap, a
picture's pixels in the clear both times). When all answers have arrived, the memory of the gateway,
of every guardian, zygote and spare is searched for it.
"""

import argparse
import asyncio
import io
import secrets
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
from PIL import Image

from bench import memory
from bench.service import Service, running_service

KIB = 1024
# Pixels of three bytes, in rows that need no padding and are as near to a kibibyte as can be.
ROW_PIXELS = 340
SIZES = {
    "1.5 KB": 1,
    "10 KB": 10,
    "200 KB": 200,
    "5 MB": 5 * KIB,
    "20 MB": 20 * KIB,
}
REQUESTS = 20
CLIENTS = 4
# Only ever reached when something hangs.
PATIENCE_S = 60.0
POLL_S = 0.02
TOKEN_BYTES = 12


class Way(msgspec.Struct, frozen=True):
    """One way of putting a file into a request."""

    name: str
    body: Callable[[bytes], object]


async def _dribbled(body: bytes) -> "object":
    for start in range(0, len(body), 64 * KIB):
        yield body[start : start + 64 * KIB]  # type: ignore[misc]


def _form(body: bytes) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", body, filename="a.bmp")
    return form


WAYS = (Way("raw", lambda body: body), Way("chunked", _dribbled), Way("multipart", _form))


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The markers left by one kind of request, by role, and what was sent."""

    gateway: int
    guardian: int
    zygote: int
    spare: int
    cpu_ms: float
    wall_ms: float


def bitmap(rows: int, token: bytes) -> bytes:
    """A BMP of about `rows` KiB that carries the token once a row."""
    row = token + b"\x80" * (ROW_PIXELS * 3 - len(token))
    out = io.BytesIO()
    Image.frombytes("RGB", (ROW_PIXELS, rows), row * rows).save(out, "BMP")
    return out.getvalue()


def readable_token() -> bytes:
    """Random bytes that survive a swap of red and blue: each pixel's bytes are equal."""
    return b"".join(bytes([byte]) * 3 for byte in secrets.token_bytes(TOKEN_BYTES))


async def send(service: Service, way: Way, body: bytes, token: bytes, requests: int) -> None:
    """Send the file so often, by a few clients at once, and read every answer to its end."""
    todo = iter(range(requests))

    async def client() -> None:
        async with aiohttp.ClientSession() as session:
            for _ in todo:
                async with session.post(
                    f"{service.url}/v1/convert/bmp/bmp",
                    data=way.body(body),
                    headers={"Authorization": f"Bearer {service.key}"},
                ) as answer:
                    result = await answer.read()
                    assert answer.status == 200, result
                    assert result.count(token) == body.count(token)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    await quiet(service)


async def quiet(service: Service) -> None:
    """Wait until the gateway has cleared up behind the last answer."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE_S):
        while True:
            async with session.get(f"{service.url}/status") as page:
                if not (await page.json())["conversions"]:
                    return
            await asyncio.sleep(POLL_S)


def count(service: Service, token: bytes) -> Counter[str]:
    """Markers by role."""
    found = Counter({"gateway": 0, "guardian": 0, "zygote": 0, "spare": 0})
    for pid, role in memory.roles(service.pid).items():
        try:
            found[role] += memory.markers(pid, token)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def thread_cpu_s(pid: int) -> float:
    """CPU seconds of all threads of a process, to the microsecond."""
    return (
        sum(
            int((task / "schedstat").read_text().split()[0])
            for task in Path(f"/proc/{pid}/task").iterdir()
        )
        / 1e9
    )


async def measure(service: Service, way: Way, rows: int, requests: int) -> Found:
    """Send, wait for the books to close, and search."""
    token = readable_token()
    body = bitmap(rows, token)
    await send(service, way, body, token, 1)
    before, begun = thread_cpu_s(service.pid), time.perf_counter()
    await send(service, way, body, token, requests)
    spent = thread_cpu_s(service.pid) - before
    wall = time.perf_counter() - begun
    found = count(service, token)
    return Found(**found, cpu_ms=spent / requests * 1000, wall_ms=wall / requests * 1000)


async def answer(requests: int, sizes: list[str], ways: list[Way]) -> None:
    """Print the table."""
    async with running_service() as service:
        print(
            f"{'':10} {'size':>7} {'gateway':>8} {'guardian':>8} {'zygote':>7} {'spare':>6}"
            f" {'gateway CPU ms':>15} {'wall ms':>8}"
        )
        for way in ways:
            for size in sizes:
                found = await measure(service, way, SIZES[size], requests)
                print(
                    f"{way.name:10} {size:>7} {found.gateway:>8} {found.guardian:>8} "
                    f"{found.zygote:>7} {found.spare:>6} {found.cpu_ms:>15.2f} "
                    f"{found.wall_ms:>8.1f}",
                    flush=True,
                )


def main(argv: list[str]) -> None:
    """Answer on the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench residue")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--ways", default=",".join(way.name for way in WAYS))
    given = parser.parse_args(argv)
    ways = [way for way in WAYS if way.name in given.ways.split(",")]
    asyncio.run(answer(given.requests, given.sizes.split(","), ways))
