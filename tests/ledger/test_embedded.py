"""The private PostgreSQL: started, adopted, started again, stopped; never half made, never open."""

import asyncio
import os
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from ledger.embedded import EmbeddedPostgres
from ledger.errors import EmbeddedUnavailable
from ledger.postgres_binaries import ServerAccount, find_binaries, readable_binaries
from tests.ledger.waiting import eventually
from tests.postgres import private_home

ROOT = Path(__file__).parents[2]
# A service that starts the server, says so, and waits to be killed or told to end.
SERVICE = """
import asyncio, sys
from pathlib import Path
from ledger.embedded import EmbeddedPostgres

async def main():
    async with EmbeddedPostgres(Path(sys.argv[1]), durable=False) as postgres:
        print(postgres.pid, flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


async def start_service(home: Path) -> tuple[asyncio.subprocess.Process, int | None]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVICE, str(home)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None
    line = (await process.stdout.readline()).decode().strip()
    return process, None if line == "None" else int(line)


async def query(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn=dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_it_keeps_what_was_written_and_stops_with_its_context(home: Path) -> None:
    async with EmbeddedPostgres(home, durable=False) as postgres:
        await query(postgres.dsn, "create table public.kept as select 7 as number")
        pid = postgres.pid
        assert pid is not None
        assert is_running(pid)
    assert not is_running(pid)
    async with EmbeddedPostgres(home, durable=False) as postgres:
        assert await query(postgres.dsn, "select number from public.kept") == 7


async def test_it_is_private_to_its_account(home: Path) -> None:
    account = ServerAccount.choose()
    async with EmbeddedPostgres(home, durable=False) as postgres:
        for folder in (home / "postgres/data", home / "postgres/run", home / "postgres/log"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert folder.stat().st_uid == account.uid
        assert await query(postgres.dsn, "show listen_addresses") == ""
        assert await query(postgres.dsn, "show unix_socket_permissions") == "0700"
        assert await query(postgres.dsn, "show data_checksums") == "on"
        status = Path(f"/proc/{postgres.pid}/status").read_text()
        assert f"Uid:\t{account.uid}\t{account.uid}" in status
        assert account.uid != 0


async def test_the_owner_of_the_database_is_no_superuser(home: Path) -> None:
    async with EmbeddedPostgres(home, durable=False) as postgres:
        superusers = "select rolsuper from pg_roles where rolname = current_user"
        assert await query(postgres.dsn, superusers) is False
        assert await query(postgres.app_dsn, superusers) is False


async def test_a_killed_server_is_started_again_with_all_that_was_committed(home: Path) -> None:
    async with EmbeddedPostgres(home, durable=False) as postgres:
        await query(
            postgres.dsn, "create table public.kept as select * from generate_series(1, 100000)"
        )
        first = postgres.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: _has_another_pid(postgres, first))
        await eventually(lambda: _answers(postgres.dsn))
        assert await query(postgres.dsn, "select count(*) from public.kept") == 100_000


async def test_after_a_kill_of_the_service_the_next_one_adopts_the_server(home: Path) -> None:
    service, pid = await start_service(home)
    assert pid is not None
    service.kill()
    await service.wait()
    assert is_running(pid)
    async with EmbeddedPostgres(home, durable=False) as postgres:
        assert postgres.pid == pid
        os.kill(pid, signal.SIGKILL)  # adopted, it is watched as well
        await eventually(lambda: _has_another_pid(postgres, pid))
    assert not is_running(pid)


async def test_an_adopted_server_is_stopped_in_order(home: Path) -> None:
    service, pid = await start_service(home)
    assert pid is not None
    service.kill()
    await service.wait()
    async with EmbeddedPostgres(home, durable=False):
        pass
    assert not is_running(pid)
    assert not (home / "postgres/data/postmaster.pid").exists()


async def test_a_second_process_of_the_host_shares_the_server(home: Path) -> None:
    async with EmbeddedPostgres(home, durable=False) as postgres:
        service, pid = await start_service(home)
        assert pid is None
        await service.communicate(b"end\n")
        assert await query(postgres.dsn, "select 1") == 1


async def test_a_stale_pid_of_a_stranger_is_neither_adopted_nor_stopped(home: Path) -> None:
    async with EmbeddedPostgres(home, durable=False):
        pass
    stranger = await asyncio.create_subprocess_exec("sleep", "60")
    (home / "postgres/data/postmaster.pid").write_text(f"{stranger.pid}\n{home}\n")
    async with EmbeddedPostgres(home, durable=False) as postgres:
        assert postgres.pid != stranger.pid
    assert stranger.returncode is None
    stranger.kill()
    await stranger.wait()


async def test_an_interrupted_first_start_leaves_nothing_half_made(home: Path) -> None:
    """What is there without having been renamed is thrown away."""
    unfinished = home / "postgres" / "data.unfinished.1"
    unfinished.mkdir(parents=True)
    (home / "postgres").chmod(0o711)
    (unfinished / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(home, durable=False) as postgres:
        assert await query(postgres.dsn, "select 1") == 1
    assert not unfinished.exists()


async def test_a_cancelled_start_leaves_no_server_and_no_lock(home: Path) -> None:
    starting = asyncio.create_task(EmbeddedPostgres(home, durable=False).__aenter__())
    await eventually(lambda: _exists(home / "postgres/data/postmaster.pid"))
    starting.cancel()
    await asyncio.wait([starting])
    assert not (home / "postgres/data/postmaster.pid").exists()
    async with EmbeddedPostgres(home, durable=False) as postgres:
        assert postgres.pid is not None


async def test_data_of_another_version_are_refused_with_the_way_out(home: Path) -> None:
    async with EmbeddedPostgres(home, durable=False):
        pass
    (home / "postgres/data/PG_VERSION").write_text("12\n")
    with pytest.raises(EmbeddedUnavailable, match=r"PostgreSQL 12 .* pg_upgrade"):
        async with EmbeddedPostgres(home, durable=False):
            pytest.fail("it must not start")


async def test_a_server_that_cannot_start_says_why(home: Path) -> None:
    async with EmbeddedPostgres(home, durable=False):
        pass
    with (home / "postgres/data/postgresql.conf").open("a") as conf:
        conf.write("no_such_setting = 1\n")
    with pytest.raises(EmbeddedUnavailable, match="no_such_setting"):
        async with EmbeddedPostgres(home, durable=False):
            pytest.fail("it must not start")


async def test_a_home_whose_path_is_too_long_for_a_socket_gets_another_folder(home: Path) -> None:
    deep = home / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    for folder in (home, deep.parent, deep):
        folder.chmod(0o755)
    async with EmbeddedPostgres(deep, durable=False) as postgres:
        assert await query(postgres.dsn, "select 1") == 1
        socket_folder = Path(str(await query(postgres.admin_dsn, "show unix_socket_directories")))
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
        assert deep not in socket_folder.parents
    shutil.rmtree(socket_folder)


async def test_a_folder_that_somebody_else_prepared_for_the_socket_is_refused(home: Path) -> None:
    (home / "postgres").mkdir()
    home.chmod(0o755)
    (home / "postgres").chmod(0o711)
    (home / "postgres/run").mkdir(mode=0o777)
    (home / "postgres/run").chmod(0o777)
    with pytest.raises(EmbeddedUnavailable, match="private folder"):
        async with EmbeddedPostgres(home, durable=False):
            pytest.fail("it must not start")


def test_no_binaries_is_said_with_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedUnavailable, match=r"ephemera\[embedded\]"):
        find_binaries(None, tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_copies_binaries_that_the_account_cannot_reach(home: Path) -> None:
    """And changes nobody's permissions for it."""
    account = ServerAccount.choose()
    original = find_binaries(None)
    hidden = home / "hidden"
    hidden.mkdir(mode=0o700)
    package = original.folder.parents[1]
    shutil.copytree(original.folder.parent, hidden / package.name / original.folder.parent.name)
    libraries = package.parent / f"{package.name}.libs"
    if libraries.exists():
        shutil.copytree(libraries, hidden / libraries.name)
    home.chmod(0o711)
    unreachable = find_binaries(None, hidden / package.name / original.folder.parent.name / "bin")
    beside = home / "postgres"
    beside.mkdir(mode=0o711)
    copied = readable_binaries(unreachable, account, beside)
    assert beside in copied.folder.parents
    assert stat.S_IMODE(hidden.stat().st_mode) == 0o700
    assert readable_binaries(unreachable, account, beside) == copied


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
async def test_root_is_told_when_the_account_cannot_reach_the_home(home: Path) -> None:
    home.chmod(0o700)
    with pytest.raises(EmbeddedUnavailable, match="EPHEMERA_HOME"):
        async with EmbeddedPostgres(home / "inside", durable=False):
            pytest.fail("it must not start")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


async def _has_another_pid(postgres: EmbeddedPostgres, pid: int) -> bool:
    return postgres.pid not in (None, pid)


async def _answers(dsn: str) -> bool:
    try:
        return await query(dsn, "select 1") == 1
    except (OSError, asyncpg.PostgresError):
        return False


async def _exists(path: Path) -> bool:
    return path.exists()
