"""`ephemera billing`: an invoice from the terminal, once, refunded, and on record."""

from pathlib import Path

import pytest

from tests.gateway.command import run
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_invoice_is_booked_once_and_refunded(postgres: Server) -> None:
    async with postgres.database() as name:
        with private_home() as home:
            dsn = postgres.dsn(name)

            def ephemera(*arguments: str | Path, code: int = 0) -> list[list[str]]:
                ended = run(*arguments, home=home, environ={"EPHEMERA__LEDGER__DSN": dsn})
                assert ended.returncode == code, ended.stderr.decode()
                return [line.split("\t") for line in ended.stdout.decode().splitlines()]

            [[number, *_]] = ephemera("accounts", "create", "Ada")
            invoice = ("billing", "grant", "Ada", "500", "--invoice", "2027-1", "--paid", "1000")
            for _ in range(2):
                [row] = ephemera(*invoice)
                assert row[:4] == ["manual:invoice:2027-1", number, "500", "10.00 EUR"]
            [row] = ephemera("billing", "refund", "2027-1", "250")
            assert row[4:] == ["2.50 EUR", "125", "0"]
            assert ephemera("billing", "held") == []
            # Nobody else has a list of these.
            ephemera("billing", "reconcile", code=65)
            said = ephemera("audit", "list")
            assert sum("billing-grant" in line for line in said) == 2
