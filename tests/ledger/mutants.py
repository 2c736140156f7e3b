"""Is every guard missed when it is gone? `python -m tests.ledger.mutants [part of a name …]`.

Each guard is taken out of a copy of the ledger, and the tests that are named beside it run: one of
them has to fail. A mutant that survives is a guard that can be left out, or a test that is missing.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

ROOT = Path(__file__).parents[2]
CREDITS = "ledger/migrations/0001_credits.sql"
ACCOUNTS = "ledger/migrations/0002_accounts.sql"
RETENTION = "ledger/migrations/0003_retention.sql"
WRITER = "ledger/credits/writer.py"
DEBIT = "ledger/credits/debit.py"
SWEEPER = "ledger/credits/sweeper.py"
BELIEVED = "ledger/accounts/believed.py"
GRANTS = "ledger/grants.sql"
# Several times what the slowest selection of tests takes.
_HANGS_AFTER_S = 150


class Mutant(msgspec.Struct, frozen=True):
    """A guard, how it is taken away, and the tests that miss it."""

    name: str
    file: str
    old: str
    new: str
    tests: str


MUTANTS = [
    Mutant(
        "the turn is taken",
        CREDITS,
        "    lock table credits.turn in share row exclusive mode;\n",
        "",
        "test_concurrency.py",
    ),
    Mutant(
        "the turn is taken before the snapshot",
        CREDITS,
        "    lock table credits.turn in",
        "    perform 1; lock table credits.turn in",
        "test_concurrency.py",
    ),
    Mutant(
        "a batch is serializable",
        CREDITS,
        "    set transaction isolation level serializable;\n",
        "",
        "test_debit.py",
    ),
    Mutant(
        "post insists on serializable",
        CREDITS,
        """begin
    if current_setting('transaction_isolation') <> 'serializable' then
        raise exception 'credits move in SERIALIZABLE transactions only' using errcode = 'LD001';
    end if;

    for""",
        "begin\n    for",
        "test_books.py",
    ),
    Mutant(
        "an entry insists on serializable",
        CREDITS,
        """begin
    if current_setting('transaction_isolation') <> 'serializable' then
        raise exception 'credits move in SERIALIZABLE transactions only' using errcode = 'LD001';
    end if;
    -- The CASE""",
        "begin\n    -- The CASE",
        "test_books.py",
    ),
    Mutant(
        "the chain is checked",
        CREDITS,
        "create trigger entry_chain after insert on credits.entry",
        "create trigger entry_chain after update on credits.entry",
        "test_books.py",
    ),
    Mutant(
        "the chain is compared with the account",
        CREDITS,
        "        or n.is_last and (a.seq, a.balance) is distinct from (n.seq, n.balance_after)\n",
        "",
        "test_books.py",
    ),
    Mutant(
        "entries are unique a conversion",
        CREDITS,
        "create unique index entry_once",
        "create index entry_once",
        "test_books.py",
    ),
    Mutant(
        "references are unique",
        CREDITS,
        "create unique index entry_reference",
        "create index entry_reference",
        "test_books.py",
    ),
    Mutant(
        "a balance is not negative",
        CREDITS,
        "check (balance between 0 and 9007199254740991)",
        "check (balance <= 9007199254740991)",
        "test_books.py",
    ),
    Mutant(
        "a balance has an upper bound",
        CREDITS,
        "check (balance between 0 and 9007199254740991)",
        "check (balance >= 0)",
        "test_accounts.py",
    ),
    Mutant(
        "an entry's balance is not negative",
        CREDITS,
        "balance_after bigint       not null check (balance_after >= 0)",
        "balance_after bigint       not null",
        "test_books.py",
    ),
    Mutant(
        "an entry has the shape of its kind",
        CREDITS,
        "constraint entry_shape check (case kind",
        "constraint entry_shape check (true or case kind",
        "test_books.py",
    ),
    Mutant(
        "an account opens empty",
        CREDITS,
        "check (seq > 0 or balance = 0)",
        "check (true)",
        "test_books.py",
    ),
    Mutant(
        "entries are append-only",
        RETENTION,
        "before update or truncate on credits.entry",
        "before truncate on credits.entry",
        "test_books.py",
    ),
    Mutant(
        "entries stay seven years",
        RETENTION,
        "create trigger entry_kept after delete",
        "create trigger entry_kept after insert",
        "test_books.py test_retention.py",
    ),
    Mutant(
        "accounts stay seven years",
        RETENTION,
        "create trigger account_kept_row before delete",
        "create trigger account_kept_row before insert",
        "test_books.py test_retention.py",
    ),
    Mutant(
        "a debit that is sent again is found",
        CREDITS,
        "if op.debit_seq is not null then   -- made",
        "if false then   -- made",
        "test_interruption.py test_model.py",
    ),
    Mutant(
        "a refund wins over a settle of its batch",
        CREDITS,
        "if op.kind = 'settle' and op.refund_too then",
        "if false then",
        "test_concurrency.py test_model.py",
    ),
    Mutant(
        "a refund gives the key back",
        CREDITS,
        "           and k.conversion_id = c.conversion_id;\n",
        "           and false;\n",
        "test_idempotency.py",
    ),
    Mutant(
        "a key is compared with its request",
        CREDITS,
        "case when op.key_fingerprint <> op.fingerprint then 'key_mismatch'\n",
        "case when false then 'key_mismatch'\n",
        "test_idempotency.py",
    ),
    Mutant(
        "a key of this batch is in flight",
        CREDITS,
        "elsif op.key is not null and op.key_first_at < op.at then",
        "elsif false then",
        "test_idempotency.py test_model.py",
    ),
    Mutant(
        "only a leased gateway debits",
        CREDITS,
        "elsif not leased then",
        "elsif false then",
        "test_lease.py",
    ),
    Mutant(
        "a frozen account spends nothing",
        CREDITS,
        "elsif op.status <> 'active' then",
        "elsif false then",
        "test_debit.py",
    ),
    Mutant(
        "plans do not depend on the tables' size",
        CREDITS,
        "set enable_seqscan = off set enable_material = off\n",
        "",
        "test_books.py",
    ),
    Mutant(
        "leases get a term after a restart",
        SWEEPER,
        " and pg_postmaster_start_time() < now() - $1::interval",
        " and $1::interval is not null",
        "test_lease.py",
    ),
    Mutant(
        "stale leases are revoked",
        SWEEPER,
        "where expires_at < now() and",
        "where false and",
        "test_lease.py",
    ),
    Mutant(
        "deadlines count", SWEEPER, "where deadline < now()\n", "where false\n", "test_debit.py"
    ),
    Mutant(
        "a lost batch is sent again",
        WRITER,
        "                self._disconnect(connection)\n                continue",
        "                self._disconnect(connection)\n"
        "                for ticket in batch:\n                    ticket.fail(unavailable())",
        "test_interruption.py",
    ),
    Mutant(
        "an interrupted debit is followed by its refund",
        WRITER,
        "        if operation.kind is Kind.DEBIT and ticket.sent:",
        "        if False:",
        "test_interruption.py",
    ),
    Mutant(
        "nobody waits for a refund that cannot be delivered",
        WRITER,
        "            ticket.resolve(Outcome(Status.LATER))\n        return True",
        "            pass\n        return True",
        "test_interruption.py",
    ),
    Mutant(
        "what nobody foresaw does not end the writer",
        WRITER,
        "except Exception:  # noqa: BLE001",
        "except ZeroDivisionError:  # noqa: BLE001",
        "test_fault_points.py",
    ),
    Mutant(
        "a batch that failed in an unforeseen way is sent again",
        WRITER,
        "                if not failed:\n",
        "                if False:\n",
        "test_fault_points.py",
    ),
    Mutant(
        "a debit that cannot be answered is followed by its refund",
        WRITER,
        "        if batch[0].operation.kind is Kind.DEBIT:\n",
        "        if False:\n",
        "test_fault_points.py",
    ),
    Mutant(
        "a refused operation is isolated",
        WRITER,
        "        if len(batch) > 1:\n",
        "        if False:\n",
        "test_accounts.py",
    ),
    Mutant(
        "the queue is bounded",
        WRITER,
        "if len(self._queue) >= self._queue_max:",
        "if False:",
        "test_concurrency.py",
    ),
    Mutant(
        "a queued debit can be withdrawn",
        WRITER,
        "        ticket.withdrawn = not ticket.sent\n",
        "        ticket.withdrawn = True\n",
        "test_debit.py",
    ),
    Mutant(
        "a cancelled debit is taken back",
        DEBIT,
        "                await uninterrupted(self._take_back(ticket))\n",
        "                pass\n",
        "test_debit.py",
    ),
    Mutant(
        "a settle survives cancellation",
        DEBIT,
        "outcome = await uninterrupted(self._settle())",
        "outcome = await self._settle()",
        "test_debit.py test_interruption.py",
    ),
    Mutant(
        "a revocation is announced",
        ACCOUNTS,
        "    perform pg_notify('ephemera_keys', '');\n",
        "",
        "test_keys.py",
    ),
    Mutant(
        "a listener that was cut off forgets",
        BELIEVED,
        "        self.now = now\n        # What was announced in between was not heard.\n"
        "        self.forget()\n",
        "        self.now = now\n",
        "test_interruption.py",
    ),
    Mutant(
        "the service may not write entries",
        GRANTS,
        "grant update on credits.turn",
        "grant update on credits.entry, credits.turn",
        "test_roles.py",
    ),
    Mutant(
        "an account is opened by its id alone",
        GRANTS,
        "grant insert (id) on",
        "grant insert on",
        "test_roles.py",
    ),
]


def survives(mutant: Mutant, tree: Path) -> bool:
    """Apply the mutant to the tree, run its tests, and take it back."""
    file = tree / mutant.file
    original = file.read_text(encoding="utf-8")
    if mutant.old not in original:
        raise SystemExit(f"{mutant.name}: {mutant.file} no longer has {mutant.old!r}")
    file.write_text(original.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        finished = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-x", "-q"),
                *(f"tests/ledger/{name}" for name in mutant.tests.split()),
            ],
            check=False,
            capture_output=True,
            cwd=tree,
            timeout=_HANGS_AFTER_S,
            env=os.environ | {"PYTHONPATH": str(tree), "EPHEMERA_NO_SHRINK": "1"},
        )
    except subprocess.TimeoutExpired:
        return False  # it hangs: noticed
    finally:
        file.write_text(original, encoding="utf-8")
    return finished.returncode == 0


def main(wanted: list[str]) -> int:
    """Try the mutants whose names contain one of `wanted`, all without; 1 if any survives."""
    chosen = [m for m in MUTANTS if not wanted or any(part in m.name for part in wanted)]
    alive = 0
    with tempfile.TemporaryDirectory(prefix="eph-mutants-") as folder:
        tree = Path(folder)
        ignore = shutil.ignore_patterns("__pycache__")
        for part in ("ledger", "tests"):
            shutil.copytree(ROOT / part, tree / part, ignore=ignore)
        shutil.copy(ROOT / "pyproject.toml", tree)
        for mutant in chosen:
            lives = survives(mutant, tree)
            alive += lives
            print("SURVIVES" if lives else "killed  ", mutant.name, flush=True)  # noqa: T201
    print(f"{len(chosen) - alive} of {len(chosen)} mutants killed")  # noqa: T201
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
