"""`ephemera mail`: dead letters are seen and tried again, and a test says what is wrong."""

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.cli.mail import ADVICE
from gateway.mail.smtp import REASONS
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.gateway.mail_server import HOST, Authority, Desk, serving
from tests.gateway.persons import KEK, PEPPER
from tests.gateway.test_cli_keys import Operator
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADA = "ada@example.org"


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        (home / "pepper").write_bytes(PEPPER)
        (home / "kek").write_text(KEK.hex())
        yield home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dsn(postgres: Server) -> AsyncIterator[str]:
    async with postgres.database() as name:
        yield postgres.dsn(name)


@pytest.fixture(scope="module")
def operator(home: Path, dsn: str) -> Iterator[Operator]:
    operator = Operator(home, dsn)
    yield operator
    operator.close()


async def test_dead_letters_are_seen_without_what_they_say_and_tried_again(
    operator: Operator, dsn: str
) -> None:
    at = {"at": "2026-11-20T12:00+00:00"}
    async with Ledger.connect(LedgerSettings(dsn=dsn, pepper=PEPPER, keks=(KEK,))) as ledger:
        for error in ("refused", "tls"):
            await ledger.mail.queue(None, "password_changed", ADA, at)
            [letter] = await ledger.mail.claim(1)
            await ledger.mail.give_up(letter, error, 550)
        rows = operator.rows("mail", "list")
        assert [row[1:6] for row in rows] == [
            ["password_changed", "dead", "1", "tls", "550"],
            ["password_changed", "dead", "1", "refused", "550"],
        ]
        assert ADA not in str(rows)
        assert operator.rows("mail", "retry", rows[0][0]) == [["1 mail is tried again"]]
        assert operator.rows("mail", "retry") == [["1 mail is tried again"]]
        operator.rows("mail", "retry", rows[0][0], code=65)
        assert operator.rows("mail", "list") == []
        assert len(operator.rows("mail", "list", "--state", "waiting")) == 2
        assert len(await ledger.mail.claim(10)) == 2


async def test_a_test_goes_out_at_once_or_says_what_to_look_at(
    operator: Operator, tmp_path: Path
) -> None:
    desk, authority = Desk(), Authority(tmp_path)
    settings = tmp_path / "ephemera.toml"

    def configure(port: int, ca_file: str = "") -> None:
        settings.write_text(
            f'[mail]\nbackend = "smtp"\nhost = "{HOST}"\nport = {port}\nca_file = "{ca_file}"\n'
        )

    with serving(desk, authority.context) as port:
        configure(port, str(authority.file))
        operator.rows("mail", "test", ADA, "--config", str(settings))
        assert [one.to for one in desk.arrived] == [[ADA]]
        desk.to_recipient[ADA] = "550 no"
        operator.rows("mail", "test", ADA, "--config", str(settings), code=65)
        configure(port)
        operator.rows("mail", "test", ADA, "--config", str(settings), code=69)
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        configure(nobody.getsockname()[1])
        operator.rows("mail", "test", ADA, "--config", str(settings), code=69)
    operator.rows("mail", "test", "no address", "--config", str(settings), code=65)


async def test_every_reason_that_a_mail_fails_for_has_an_advice() -> None:
    assert {reason for _, reason in REASONS} <= ADVICE.keys()
