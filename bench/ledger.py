"""What does batching buy: naive SERIALIZABLE with retry against the ledger, hot and spread?

One cycle is a debit and its settle, all guards on, on a durable embedded server. Naive is what one
writes first: a transaction for each step (read, decide, write), run again when PostgreSQL refuses
it. Both write the same rows of the same tables. Latencies are of the debit, as its caller sees it.

    python -m bench ledger --seconds 2 --in-flight 1,16,64,256 --accounts 1,1000 --processes 1,2,4
"""

import argparse
import asyncio
import itertools
import multiprocessing
import os
import random
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import uvloop

from ledger.conversion_id import new_conversion_id
from ledger.embedded import EmbeddedPostgres
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.settings import LedgerSettings

RICH = 2**40
NAIVE_BACKOFF_S = (0.0005, 0.1)

Debit = Callable[[int], Awaitable[float]]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement: who, on how many accounts, how many at once, from how many processes."""

    design: str
    dsn: str
    accounts: list[int]
    in_flight: int
    connections: int
    seconds: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; over several processes, added up."""

    cycles: int
    latencies_s: list[float]
    retries: int
    elapsed_s: float


class Naive:
    """A transaction a step, straight at the tables, again and again until it is not refused."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self.retries = 0

    async def cycle(self, account_id: int) -> float:
        """Debit and settle one credit; gives the seconds of the debit."""
        started = time.perf_counter()
        conversion_id = new_conversion_id()
        await self._until_accepted(self._debit, account_id, conversion_id)
        taken = time.perf_counter() - started
        await self._until_accepted(self._settle, account_id, conversion_id)
        return taken

    async def _until_accepted(self, step: Callable[..., Awaitable[None]], *what: object) -> None:
        pause_s, pause_max_s = NAIVE_BACKOFF_S
        while not await self._accepted(step, *what):
            self.retries += 1
            await asyncio.sleep(random.random() * pause_s)  # noqa: S311 (not a secret)
            pause_s = min(pause_max_s, pause_s * 2)

    async def _accepted(self, step: Callable[..., Awaitable[None]], *what: object) -> bool:
        try:
            async with (
                self._pool.acquire() as connection,
                connection.transaction(isolation="serializable"),
            ):
                await step(connection, *what)
        except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
            return False
        return True

    @staticmethod
    async def _debit(connection: asyncpg.Connection, account_id: int, conversion_id: Any) -> None:
        row = await connection.fetchrow(
            "select balance, seq from credits.account where id = $1", account_id
        )
        balance, seq = row["balance"] - 1, row["seq"] + 1
        if balance < 0:
            raise RuntimeError("the bench made its accounts too poor")
        await connection.execute(
            "update credits.account set balance = $2, seq = $3 where id = $1",
            *(account_id, balance, seq),
        )
        await connection.execute(
            "insert into credits.entry (account_id, seq, amount, balance_after, created_at, kind,"
            " conversion_id) values ($1, $2, -1, $3, clock_timestamp(), 'consumption', $4)",
            *(account_id, seq, balance, conversion_id),
        )
        await connection.execute(
            "insert into credits.open_debit values ($1, $2, 1, 0, now() + $3, null)",
            *(account_id, conversion_id, timedelta(hours=1)),
        )

    @staticmethod
    async def _settle(connection: asyncpg.Connection, account_id: int, conversion_id: Any) -> None:
        await connection.execute(
            "delete from credits.open_debit where account_id = $1 and conversion_id = $2",
            *(account_id, conversion_id),
        )


async def ours(ledger: Ledger, account_id: int) -> float:
    """Debit and settle one credit; gives the seconds of the debit."""
    started = time.perf_counter()
    async with ledger.debit(account_id, 1, conversion_id=new_conversion_id()):
        return time.perf_counter() - started


async def measure(cell: Cell, barrier: Any) -> Result:
    """Keep `in_flight` cycles under way for the time of the cell."""
    async with AsyncExitStack() as stack:
        naive = None
        if cell.design == "naive":
            pool = await stack.enter_async_context(
                asyncpg.create_pool(cell.dsn, min_size=1, max_size=cell.connections)
            )
            naive = Naive(pool)
            cycle: Debit = naive.cycle
        else:
            settings = LedgerSettings(dsn=cell.dsn, pepper=secrets.token_bytes(32))
            ledger = await stack.enter_async_context(Ledger.connect(settings))

            async def cycle(account_id: int) -> float:
                return await ours(ledger, account_id)

        await asyncio.gather(*(cycle(random.choice(cell.accounts)) for _ in range(cell.in_flight)))  # noqa: S311
        latencies: list[float] = []
        await asyncio.to_thread(barrier.wait)
        started = time.perf_counter()
        ends = started + cell.seconds

        async def client() -> None:
            while time.perf_counter() < ends:
                latencies.append(await cycle(random.choice(cell.accounts)))  # noqa: S311

        await asyncio.gather(*(client() for _ in range(cell.in_flight)))
        return Result(
            cycles=len(latencies),
            latencies_s=latencies,
            retries=naive.retries if naive else 0,
            elapsed_s=time.perf_counter() - started,
        )


def work(cell: Cell, barrier: Any, results: Any) -> None:
    """Be one process of a cell."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        results.put(msgspec.msgpack.encode(runner.run(measure(cell, barrier))))


