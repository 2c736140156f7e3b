"""The command line: accounts, keys, local conversions, looking at a service."""

import io
import json
import os
import pty
import subprocess
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path

import pikepdf
import pytest
import pytest_asyncio

from tests.gateway.command import EPHEMERA, environment, run, serving
from tests.gateway.samples import document, opened, picture
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(loop_scope="session")
async def database(postgres: Server) -> AsyncIterator[dict[str, str]]:
    async with postgres.database() as name:
        yield {"EPHEMERA__LEDGER__DSN": postgres.dsn(name)}


async def test_an_account_is_made_and_given_credits(home: Path, database: dict[str, str]) -> None:
    def lines(*arguments: str) -> list[list[str]]:
        ended = run("accounts", *arguments, home=home, environ=database)
        assert ended.returncode == 0, ended.stderr
        return [line.split("\t") for line in ended.stdout.decode().splitlines()]

    [[number, name, balance]] = lines("create", "Ada & Co", "--credits", "5")
    assert (name, balance) == ("Ada & Co", "5")
    assert lines("grant", "Ada & Co", "7", "--reason", "kindness") == [[number, name, "12"]]
    assert lines("grant", number, "1", "--reference", "once") == [[number, name, "13"]]
    assert lines("grant", number, "1", "--reference", "once") == [[number, name, "13"]]
    assert lines("list") == [[number, name, "13"]]


async def test_a_key_is_made_shown_once_and_revoked(home: Path, database: dict[str, str]) -> None:
    run("accounts", "create", "Ada", home=home, environ=database)
    made = run("keys", "create", "Ada", "--label", "laptop", home=home, environ=database)
    secret = made.stdout.decode().strip()
    listed = run("keys", "list", "Ada", home=home, environ=database).stdout.decode()
    prefix, label, *_, revoked = listed.strip().split("\t")
    assert (label, revoked) == ("laptop", "-")
    assert secret.startswith(prefix)
    assert secret not in listed
    assert run("keys", "revoke", prefix, home=home, environ=database).returncode == 0
    listed = run("keys", "list", "Ada", home=home, environ=database).stdout.decode()
    assert not listed.endswith("\t-\n")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("accounts", "grant", "nobody", "5"), 65, "no account named 'nobody'"),
        (("keys", "revoke", "eph_live_nothing"), 65, "no key"),
        (("accounts", "create", ""), 64, "name"),
        (("accounts", "create"), 64, ""),
        (("accounts", "create", "Eve", "--credits", "many"), 64, ""),
        (("nonsense",), 64, ""),
    ],
)
async def test_a_command_that_cannot_be_says_why(
    home: Path, database: dict[str, str], arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = run(*arguments, home=home, environ=database)
    assert ended.returncode == code
    assert says in ended.stderr.decode() + ended.stdout.decode()
    assert "Traceback" not in ended.stderr.decode()


async def test_a_name_is_taken_once(home: Path, database: dict[str, str]) -> None:
    assert run("accounts", "create", "Ada", home=home, environ=database).returncode == 0
    again = run("accounts", "create", "Ada", home=home, environ=database)
    assert again.returncode == 65
    assert "already an account named" in again.stderr.decode()


async def test_migrations_are_applied_once(home: Path, postgres: Server) -> None:
    async with postgres.database(migrated=False) as name:
        environ = {"EPHEMERA__LEDGER__DSN": postgres.dsn(name)}
        first = run("migrate", home=home, environ=environ)
        assert first.stdout.decode().startswith("0001_")
        second = run("migrate", home=home, environ=environ)
        assert second.stdout.decode() == "the schema is up to date\n"


async def test_a_file_is_converted_here_without_a_server(home: Path, tmp_path: Path) -> None:
    source, target = tmp_path / "a.jpg", tmp_path / "a.webp"
    source.write_bytes(picture("JPEG"))
    ended = run("convert", source, target, "--option", "width=32", home=home)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == b""
    assert opened(target.read_bytes()).size == (32, 24)
    assert not (home / "postgres").exists()


async def test_a_pipe_is_converted_into_a_pipe(home: Path) -> None:
    ended = run(
        *("convert", "-", "-", "--to", "png"), home=home, stdin=picture("JPEG"), installed=True
    )
    assert ended.returncode == 0, ended.stderr
    assert opened(ended.stdout).format == "PNG"
    assert ended.stderr == b""


async def test_several_files_become_one(home: Path, tmp_path: Path) -> None:
    for pages in (1, 2):
        (tmp_path / f"{pages}.pdf").write_bytes(document(pages))
    out = tmp_path / "both.pdf"
    operation = ("--option", "operation=merge")
    ended = run("convert", tmp_path / "1.pdf", tmp_path / "2.pdf", out, *operation, home=home)
    assert ended.returncode == 0, ended.stderr
    assert len(pikepdf.open(io.BytesIO(out.read_bytes())).pages) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("a.jpg",), 64, "at least one input and the output"),
        (("a.jpg", "a.webp", "--widht", "1"), 64, "no option --widht"),
        (("missing.jpg", "a.webp"), 66, "missing.jpg"),
        (("a.jpg", "a.nonsense"), 65, "nonsense"),
        (("a.jpg", "-"), 65, "--to"),
        (("a.jpg", "a.webp", "--option", "widht=1"), 65, "widht"),
        (("a.jpg", "a.webp", "--option", "width"), 65, "name=value"),
        (("a.jpg", "a.webp", "--from", "png"), 65, "JPEG"),
        (("cut.jpg", "a.webp"), 65, ""),
        (("a.jpg", "none/a.webp"), 73, "none/a.webp"),
    ],
)
async def test_a_conversion_that_cannot_be_says_why(
    home: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "a.jpg").write_bytes(picture("JPEG"))
    (tmp_path / "cut.jpg").write_bytes(picture("JPEG")[:300])
    placed = [
        str(tmp_path / text) if "." in text and not text.startswith("-") else text
        for text in arguments
    ]
    ended = run("convert", *placed, home=home)
    assert ended.returncode == code, ended.stderr
    assert says in ended.stderr.decode()
    assert "Traceback" not in ended.stderr.decode()
    assert not (tmp_path / "a.webp").exists()


