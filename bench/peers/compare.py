"""The comparison: everybody in turn, in rounds, and what the kernel says they spent.

All peers are up at once and idle but for the one that is asked. A round asks each of them at every
concurrency, one after the other, so that what disturbs the machine disturbs all alike; rounds are
added as long as a row's share of the time lasts. Closed loop: so many clients, each sends its next
request when the last one is answered. Open loop: random arrivals at half of what the peer could do.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import msgspec
import uvloop

from bench.load import Shot, closed_loop, open_loop
from bench.peers import inputs, judging, report
from bench.peers.commands import COMMANDS
from bench.peers.fetching import Missing
from bench.peers.inputs import Corpus
from bench.peers.measured import Bare, Cell, Entry, Kind, Outcome, Spent, Turn
from bench.peers.peer import Answer, Ask, Peer
from bench.peers.rows import ROWS, Row
from bench.peers.servers import SERVERS, ours

# Clients of one batch for peers that know no batches.
_BATCH_CLIENTS = 8
# A turn in which every client waits longer than this for its one answer is left out: it would
# take the time of all the others and say no more than the turn before.
_TURN_MAX_S = 6.0
# An open loop of a slow peer is long enough for some arrivals.
_ARRIVALS = 6
# Half of what a peer can do, when it was asked by so many.
_OPEN_SHARE = 0.5
# Reaping, replacing spares, collecting garbage: what a request causes after its answer.
_SETTLE_S = 0.1
_SAMPLE_S = 0.2
_REQUEST_MAX_S = 180.0
# Nobody is refused for who he is or how much he asks: capacity is measured, not policy.
_SETTINGS = {"EPHEMERA__ENGINE__WAITING_MAX": "512"}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of whom, and how long it may take."""

    rows: tuple[Row, ...]
    peers: frozenset[str]
    clients: tuple[int, ...]
    turn_s: float
    total_s: float
    rounds_max: int
    is_open: bool


class Bench:
    """One run: the corpus, the peers that are up, and what was found."""

    def __init__(self, plan: Plan, corpus: Corpus, peers: Sequence[Peer]) -> None:
        self._plan, self._corpus, self._peers = plan, corpus, peers
        self._limit: asyncio.subprocess.Process | None = None

    async def run(self) -> AsyncIterator[Outcome]:
        """The rows, one after the other."""
        end = time.perf_counter() + self._plan.total_s
        for number, row in enumerate(self._plan.rows):
            share = (end - time.perf_counter()) / (len(self._plan.rows) - number)
            if not self._corpus.has(row.files):
                yield Outcome(row=row, entries=[], bare={}, left_out={"all": "no input"})
                continue
            yield await self._row(row, time.perf_counter() + share)
        await self._end_limit()

    async def _row(self, row: Row, end: float) -> Outcome:
        entries, left_out = await self._taking_part(row)
        limits = {how: Bare() for how in ("libraries", "converter")}
        round_s = 0.0
        for done in range(self._plan.rounds_max):
            begun = time.perf_counter()
            if done and begun + round_s > end:
                break
            await self._round(row, entries)
            for how, limit in limits.items():
                await self._bare(row, how, limit)
            round_s = time.perf_counter() - begun
        return Outcome(row=row, entries=entries, bare=limits, left_out=left_out)

    async def _taking_part(self, row: Row) -> tuple[list[Entry], dict[str, str]]:
        entries, left_out = [], {}
        for peer in self._peers:
            if asks := peer.asks(row, self._corpus):
                try:
                    entries.append(await self._first(row, peer, asks))
                except judging.Unlike as reason:
                    left_out[peer.name] = str(reason)
                except judging.CANNOT_LOOK as error:
                    left_out[peer.name] = f"the answer is broken: {type(error).__name__}"
        return entries, left_out

    async def _round(self, row: Row, entries: Sequence[Entry]) -> None:
        for clients in self._clients(row):
            for entry in entries:
                await self._closed(entry, clients)
        if self._plan.is_open and not row.is_batch:
            for entry in entries:
                await self._open(entry)

    def _clients(self, row: Row) -> Sequence[int]:
        return (1,) if row.is_batch else self._plan.clients

    async def _first(self, row: Row, peer: Peer, asks: Sequence[Ask]) -> Entry:
        """Ask once and look at the answer, then once more to be warm. Raises Unlike."""
        answer = await peer.send(asks[0])
        if answer.status != 200:
            said = answer.body.decode(errors="replace").strip().splitlines() or ["nothing"]
            raise judging.Unlike(f"{answer.status}: {said[-1][:100]}")
        wish = judging.Wish(self._corpus, row.files, row.target, row.width)
        likeness = await asyncio.to_thread(row.judge, wish, answer.body)
        warm = await peer.send(asks[0])
        return Entry(
            peer=peer,
            asks=asks,
            results=row.each,
            likeness=likeness,
            # Of a batch the pictures are what counts, and only one of them was asked for.
            output_bytes=0 if row.is_batch else len(answer.body),
            request_s=warm.seconds * len(asks),
        )

    async def _closed(self, entry: Entry, clients: int) -> None:
        expected_s = entry.expected_s(clients)
        if clients > 1 and expected_s > _TURN_MAX_S:
            return
        largest = clients == max(self._plan.clients)
        async with _watched(entry, watch=largest or len(entry.asks) > 1):
            await self._measure(
                entry,
                Kind(clients=clients),
                lambda: closed_loop(lambda: _send(entry), clients, self._plan.turn_s),
            )

    async def _open(self, entry: Entry) -> None:
        rate = _OPEN_SHARE * entry.capacity
        if not rate:
            return
        seconds = min(max(2 * self._plan.turn_s, _ARRIVALS / rate), _TURN_MAX_S)
        await self._measure(
            entry, Kind(clients=0), lambda: open_loop(lambda: _send(entry), rate, seconds)
        )

    async def _measure(self, entry: Entry, kind: Kind, loop: object) -> None:
        cpu_before, begun = entry.peer.cpu_s(), time.perf_counter()
        shots: list[Shot] = await loop()  # type: ignore[operator]
        wall_s = time.perf_counter() - begun
        await asyncio.sleep(_SETTLE_S)
        cell = entry.cells.setdefault(kind, Cell())
        cell.wall_s += wall_s
        cell.cpu_s += entry.peer.cpu_s() - cpu_before
        cell.seconds += [shot.seconds for shot in shots if shot.status == 200]
        cell.failed += Counter(shot.status for shot in shots if shot.status != 200)

    async def _bare(self, row: Row, how: str, limit: Bare) -> None:
        if limit.error:
            return
        if self._limit is None:
            self._limit = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.peers.bare",
                str(self._corpus.folder),
                cwd=Path(__file__).parents[2],
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
            )
        assert self._limit.stdin is not None
        assert self._limit.stdout is not None
        turn = Turn(row.name, how, self._plan.turn_s)
        self._limit.stdin.write(msgspec.json.encode(turn) + b"\n")
        told = await self._limit.stdout.readline()
        if not told:
            limit.error = "the process died"
            await self._end_limit()
            return
        spent = msgspec.json.decode(told, type=Spent)
        limit.error = spent.error
        limit.count += spent.count
        limit.cpu_s += spent.cpu_s
        limit.output_bytes = spent.output_bytes

    async def _end_limit(self) -> None:
        if self._limit is not None:
            assert self._limit.stdin is not None
            self._limit.stdin.close()
            await self._limit.wait()
            self._limit = None


