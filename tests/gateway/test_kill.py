"""kill -9 of the gateway at every stage of a conversion's life: no credit is lost, none is kept."""

import asyncio
import signal
from collections import Counter
from pathlib import Path

import aiohttp
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

NOTHING: tuple[str, ...] = ()
KEPT = ("consumption",)
REFUNDED = ("consumption", "refund")
# What may be in the books of a conversion whose gateway died at this stage, after the sweep.
ALLOWED: dict[Stage, set[tuple[str, ...]]] = {stage: {REFUNDED} for stage in Stage} | {
    Stage.RECEIVED: {NOTHING},
    Stage.AUTHENTICATED: {NOTHING},
    Stage.READ: {NOTHING},
    Stage.PLANNED: {NOTHING},
    Stage.DEBITING: {NOTHING},
    Stage.SETTLED: {KEPT},
}


# Where a file that passed into a worker while it arrived takes another way than a small one.
PASSED_ON = (Stage.READ, Stage.DEBITED, Stage.CONVERTING, Stage.RESPONDING, Stage.DELIVERED)


@pytest.mark.parametrize(
    ("path", "body", "stages"),
    [
        pytest.param("png/webp", picture(), tuple(Stage), id="gathered"),
        pytest.param("bmp/webp", picture("BMP", 1000, 700), PASSED_ON, id="passed on"),
    ],
)
async def test_a_killed_gateway_leaves_exact_books_at_every_stage(
    postgres: Server, path: str, body: bytes, stages: tuple[Stage, ...]
) -> None:
    async with postgres.database() as name:
        with private_home() as home:
            dsn = postgres.dsn(name)
            settings = LedgerSettings(dsn=dsn, pepper=PEPPER.encode(), lease_s=LEASE_S)
            async with Ledger.connect(settings) as ledger:
                accounts = {
                    stage: await _die_at(stage, ledger, home, dsn, path, body) for stage in stages
                }
                # This process is the other gateway whose sweeper finds what the dead ones left.
                async with asyncio.timeout(180):
                    while (await ledger.trial_balance()).open_debits:  # noqa: ASYNC110 -- in the database
                        await asyncio.sleep(0.05)
                assert await ledger.audit() == []
                for stage, account_id in accounts.items():
                    entries = list(reversed(await ledger.entries(account_id)))
                    kinds = tuple(entry.kind for entry in entries[1:])
                    assert kinds in ALLOWED[stage], (stage, kinds)
                    balance = await ledger.balance(account_id)
                    assert balance == OPENING - (kinds == KEPT), stage


# The first file of a batch to come here takes the gateway along; the others are wherever they are.
BATCH_STAGES = (Stage.DEBITED, Stage.CONVERTED, Stage.RESPONDING, Stage.DELIVERED)


async def test_a_killed_gateway_keeps_nothing_of_a_batch(postgres: Server) -> None:
    async with postgres.database() as name:
        with private_home() as home:
            dsn = postgres.dsn(name)
            settings = LedgerSettings(dsn=dsn, pepper=PEPPER.encode(), lease_s=LEASE_S)
            async with Ledger.connect(settings) as ledger:
                accounts = {
                    stage: await _die_at(stage, ledger, home, dsn, "png/webp", picture(), files=3)
                    for stage in BATCH_STAGES
                }
                async with asyncio.timeout(180):
                    while (await ledger.trial_balance()).open_debits:  # noqa: ASYNC110 -- in the database
                        await asyncio.sleep(0.05)
                assert await ledger.audit() == []
                for stage, account_id in accounts.items():
                    kinds = Counter(entry.kind for entry in await ledger.entries(account_id))
                    assert kinds["consumption"] == kinds["refund"] >= 1, stage
                    assert await ledger.balance(account_id) == OPENING, stage


async def _die_at(  # noqa: PLR0917 -- one death, each of its circumstances named
    stage: Stage, ledger: Ledger, home: Path, dsn: str, path: str, upload: bytes, *, files: int = 0
) -> int:
    """Convert with a gateway that is killed at the stage; gives the account that paid.

    With `files`, so many of them as one batch.
    """
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
        surface = "batch" if files else "convert"
        body = await _convert(f"{service.url}/v1/{surface}/{path}", key.secret, upload, files)
        if stage is Stage.SETTLED:
            assert body is not None
        if body is not None and not files:
            assert opened(body).format == "WEBP"
        assert await asyncio.to_thread(service.process.wait, 180) == -signal.SIGKILL
    return account.id


async def _convert(url: str, key: str, upload: bytes, files: int) -> bytes | None:
    """The result, or None where the connection died first."""
    headers = {"Authorization": f"Bearer {key}"}
    data: bytes | aiohttp.FormData = upload
    if files:
        data = aiohttp.FormData()
        for number in range(files):
            data.add_field("file", upload, filename=f"{number}.png")
    try:
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(url, data=data) as response,
        ):
            return await response.read()
    except aiohttp.ClientError:
        return None
