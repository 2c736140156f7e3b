"""Does the service stay whole through minutes of conversions, faults and bad clients?

Clients send files of every family, and everything a bad client sends: garbage, bodies beyond the
limit, uploads that dribble or stop, connections cut at any moment. Meanwhile workers are killed and
zygotes are killed and stopped. At the end every request must have had an answer that is allowed,
nothing may have leaked, and the books must be exact.
"""

import argparse
import asyncio
import collections
import contextlib
import io
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import msgspec
import uvloop

from bench import books, corpus, processes
from bench.service import Service, running_service

FILES = Path(__file__).parents[1] / "tests" / "files"
UPLOAD_BYTES_MAX = 4 * 2**20
STALL_S = 1.0
# Limits within a client's patience, so that bad clients get their answers during the soak.
SETTINGS = {
    "EPHEMERA__UPLOAD__BYTES_MAX": str(UPLOAD_BYTES_MAX),
    "EPHEMERA__UPLOAD__STALL_S": str(STALL_S),
}
# The longest honest way: a place in the line, a replaced zygote, a slow picture on a busy machine.
PATIENCE_S = 90.0
CLIENTS = 8
PROGRESS_S = 15.0
WARM_UP = 150
# A stopped zygote takes seconds to be found out: fewer of those, or nothing else would run.
FAULTS = {"worker killed": 0.80, "zygote killed": 0.14, "zygote stopped": 0.06}
FAULT_EVERY_S = (0.1, 0.9)
# What the allocator keeps after a burst is no leak; what grows with the number of requests is.
GROWTH_MIB_MAX = 96.0
DESCRIPTORS_MAX = 8

# A good file may meet a fault of the machine, but no other end.
HONEST = {"200", "503 engine-unavailable", "503 busy", "422 conversion-crashed"}
HUNG_UP = "client hung up"


class Sort(msgspec.Struct, frozen=True):
    """One sort of client: how often it comes, what it does, and which ends are right."""

    name: str
    weight: float
    act: Callable[[], Awaitable[str]]
    allowed: set[str]


class Tally(msgspec.Struct):
    """What happened so far."""

    ends: collections.Counter[tuple[str, str]] = msgspec.field(default_factory=collections.Counter)
    faults: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)
    wrong: list[str] = msgspec.field(default_factory=list)

    @property
    def delivered(self) -> int:
        """Conversions whose result a client has read to its end."""
        return sum(count for (_, end), count in self.ends.items() if end == "200")

    @property
    def cut(self) -> int:
        """Connections that a client cut: they may or may not have had everything."""
        return sum(count for (_, end), count in self.ends.items() if end == HUNG_UP)


