"""Does the ledger lose, keep or double a credit when everything around it is killed at random?

Gateways with many debits in flight, half of them on one account, on one durable PostgreSQL of
their own; faults at random moments; then a checker compares everything that the gateways asked for
and were told with the books. Exits with 1 where anything is wrong.

    python -m bench chaos --debits 1000000 --kills 200 --minutes 20 --seed 1
"""

import argparse
import asyncio
import random
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import msgspec
import uvloop

from bench.chaos_books import closed, judged, opened, there
from bench.chaos_checker import Findings
from bench.chaos_faults import Fault, Storm
from bench.chaos_gateway import GatewaySettings
from bench.chaos_proxy import proxied
from ledger.embedded import EmbeddedPostgres
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.settings import LedgerSettings


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How long and how hard. It ends with both numbers reached, or when the minutes are over."""

    debits: int = 20_000
    kills: int = 10
    minutes: float = 2.0
    seed: int = 1
    gateways: int = 3
    in_flight: int = 128
    accounts: int = 200
    # Short, so that pauses outlive it; a beat and a sweep come every third of it.
    lease_s: float = 5.0
    # False where the machine shall not be asked for its disk: a SIGKILL cannot tell the difference.
    durable: bool = True


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to the ledger, and what it made of it."""

    plan: Plan
    faults: dict[str, int]
    kills: int
    elapsed_s: float
    # From the last kill of all gateways to the last refund of what they left open.
    swept_s: float
    # Of the ledger's own audit.
    audit: list[str]
    findings: Findings

    @property
    def right(self) -> bool:
        """Say whether nothing at all is wrong, and all was done that was asked for."""
        return self.findings.right and not self.audit

    @property
    def enough(self) -> bool:
        """Say whether the run was as long as was asked for."""
        return self.findings.debits >= self.plan.debits and self.kills >= self.plan.kills


async def run(plan: Plan, folder: Path) -> Result:
    """Do it all in a folder that is ours; what is left in it afterwards is for whoever looks."""
    loop = asyncio.get_running_loop()
    logs, socket = folder / "logs", folder / "net"
    for made in (logs, socket):
        made.mkdir()
    async with EmbeddedPostgres(folder / "home", durable=plan.durable) as postgres:
        await migrate(postgres.dsn)
        settings = LedgerSettings(
            dsn=postgres.dsn, pepper=b"a pepper for chaos, no secret", lease_s=plan.lease_s
        )
        async with Ledger.connect(settings) as ledger:
            accounts = await opened(ledger, plan.accounts, logs / "opening")
        chance = random.Random(plan.seed)  # noqa: S311 (repeatable, not secret)
        parts = urlsplit(postgres.dsn)
        async with proxied(Path(parse_qs(parts.query)["host"][0]), socket, chance) as proxy:
            gateway = GatewaySettings(
                dsn=parts._replace(query=f"host={quote(str(socket))}").geturl(),
                log="",
                accounts=accounts,
                in_flight=plan.in_flight,
                lease_s=plan.lease_s,
                seed=plan.seed,
            )
            storm = Storm(postgres, proxy, gateway, logs, chance)
            started = loop.time()
            await storm.rage(
                plan.gateways, debits=plan.debits, kills=plan.kills, minutes=plan.minutes
            )
            elapsed_s = loop.time() - started
        killed_at = loop.time()
        await there(postgres.dsn)
        async with Ledger.connect(settings) as ledger:
            await closed(ledger)
            swept_s = loop.time() - killed_at
            audit = [str(violation) for violation in await ledger.audit()]
        findings = await judged(postgres.dsn, logs, storm.deaths)
    return Result(
        plan=plan,
        faults={fault.value: storm.faults[fault] for fault in Fault} | proxy_cuts(storm),
        kills=storm.kills,
        elapsed_s=elapsed_s,
        swept_s=swept_s,
        audit=audit,
        findings=findings,
    )


def proxy_cuts(storm: Storm) -> dict[str, int]:
    """What the cuts came to: a cut that was ordered needs traffic to happen."""
    return {loss.value: count for loss, count in storm.proxy.cuts.items()}


def report(result: Result) -> str:
    """Give what is to be known of a run."""
    found = result.findings
    orphans = sorted(found.orphan_s)
    lines = [
        (
            f"{found.debits:,} debits, {found.entries:,} entries, {found.delivered:,} delivered"
            f" in {result.elapsed_s:.0f} s; seed {result.plan.seed}"
        ),
        f"{result.kills} SIGKILLs; faults: "
        + ", ".join(f"{name} {count}" for name, count in result.faults.items()),
    ]
    if orphans:
        lines.append(
            f"left open by killed gateways: {len(orphans):,} debits, refunded after"
            f" {orphans[len(orphans) // 2]:.1f} s (p50), {orphans[int(len(orphans) * 0.99)]:.1f} s"
            f" (p99), {orphans[-1]:.1f} s (max) with a lease of {result.plan.lease_s:.0f} s"
        )
    lines += [
        f"refunded under gateways that were paused or cut off: {found.lapsed:,}",
        f"delivered and not charged, the gateway ended before its settle: {found.given_away:,}",
        f"all open debits refunded {result.swept_s:.1f} s after the last gateway was killed",
        *(f"WRONG: {example}" for example in (*found.examples, *result.audit)),
        (
            f"violations: {found.violations.total() + len(result.audit)}"
            f"   credits lost: {found.credits_lost}   credits kept: {found.credits_kept}"
        ),
    ]
    return "\n".join(lines)


def main(argv: list[str]) -> int:
    """Run it and print what came of it; 1 where anything is wrong, or less was done than asked."""
    parser = argparse.ArgumentParser(prog="python -m bench chaos")
    default = Plan()
    parser.add_argument("--debits", type=int, default=default.debits)
    parser.add_argument("--kills", type=int, default=default.kills)
    parser.add_argument("--minutes", type=float, default=default.minutes, help="at most")
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--gateways", type=int, default=default.gateways)
    parser.add_argument("--in-flight", type=int, default=default.in_flight, help="of each gateway")
    plan = Plan(**vars(parser.parse_args(argv)))
    with (
        tempfile.TemporaryDirectory(prefix="eph-chaos-", ignore_cleanup_errors=True) as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        Path(folder).chmod(0o711)  # the server's account passes through
        result = runner.run(run(plan, Path(folder)))
    print(report(result))
    if not result.enough:
        print("the minutes were over before it had done all that was asked for")
    return 0 if result.right and result.enough else 1
