"""The command line of privacy and of the audit records' heads; and that commands are on record."""

import ast
import json
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from ledger.audit.record import GENESIS, Record
from tests.gateway import command
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

CLI = Path(__file__).parents[2] / "gateway" / "cli"
# What commands may do with the ledger without leaving a record: look.
LOOKS = {
    *("list", "get", "find", "verify", "usage", "counts", "seals", "broken_seals", "audit"),
    *("trial_balance", "open_events", "debts", "entries", "balance", "look", "memberships"),
    # Done by the service itself, by the clock.
    *("seal", "reconcile", "sign_head", "head", "sweep"),
}


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def database(postgres: Server) -> AsyncIterator[str]:
    async with postgres.database() as name:
        yield name


@pytest.fixture(scope="module")
def dsn(postgres: Server, database: str) -> str:
    return postgres.dsn(database)


class Operator:
    """Types commands, and reads what they print."""

    def __init__(self, home: Path, dsn: str) -> None:
        self.home = home
        self.dsn = dsn

    def types(self, *words: str | Path, code: int = 0) -> str:
        environ = {"EPHEMERA__LEDGER__DSN": self.dsn}
        ended = command.run(*words, home=self.home, environ=environ)
        assert ended.returncode == code, ended.stderr
        return ended.stdout.decode()


@pytest.fixture(scope="module")
def operator(home: Path, dsn: str) -> Operator:
    operator = Operator(home, dsn)
    operator.types("accounts", "create", "acme", "--credits", "5")
    return operator


async def test_the_blast_radius_of_a_key_is_its_account_and_what_is_kept_of_it(
    operator: Operator,
) -> None:
    key = operator.types("keys", "create", "acme").split()[0]
    report = json.loads(operator.types("privacy", "blast-radius", "--key", key, "--json"))
    assert report["accounts"] == 1
    (acme,) = report["affected"]
    assert acme["tables"] == {
        "accounts.api_key": 1,
        "accounts.profile": 1,
        "credits.account": 1,
        "credits.entry": 1,
    }
    assert acme["categories"]["money"] == 2
    report = json.loads(
        operator.types(
            *("privacy", "blast-radius", "--key", key, "--from", "2020-01-01", "--json"),
        )
    )
    assert report["accounts"] == 1
    assert "0 accounts" in operator.types(
        "privacy", "blast-radius", "--key", key, "--to", "2020-01-01"
    )


async def test_a_radius_of_an_address_finds_who_came_from_there(
    operator: Operator, dsn: str
) -> None:
    connection = await asyncpg.connect(dsn=dsn)
    await connection.execute("select requests.make_days(current_date, current_date)")
    await connection.execute(
        "insert into requests.record (at, request_id, account_id, method, path, operation, status,"
        " bytes_in, milliseconds, credits, address)"
        " select now(), gen_random_uuid(), id, 'GET', '/', '', 200, 0, 1, 0, '192.0.2.0/24'"
        "   from credits.account"
    )
    await connection.close()
    assert "1 accounts" in operator.types("privacy", "blast-radius", "--address", "192.0.2.7")
    assert "0 accounts" in operator.types("privacy", "blast-radius", "--address", "192.0.3.7")


async def test_a_radius_of_nothing_or_of_an_unknown_key_is_refused(operator: Operator) -> None:
    operator.types("privacy", "blast-radius", code=64)
    operator.types("privacy", "blast-radius", "--key", "nosuchkey000", code=65)
    operator.types("privacy", "blast-radius", "--address", "here", code=64)


async def test_what_retention_did_is_listed(operator: Operator) -> None:
    printed = operator.types("privacy", "retention", "--now")
    assert "people.session" in printed
    operator.types("privacy", "erasures")


@pytest.mark.claim("C-PRIV-11")
async def test_a_chain_that_was_rewritten_as_a_whole_does_not_fit_its_signed_heads(
    operator: Operator, database: str, postgres: Server, tmp_path: Path
) -> None:
    operator.types("keys", "create", "acme")
    operator.types("audit", "sign")
    assert "signed already" in operator.types("audit", "sign")
    noted = tmp_path / "heads.jsonl"
    noted.write_text(operator.types("audit", "heads"))
    assert "1 signed heads" in operator.types("audit", "verify", "--heads", noted)
    books = await asyncpg.connect(dsn=postgres.admin(database))
    await books.execute("set session_replication_role = replica")
    await rewrite(books)
    # The chain alone holds together.
    signed = await books.fetch("select * from audit.head")
    await books.execute("delete from audit.head")
    assert "0 signed heads" in operator.types("audit", "verify")
    # What was given out before does not fit, nor does what stands beside it.
    operator.types("audit", "verify", "--heads", noted, code=65)
    row = dict(signed[0])
    await books.execute("insert into audit.head values ($1, $2, $3, $4, $5)", *row.values())
    operator.types("audit", "verify", code=65)
    # Nor one that somebody else signed for the new chain.
    await books.execute(
        "update audit.head h set hash = r.hash from audit.record r where r.seq = h.seq"
    )
    operator.types("audit", "verify", code=65)
    await books.close()


async def rewrite(books: asyncpg.Connection) -> None:
    """Make the first record say something else, and the chain hold together again."""
    previous = GENESIS
    for row in await books.fetch("select * from audit.record order by seq"):
        facts = {**row, "actor": "uid:4711"} if row["seq"] == 1 else dict(row)
        facts.pop("hash")
        previous = Record(**facts).hash_after(previous)
        await books.execute(
            "update audit.record set actor = $2, hash = $3 where seq = $1",
            *(row["seq"], facts["actor"], previous),
        )


async def test_an_export_that_is_none_is_refused(operator: Operator, tmp_path: Path) -> None:
    operator.types("privacy", "check", tmp_path / "absent.zip", code=66)
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("README.md", "hello")
    operator.types("privacy", "check", tmp_path / "other.zip", code=65)


@pytest.mark.claim("C-PRIV-11")
async def test_every_command_that_changes_something_is_on_record() -> None:
    unrecorded = []
    for path in sorted(CLI.glob("*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.AsyncFunctionDef) and _opens_the_books(function):
                changes = _asked(function) - LOOKS
                if changes and "recorded" not in ast.unparse(function):
                    unrecorded.append(f"{path.name} {function.name}: {', '.join(changes)}")
    assert unrecorded == []


def _opens_the_books(function: ast.AsyncFunctionDef) -> bool:
    return "books(source)" in ast.unparse(function)


def _asked(function: ast.AsyncFunctionDef) -> set[str]:
    """What a command awaits of the ledger, by the last word."""
    return {
        node.value.func.attr
        for node in ast.walk(function)
        if isinstance(node, ast.Await)
        and isinstance(node.value, ast.Call)
        and isinstance(node.value.func, ast.Attribute)
        and ast.unparse(node.value.func).startswith("ledger.")
    }
