"""kill -9 around a stored result: it is readable or refunded, never both lost and charged."""

import asyncio
import signal
from pathlib import Path

import aiohttp
import msgspec
import pytest

from gateway.stages import Stage
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.gateway.command import serving
from tests.gateway.samples import opened, picture
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

PEPPER = "a pepper for tests, not a secret"
LEASE_S = 1.0
OPENING = 100
# Where the gateway dies: is the result's handle with the client, and what was it charged?
DEATHS = {
    Stage.RESPONDING: (False, 0),  # stored; nobody knows the handle
    Stage.DELIVERED: (True, 0),  # the handle is out, the debit is open: given away
    Stage.SETTLED: (True, 1),
}


async def test_a_killed_gateway_leaves_a_stored_result_readable_or_refunded(
    postgres: Server,
) -> None:
    async with postgres.database() as name:
        with private_home() as home:
            dsn = postgres.dsn(name)
            settings = LedgerSettings(dsn=dsn, pepper=PEPPER.encode(), lease_s=LEASE_S)
            async with Ledger.connect(settings) as ledger:
                left = {stage: await _die_at(stage, ledger, home, dsn) for stage in DEATHS}
                # This process is the other gateway whose sweeper finds what the dead ones left.
                async with asyncio.timeout(180):
                    while (await ledger.trial_balance()).open_debits:  # noqa: ASYNC110 -- in the database
                        await asyncio.sleep(0.05)
                assert await ledger.audit() == []
                for stage, (account_id, handle) in left.items():
                    known, charged = DEATHS[stage]
                    assert (handle is not None) == known, stage
                    assert await ledger.balance(account_id) == OPENING - charged, stage
                    if handle is not None:
                        file = await ledger.files.open(handle, account_id)
                        body = b"".join([bytes(piece) async for piece in file.pieces()])
                        assert opened(body).format == "WEBP", stage
                # What nobody has a handle to goes with the rest when its time is over.
                await ledger._database.value("update files.file set expires_at = now()")
                await ledger.file_sweeper.sweep()
                for table in ("file", "half", "chunk"):
                    assert not await ledger._database.value(f"select count(*) from files.{table}")  # noqa: S608


async def _die_at(stage: Stage, ledger: Ledger, home: Path, dsn: str) -> tuple[int, str | None]:
    """Store a result with a gateway that is killed at the stage; the account, and its handle."""
    account = await ledger.accounts.create(f"killed at {stage}", OPENING)
    key = await ledger.keys.create(account.id, "test")
    with serving(
        home,
        stage,
        program="tests.gateway.killed_at",
        EPHEMERA__SERVER__PORT="0",
        EPHEMERA__LEDGER__DSN=dsn,
        EPHEMERA__LEDGER__PEPPER=PEPPER,
        EPHEMERA__LEDGER__LEASE_S=str(LEASE_S),
    ) as service:
        answer = await _stored(f"{service.url}/v1/convert/png/webp?store=true", key.secret)
        assert await asyncio.to_thread(service.process.wait, 180) == -signal.SIGKILL
    return account.id, msgspec.json.decode(answer)["handle"] if answer else None


async def _stored(url: str, key: str) -> bytes | None:
    """The answer, or None where the connection died first."""
    headers = {"Authorization": f"Bearer {key}"}
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, data=picture()) as response,
        ):
            return await response.read()
    except aiohttp.ClientError:
        return None