async def _send(entry: Entry) -> Shot:
    """One request, or all of a batch by some clients."""
    if len(entry.asks) == 1:
        return _shot(await entry.peer.send(entry.asks[0]))
    left, begun = iter(entry.asks), time.perf_counter()
    status = 200

    async def client() -> None:
        nonlocal status
        for ask in left:
            answer = await entry.peer.send(ask)
            status = answer.status if answer.status != 200 else status

    await asyncio.gather(*(client() for _ in range(_BATCH_CLIENTS)))
    return Shot(status, time.perf_counter() - begun)


def _shot(answer: Answer) -> Shot:
    return Shot(answer.status, answer.seconds)


@asynccontextmanager
async def _watched(entry: Entry, *, watch: bool) -> AsyncIterator[None]:
    """Look at the peer's memory a few times a second, and keep the most."""

    async def look() -> None:
        while True:
            seen = await asyncio.to_thread(entry.peer.memory_bytes)
            entry.memory_bytes = max(entry.memory_bytes, seen)
            await asyncio.sleep(_SAMPLE_S)

    task = asyncio.create_task(look()) if watch else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def compare(plan: Plan, out: Path | None) -> int:
    """Start everybody, measure, print; 1 where we failed in a row that another one did."""
    corpus = await asyncio.to_thread(inputs.prepared)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=_REQUEST_MAX_S),
            )
        )
        peers: list[Peer] = [*await stack.enter_async_context(ours(session, _SETTINGS))]
        absent = {}
        for name in (*SERVERS, *COMMANDS):
            if name not in plan.peers:
                continue
            try:
                peer: Peer
                if name in SERVERS:
                    peer = await stack.enter_async_context(SERVERS[name](corpus, session))
                else:
                    peer = await stack.enter_async_context(COMMANDS[name](corpus))
                peers.append(peer)
            except Missing as reason:
                absent[name] = str(reason)
        outcomes = []
        print(report.head(peers, absent), flush=True)
        async for outcome in Bench(plan, corpus, peers).run():
            outcomes.append(outcome)
            print(report.row(outcome), flush=True)
    print(report.summary(outcomes), flush=True)
    if out is not None:
        whole = [report.summary(outcomes), *map(report.row, outcomes), report.head(peers, absent)]
        await asyncio.to_thread(out.write_text, "\n".join(whole) + "\n")
    return int(any(outcome.we_failed for outcome in outcomes))


def main(argv: list[str]) -> int:
    """`python -m bench peers [--rows jpeg,webp] [--peers sharp,ipx] [--clients 1,8,64] …`."""
    names, others = [row.name for row in ROWS], [*SERVERS, *COMMANDS]
    parser = argparse.ArgumentParser(prog="python -m bench peers", description=__doc__)
    parser.add_argument("--rows", default=",".join(names), help=", ".join(names))
    parser.add_argument("--peers", default=",".join(others), help=", ".join(others))
    parser.add_argument("--clients", default="1,8,64", help="concurrencies of the closed loop")
    parser.add_argument("--turn", type=float, default=0.6, help="seconds of a peer's turn")
    parser.add_argument("--minutes", type=float, default=8.0, help="for all rows together")
    parser.add_argument("--rounds", type=int, default=9, help="at most so many a row")
    parser.add_argument("--no-open", action="store_true", help="leave the open loop out")
    parser.add_argument("--out", type=Path, help="a file for the tables, as Markdown")
    told = parser.parse_args(argv)
    rows, peers = told.rows.split(","), frozenset(told.peers.split(",")) - {""}
    if unknown := (set(rows) - set(names)) | (peers - set(others)):
        parser.error(f"there is no such row or peer: {', '.join(sorted(unknown))}")
    plan = Plan(
        rows=tuple(row for row in ROWS if row.name in rows),
        peers=peers,
        clients=tuple(int(clients) for clients in told.clients.split(",")),
        turn_s=told.turn,
        total_s=60 * told.minutes,
        rounds_max=told.rounds,
        is_open=not told.no_open,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(compare(plan, told.out))