def run(cell: Cell, processes: int) -> Result:
    """Run a cell in its own processes and add up what they say."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(processes)
    results = context.Queue()
    share = msgspec.structs.replace(
        cell,
        in_flight=max(1, cell.in_flight // processes),
        connections=max(1, cell.connections // processes),
    )
    workers = [
        context.Process(target=work, args=(share, barrier, results)) for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    parts = [msgspec.msgpack.decode(results.get(), type=Result) for _ in workers]
    for worker in workers:
        worker.join()
    return Result(
        cycles=sum(part.cycles for part in parts),
        latencies_s=sorted(itertools.chain.from_iterable(part.latencies_s for part in parts)),
        retries=sum(part.retries for part in parts),
        elapsed_s=max(part.elapsed_s for part in parts),
    )


async def open_accounts(dsn: str, count: int) -> list[int]:
    """Open rich accounts."""
    settings = LedgerSettings(dsn=dsn, pepper=secrets.token_bytes(32))
    async with Ledger.connect(settings) as ledger:
        accounts = [
            await ledger.accounts.create(f"bench {number} {secrets.token_hex(4)}")
            for number in range(count)
        ]
        await asyncio.gather(
            *(ledger.accounts.purchase(account.id, RICH, "bench") for account in accounts)
        )
        return [account.id for account in accounts]


async def rollbacks(dsn: str) -> int:
    """Give the number of transactions that the server has rolled back."""
    connection = await asyncpg.connect(dsn)
    try:
        count: int = await connection.fetchval(
            "select xact_rollback from pg_stat_database where datname = current_database()"
        )
        return count
    finally:
        await connection.close()


async def violations(dsn: str) -> int:
    """Give the number of violations: a fast ledger that is wrong is no ledger."""
    settings = LedgerSettings(dsn=dsn, pepper=secrets.token_bytes(32))
    async with Ledger.connect(settings) as ledger:
        return len(await ledger.audit())


def row(cell: Cell, processes: int, result: Result, refused: int) -> str:
    """Give one line of the table."""
    at = result.latencies_s
    return (
        f"{len(cell.accounts):>8} {cell.in_flight:>9} {processes:>5}  {cell.design:<6}"
        f"{result.cycles / result.elapsed_s:>9.0f}/s"
        f"{at[len(at) // 2] * 1e3:>9.2f} ms{at[int(len(at) * 0.99)] * 1e3:>9.2f} ms"
        f"{refused / max(1, result.cycles):>10.4f}"
    )


def compare(postgres: EmbeddedPostgres, options: argparse.Namespace, runner: asyncio.Runner) -> int:
    """Print the table; gives the number of violations."""
    print(
        f"{'accounts':>8} {'in flight':>9} {'procs':>5}  design      cycles  debit p50    debit p99"
        "  refused/cycle   ratio"
    )
    for count in options.accounts:
        accounts = runner.run(open_accounts(postgres.dsn, count))
        for in_flight, processes in itertools.product(options.in_flight, options.processes):
            if in_flight < processes:
                continue
            rates = {}
            for design in ("naive", "ours"):
                cell = Cell(
                    design=design,
                    dsn=postgres.dsn,
                    accounts=accounts,
                    in_flight=in_flight,
                    connections=options.connections,
                    seconds=options.seconds,
                )
                before = runner.run(rollbacks(postgres.dsn))
                result = run(cell, processes)
                refused = runner.run(rollbacks(postgres.dsn)) - before
                rates[design] = result.cycles / result.elapsed_s
                ratio = f"{rates['ours'] / rates['naive']:>8.1f}x" if design == "ours" else ""
                print(row(cell, processes, result, refused) + ratio, flush=True)
    return runner.run(violations(postgres.dsn))


def numbers(text: str) -> list[int]:
    """Read `1,16,64`."""
    return [int(number) for number in text.split(",")]


def main(argv: list[str]) -> None:
    """Compare both designs cell by cell."""
    parser = argparse.ArgumentParser(prog="bench ledger")
    parser.add_argument("--seconds", type=float, default=1.2, help="of each cell")
    parser.add_argument("--in-flight", type=numbers, default=[1, 16, 64, 256])
    parser.add_argument("--accounts", type=numbers, default=[1, 1000])
    parser.add_argument("--processes", type=numbers, default=[1])
    parser.add_argument("--connections", type=int, default=32, help="of the naive design")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="eph-bench-") as folder, asyncio.Runner() as runner:
        os.chmod(folder, 0o711)  # noqa: PTH101, S103 (the server's account passes through)
        postgres = EmbeddedPostgres(Path(folder) / "home")
        runner.run(postgres.__aenter__())
        try:
            runner.run(migrate(postgres.dsn))
            wrong = compare(postgres, options, runner)
        finally:
            runner.run(postgres.__aexit__(None, None, None))
    print(f"violations: {wrong}")