async def test_a_running_service_can_be_looked_at(home: Path, database: dict[str, str]) -> None:
    with serving(home, **database) as service:
        seen = run("ops", "status", "--url", service.url, home=home)
        assert seen.returncode == 0, seen.stderr
        assert "service\tready" in seen.stdout.decode()
        assert "family image\tup" in seen.stdout.decode()
        plain = run("ops", "status", "--json", "--url", service.url, home=home)
        assert json.loads(plain.stdout)["health"]["ready"] is True
        url = service.url
    gone = run("ops", "status", "--url", url, home=home)
    assert gone.returncode == 69
    assert "no service answers" in gone.stderr.decode()


async def test_the_version_is_the_packages(home: Path) -> None:
    assert run("--version", home=home, installed=True).stdout.decode().strip() == version(
        "ephemera"
    )


async def test_help_is_given_for_every_command(home: Path) -> None:
    for command in ("serve", "migrate", "accounts", "keys", "convert", "ops", "audit", "doctor"):
        ended = run(command, "--help", home=home)
        assert ended.returncode == 0
        assert command in ended.stdout.decode()


async def test_the_doctor_finds_a_healthy_machine_healthy(
    home: Path, database: dict[str, str]
) -> None:
    for environ in ({}, database):
        seen = run("doctor", home=home, environ=environ)
        assert seen.returncode == 0, seen.stdout
        assert "isolation strict holds" in seen.stdout.decode()


async def test_the_doctor_says_what_is_missing(home: Path) -> None:
    nowhere = {"EPHEMERA__LEDGER__DSN": f"postgresql://x@/x?host={home}/nowhere"}
    seen = run("doctor", home=home, environ=nowhere)
    assert seen.returncode == 69
    assert "MISSING\tdatabase" in seen.stdout.decode()
    assert "ok\tsandbox" in seen.stdout.decode()


async def test_progress_is_for_terminals_only(home: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.jpg"
    source.write_bytes(picture("JPEG"))
    for quiet, expected in (((), "jpeg to webp"), (("--quiet",), "")):
        ours, theirs = pty.openpty()
        subprocess.run(
            [EPHEMERA, "convert", source, tmp_path / "a.webp", *quiet],
            stderr=theirs,
            check=True,
            timeout=180,
            env=environment(home),
        )
        os.write(theirs, b"\nend\n")
        os.close(theirs)
        seen = os.read(ours, 65_536).decode()
        os.close(ours)
        assert (expected in seen) if expected else seen.split() == ["end"]