class Crowd:
    """All clients. One chance for everything, so that a seed repeats the sequence of asking."""

    def __init__(self, service: Service, session: aiohttp.ClientSession, seed: int) -> None:
        self._service = service
        self._session = session
        self._chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._bearer = {"Authorization": f"Bearer {service.key}"}
        self._good = list(_good_requests())
        self.tally = Tally()
        self.sorts = [
            Sort("good", 10, self.good, HONEST),
            Sort("photograph", 2, self.photograph, HONEST),
            Sort("garbage", 1, self.garbage, {"422 file-mismatch", "422 file-unrecognised"}),
            Sort("cut short", 1, self.cut_short, {"422 file-unreadable", *HONEST}),
            Sort("wrong key", 0.5, self.wrong_key, {"401 key-refused"}),
            Sort("oversize", 0.5, self.oversize, {"413 upload-too-large"}),
            # It passes into a worker before it turns out, and workers are killed here.
            Sort(
                "oversize unsaid",
                0.5,
                self.oversize_unsaid,
                {"413 upload-too-large", *HONEST - {"200"}},
            ),
            Sort("slow upload", 0.5, self.slow_upload, HONEST),
            Sort("stalled upload", 0.3, self.stalled_upload, {"408 upload-too-slow"}),
            Sort("hang-up", 2, self.hang_up, {HUNG_UP}),
        ]

    async def stay(self, until: float) -> None:
        """One client: ask, look at the answer, ask again."""
        while time.monotonic() < until:
            sort = self._chance.choices(self.sorts, [one.weight for one in self.sorts])[0]
            await self.visit(sort)

    async def visit(self, sort: Sort) -> None:
        """One request of one sort."""
        try:
            end = await sort.act()
        except (aiohttp.ClientError, TimeoutError, OSError, EOFError) as error:
            end = f"no answer ({type(error).__name__})"
        self.tally.ends[sort.name, end] += 1
        if end not in sort.allowed:
            self.tally.wrong.append(f"{sort.name}: {end}")

    async def good(self) -> str:
        """A small file of any family."""
        path, make = self._chance.choice(self._good)
        return await self._post(path, make())

    async def photograph(self) -> str:
        """Work for a tenth of a second."""
        return await self._post("jpeg/jpeg?width=400", corpus.jpeg_1mp())

    async def garbage(self) -> str:
        """Bytes that are nothing."""
        return await self._post("png/webp", self._chance.randbytes(self._chance.randint(1, 5000)))

    async def cut_short(self) -> str:
        """A picture without its second half."""
        whole = (FILES / "photo.png").read_bytes()
        return await self._post("png/webp", whole[: self._chance.randint(60, len(whole) // 2)])

    async def wrong_key(self) -> str:
        """Somebody who is not a customer."""
        return await self._post("png/webp", b"x", {"Authorization": "Bearer eph_live_nobody"})

    async def oversize(self) -> str:
        """A body that says that it is too large."""
        return await self._post("png/webp", bytes(UPLOAD_BYTES_MAX + 1))

    async def oversize_unsaid(self) -> str:
        """One that only turns out to be."""

        async def chunks() -> AsyncIterator[bytes]:
            yield (FILES / "photo.png").read_bytes()
            for _ in range(UPLOAD_BYTES_MAX // 2**18 + 1):
                yield bytes(2**18)

        return await self._post("png/webp", chunks())

    async def slow_upload(self) -> str:
        """A picture in small pieces with pauses."""
        body, pieces = (FILES / "photo.png").read_bytes(), self._chance.randint(3, 8)

        async def chunks() -> AsyncIterator[bytes]:
            size = len(body) // pieces + 1
            for begin in range(0, len(body), size):
                yield body[begin : begin + size]
                await asyncio.sleep(self._chance.uniform(0.01, STALL_S / 5))

        return await self._post("png/webp?width=64", chunks())

    async def stalled_upload(self) -> str:
        """A client that stops sending and waits."""
        reader, writer = await self._connect()
        try:
            writer.write(self._head("png/webp", 1000) + corpus.png_64px()[:500])
            async with asyncio.timeout(PATIENCE_S):
                status = (await reader.readuntil(b"\r\n")).split()[1].decode()
                await reader.readuntil(b"\r\n\r\n")
                code = msgspec.json.decode(await reader.readuntil(b"}"))["code"]
            return f"{status} {code}"
        finally:
            writer.transport.abort()

    async def hang_up(self) -> str:
        """A client that is gone after some bytes up, or some time, or some bytes down."""
        reader, writer = await self._connect()
        body = corpus.jpeg_1mp()
        try:
            writer.write(self._head("jpeg/bmp", len(body)))
            match self._chance.randrange(3):
                case 0:
                    writer.write(body[: self._chance.randrange(len(body))])
                    await writer.drain()
                case 1:
                    writer.write(body)
                    await asyncio.sleep(self._chance.uniform(0, 0.3))
                case _:
                    writer.write(body)
                    async with asyncio.timeout(PATIENCE_S):
                        await reader.read(self._chance.randint(1, 2**20))
        except ConnectionError:
            pass  # the service may be quicker to refuse than we to leave
        finally:
            writer.transport.abort()
        return HUNG_UP

    async def _post(self, path: str, body: object, headers: dict[str, str] | None = None) -> str:
        async with self._session.post(
            f"{self._service.url}/v1/convert/{path}", data=body, headers=headers or self._bearer
        ) as answer:
            content = await answer.read()
        if answer.status == 200:
            return "200"
        return f"{answer.status} {msgspec.json.decode(content)['code']}"

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        where = urlsplit(self._service.url)
        return await asyncio.open_connection(where.hostname, where.port)

    def _head(self, path: str, length: int) -> bytes:
        return (
            f"POST /v1/convert/{path} HTTP/1.1\r\nHost: soak\r\nContent-Length: {length}\r\n"
            f"Authorization: {self._bearer['Authorization']}\r\n\r\n"
        ).encode()


def _good_requests() -> list[tuple[str, Callable[[], object]]]:
    """Small files of every family: the path, and what makes a fresh body."""

    def several(*names: str) -> Callable[[], aiohttp.FormData]:
        bodies = [(FILES / name).read_bytes() for name in names]

        def form() -> aiohttp.FormData:
            made = aiohttp.FormData()
            for number, body in enumerate(bodies):
                made.add_field("file", io.BytesIO(body), filename=f"{number}")
            return made

        return form

    def one(name: str) -> Callable[[], bytes]:
        body = (FILES / name).read_bytes()
        return lambda: body

    return [
        ("png/jpeg", corpus.png_64px),
        ("png/webp", one("alpha.png")),
        ("jpeg/png?width=100", one("photo.jpg")),
        ("auto/avif?width=64", one("photo.jpg")),
        ("gif/webp", one("animation.gif")),
        ("tiff/png?frames=first", one("pages.tiff")),
        ("pdf/txt", one("nine.pdf")),
        ("pdf/pdf?operation=rotate", one("nine.pdf")),
        ("pdf/pdf?operation=split", one("nine.pdf")),
        ("pdf/pdf?operation=merge", several("nine.pdf", "form.pdf")),
        ("jpeg/pdf", several("photo.jpg", "grey.jpg")),
    ]


async def disturb(service: Service, tally: Tally, until: float, seed: int) -> None:
    """Kill and stop what the service is made of, at random moments."""
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret
    while time.monotonic() < until:
        await asyncio.sleep(chance.uniform(*FAULT_EVERY_S))
        fault = chance.choices(list(FAULTS), list(FAULTS.values()))[0]
        victims = (processes.workers if fault == "worker killed" else processes.zygotes)(
            service.pid
        )
        if victims:
            number = signal.SIGSTOP if fault == "zygote stopped" else signal.SIGKILL
            with contextlib.suppress(ProcessLookupError):
                os.kill(chance.choice(victims), number)
                tally.faults[fault] += 1


async def at_rest(service: Service, session: aiohttp.ClientSession) -> processes.Footprint:
    """The service's footprint when nothing is under way and the spares are full again."""
    seen: list[processes.Footprint] = []
    async with asyncio.timeout(PATIENCE_S):
        while True:
            async with session.get(f"{service.url}/status") as answer:
                now = msgspec.json.decode(await answer.read())
            seen.append(processes.footprint(service.pid))
            idle = not now["conversions"] and all(one["up"] for one in now["engine"]["families"])
            # Ten looks in a row at the same processes: nothing comes or goes any more.
            if idle and len({one.processes for one in seen[-10:]}) == 1 and len(seen) >= 10:
                return seen[-1]
            if not idle:
                seen.clear()
            await asyncio.sleep(0.1)


async def progress(tally: Tally, until: float) -> None:
    """A line now and then."""
    while (left := until - time.monotonic()) > 0:
        await asyncio.sleep(min(PROGRESS_S, left))
        print(
            f"{tally.delivered} conversions, {sum(tally.faults.values())} faults, "
            f"{len(tally.wrong)} wrong; {max(0, until - time.monotonic()):.0f} s to go",
            flush=True,
        )


async def soak(arguments: argparse.Namespace) -> int:
    """Run it and judge it."""
    async with (
        running_service(settings=SETTINGS) as service,
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=PATIENCE_S),
        ) as session,
    ):
        crowd = Crowd(service, session, arguments.seed)
        for _ in range(WARM_UP):
            await crowd.visit(crowd.sorts[0])
        before = await at_rest(service, session)
        until = time.monotonic() + 60 * arguments.minutes
        await asyncio.gather(
            *(crowd.stay(until) for _ in range(CLIENTS)),
            disturb(service, crowd.tally, until, arguments.seed),
            progress(crowd.tally, until),
        )
        for _ in range(WARM_UP):  # whatever was broken last is replaced when it is used
            await crowd.visit(crowd.sorts[0])
        after = await at_rest(service, session)
        _judge_leaks(before, after, crowd.tally)
        await _judge_books(service, crowd.tally)
        if "Traceback" in service.log:
            crowd.tally.wrong.append(f"unforeseen errors in the log: {service.log[-3000:]}")
    return _report(crowd.tally, before, after)


def _judge_leaks(before: processes.Footprint, after: processes.Footprint, tally: Tally) -> None:
    if after.processes != before.processes:
        tally.wrong.append(f"processes: {before.processes} before, {after.processes} after")
    if after.descriptors > before.descriptors + DESCRIPTORS_MAX:
        tally.wrong.append(f"descriptors: {before.descriptors} before, {after.descriptors} after")
    if after.gateway_rss_mib > before.gateway_rss_mib + GROWTH_MIB_MAX:
        tally.wrong.append(f"gateway: {before.gateway_rss_mib} > {after.gateway_rss_mib} MiB")


async def _judge_books(service: Service, tally: Tally) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (found := await books.read(service.dsn)).open_debits:  # noqa: ASYNC110 - in a database
            await asyncio.sleep(0.1)
    print(
        f"\nbooks: {found.debits} debits, {found.refunds} refunds, {found.open_debits} open, "
        f"{found.used} credits used; balances {found.balances} = entries {found.booked}"
    )
    if not found.exact:
        tally.wrong.append(f"the books are not exact: {found}")
    if not tally.delivered <= found.used <= tally.delivered + tally.cut:
        tally.wrong.append(f"{tally.delivered} delivered, but {found.used} credits used")


def _report(tally: Tally, before: processes.Footprint, after: processes.Footprint) -> int:
    print(f"faults: {dict(tally.faults)}")
    print(f"\n{'client':16} {'answer':28} {'count':>8}")
    for (name, end), count in sorted(tally.ends.items()):
        print(f"{name:16} {end:28} {count:8}")
    print(f"\n{'':8} {'processes':>10} {'descriptors':>12} {'RSS MiB':>9} {'of gateway':>11}")
    for name, one in (("before", before), ("after", after)):
        print(
            f"{name:8} {one.processes:10} {one.descriptors:12} {one.rss_mib:9} "
            f"{one.gateway_rss_mib:11}"
        )
    for line, count in collections.Counter(tally.wrong).items():
        print(f"WRONG: {line} (x{count})")
    print(f"\n{tally.delivered} conversions; {'all held' if not tally.wrong else 'NOT all held'}")
    return 1 if tally.wrong else 0


def main(argv: list[str]) -> int:
    """`python -m bench soak [--minutes 3] [--seed 1]`."""
    parser = argparse.ArgumentParser(prog="python -m bench soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(soak(parser.parse_args(argv)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
