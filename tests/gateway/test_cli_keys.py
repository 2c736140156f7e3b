"""The command line of keys, tokens and the envelope."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from tests.gateway.command import environment
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

# The command itself, in one process for all of these tests: starting Python costs a second.
SHELL = """
import contextlib, io, json, sys
from gateway.cli.command import main
for line in sys.stdin:
    code, printed = 0, io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            main(json.loads(line))
    except SystemExit as end:
        code = int(end.code or 0)
    print(json.dumps([code, printed.getvalue()]), flush=True)
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


class Operator:
    """Types commands, and reads what they print."""

    def __init__(self, home: Path, dsn: str) -> None:
        self.home = home
        self.dsn = dsn
        self._shell = subprocess.Popen(
            [sys.executable, "-c", SHELL],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(home, EPHEMERA__LEDGER__DSN=dsn),
        )

    def rows(self, *words: str, code: int = 0) -> list[list[str]]:
        assert self._shell.stdin
        assert self._shell.stdout
        print(json.dumps(words), file=self._shell.stdin, flush=True)
        ended, printed = json.loads(self._shell.stdout.readline())
        assert ended == code, printed
        return [line.split("\t") for line in printed.splitlines()]

    def close(self) -> None:
        self._shell.communicate()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operator(home: Path, postgres: Server) -> AsyncIterator[Operator]:
    async with postgres.database() as name:
        operator = Operator(home, postgres.dsn(name))
        try:
            operator.rows("accounts", "create", "Ada")
            yield operator
        finally:
            operator.close()


async def test_a_key_is_made_with_rights_and_replaced(operator: Operator) -> None:
    said = ("--scope", "convert", "--operation", "*/pdf", "--address", "192.0.2.0/24")
    limits = ("--day-max", "5", "--month-max", "50", "--days", "30", "--kind", "test")
    [[secret]] = operator.rows("keys", "create", "Ada", *said, *limits)
    assert secret.startswith("eph_test_")
    [[anew]] = operator.rows("keys", "rotate", "Ada", secret[:21], "--overlap-s", "60")
    old, new = operator.rows("keys", "list", "Ada")
    assert (old[0], new[0]) == (secret[:21], anew[:21])
    assert old[2] == new[2] == "convert"
    assert old[4] < new[4]
    assert (new[5], new[6]) == ("-", "-")
    operator.rows("keys", "create", "Ada", "--operation", "nonsense", code=64)
    operator.rows("keys", "rotate", "Ada", secret[:21], "--overlap-s", "999999", code=64)


async def test_the_keys_of_tokens_are_changed_and_tokens_revoked(operator: Operator) -> None:
    first = operator.rows("tokens", "rotate")
    assert sorted(row[1] for row in first) == ["active", "next"]
    second = {row[0]: row[1] for row in operator.rows("tokens", "rotate")}
    assert sorted(second.values()) == ["active", "next", "retired"]
    (coming,) = (row[0] for row in first if row[1] == "next")
    assert second[coming] == "active"
    assert operator.rows("tokens", "revoke", "Ada", "some-token") == [["revoked"]]
    assert operator.rows("tokens", "revoke-all", "Ada") == [["revoked"]]
    books = await asyncpg.connect(dsn=operator.dsn)
    assert await books.fetchval("select jti from accounts.token_ended") == "some-token"
    assert await books.fetchval("select tokens_not_before from accounts.profile") is not None
    await books.close()


async def test_what_is_sealed_is_sealed_anew_with_a_new_key(operator: Operator) -> None:
    operator.rows("keys", "create", "Ada", "--kind", "signing")
    operator.rows("tokens", "rotate")
    before = operator.rows("envelope", "status")
    assert {row[3] for row in before} == {"current"}
    [[said]] = operator.rows("envelope", "new-key", "--keep")
    assert "restart" in said
    assert {row[3] for row in operator.rows("envelope", "status", code=65)} == {"old"}
    assert operator.rows("envelope", "reseal") == [["resealed 3"]]
    assert {row[3] for row in operator.rows("envelope", "status")} == {"current"}
    assert operator.rows("envelope", "reseal") == [["resealed 0"]]
    # The old key is not needed any more.
    kek = operator.home / "kek"
    kek.write_text(kek.read_text().split()[-1])
    operator.rows("tokens", "rotate")
    assert {row[3] for row in operator.rows("envelope", "status")} == {"current"}


async def test_a_key_for_the_operators_own_place_is_printed_and_kept_nowhere(
    operator: Operator,
) -> None:
    before = (operator.home / "kek").read_text()
    [[key]] = operator.rows("envelope", "new-key")
    assert len(bytes.fromhex(key)) == 32
    assert (operator.home / "kek").read_text() == before
