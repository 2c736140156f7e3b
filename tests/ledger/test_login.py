"""A database that does not let us in is told apart from one that is not there."""

from pathlib import Path

import asyncpg
import pytest

from ledger.connection import REFUSALS, no_connection
from ledger.errors import DatabaseRefused, LedgerUnavailable
from ledger.ledger import Ledger
from ledger.migrate import migrate
from ledger.settings import LedgerSettings
from tests.postgres import Server


async def open_ledger(dsn: str) -> None:
    async with Ledger.connect(LedgerSettings(dsn=dsn, pepper=bytes(16))):
        pytest.fail("this ledger must not open")


@pytest.mark.parametrize("attempt", [migrate, open_ledger])
async def test_a_wrong_user_or_database_is_refused_with_its_name(
    server: Server, database: str, attempt: object
) -> None:
    assert callable(attempt)
    for dsn, says in (
        (server.dsn("no_such_database"), "no_such_database"),
        (server.dsn(database, "nobody_we_know"), "nobody_we_know"),
    ):
        with pytest.raises(DatabaseRefused, match=says):
            await attempt(dsn)


@pytest.mark.parametrize("attempt", [migrate, open_ledger])
async def test_a_server_that_is_not_there_is_unavailable(attempt: object, tmp_path: Path) -> None:
    assert callable(attempt)
    with pytest.raises(LedgerUnavailable, match="is it running"):
        await attempt(f"postgresql://x@/x?host={tmp_path}")


@pytest.mark.parametrize("attempt", [migrate, open_ledger])
async def test_nonsense_in_the_place_of_a_dsn_is_refused(attempt: object) -> None:
    assert callable(attempt)
    with pytest.raises(DatabaseRefused, match=r"ledger\.dsn"):
        await attempt("mysql://x@/x")


def test_a_wrong_password_is_one_of_the_refusals() -> None:
    assert issubclass(asyncpg.InvalidPasswordError, REFUSALS)
    assert isinstance(no_connection(asyncpg.InvalidPasswordError("x")), DatabaseRefused)


def test_a_server_that_says_nothing_in_time_is_not_an_empty_sentence() -> None:
    assert "did not answer" in str(no_connection(TimeoutError()))
