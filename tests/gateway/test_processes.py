"""Several gateways behind one address: what each may use, and that they live and end together."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from gateway import config
from gateway.admin_socket import answering, pid_of
from gateway.errors import ConfigError
from gateway.notify import Notifier
from gateway.processes import brief, figures
from gateway.processes.brief import Brief
from gateway.processes.member import Member
from gateway.processes.parent import Gateways
from gateway.processes.shares import dealt
from gateway.processes.siblings import FIGURES, on_behalf
from tests.gateway.command import Serving, run, serving
from tests.gateway.samples import noise, picture
from tests.gateway.test_notify import Manager
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

# A second of work for an encoder, so that a signal finds it at work.
SLOW = noise(500, 500)
PATIENCE_S = 180.0
# Enough for one of a machine's two gateways to be behind each of a few connections.
CONNECTIONS_MAX = 200


def settings(many: int, **sections: dict[str, object]) -> config.Settings:
    given = {
        (section, name): value for section, rows in sections.items() for name, value in rows.items()
    }
    return config.load({}, None, {("gateway", "processes"): many} | given)


@pytest.mark.parametrize("many", [1, 2, 3, 4])
async def test_shares_add_up_to_what_the_operator_allows(many: int) -> None:
    whole = settings(many, engine={"slots": 7, "spares": 9, "receivers_max": 31})
    shares = dealt(whole, dsn="postgresql://elsewhere")
    assert len(shares) == many
    for section, name in (
        ("engine", "slots"),
        ("engine", "spares"),
        ("engine", "waiting_max"),
        ("engine", "receivers_max"),
        ("upload", "in_flight_bytes_max"),
        ("server", "connections_max"),
        ("tasks", "memory_bytes_max"),
        ("fetch", "at_once_max"),
    ):
        parts = [getattr(getattr(share, section), name) for share in shares]
        assert sum(parts) == getattr(getattr(whole, section), name), name
        assert max(parts) - min(parts) <= 1, name


async def test_gateways_of_one_service_count_their_limits_together() -> None:
    for share in dealt(settings(2, engine={"slots": 2}), dsn="postgresql://elsewhere"):
        assert share.limits.store == "postgres"
        assert share.ledger.dsn == "postgresql://elsewhere"
        assert share.ledger.demo_credits == 0


@pytest.mark.parametrize(
    ("many", "sections", "sentence"),
    [
        (3, {"engine": {"slots": 2}}, "raise engine.slots"),
        (5, {"engine": {"slots": 5}}, "ledger.dsn"),
        (2, {"engine": {"slots": 2}, "upload": {"in_flight_bytes_max": 2**28}}, "bytes_max"),
    ],
)
async def test_too_little_for_so_many_is_said_before_anything_starts(
    many: int, sections: dict[str, dict[str, object]], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        dealt(settings(many, **sections), dsn="")


async def test_a_gateway_is_told_exactly_the_settings_of_its_parent() -> None:
    told = Brief(group="ab12", watchdog_s=5.0, settings=settings(2, mail={"backend": "console"}))
    packet = brief.encode(told)
    assert brief.decode(packet) == told
    assert len(packet) < brief.BYTES_MAX


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with private_home() as home:
        yield home


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def environ(postgres: Server) -> AsyncIterator[dict[str, str]]:
    """Settings of a service of two gateways."""
    async with postgres.database() as name:
        yield {
            "EPHEMERA__GATEWAY__PROCESSES": "2",
            "EPHEMERA__LEDGER__DSN": postgres.dsn(name),
            "EPHEMERA__ENGINE__SLOTS": "2",
        }


@pytest.fixture(scope="module")
def manager(home: Path) -> Iterator[Manager]:
    """What systemd is told."""
    manager = Manager(str(home / "notify"))
    yield manager
    manager.socket.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def service(home: Path, environ: dict[str, str], manager: Manager) -> AsyncIterator[Serving]:
    """That service; its leases are short, so that a death is soon believed."""
    more = {
        "EPHEMERA__LEDGER__LEASE_S": "1",
        "EPHEMERA__SERVER__DRAIN_S": "3600",
        "NOTIFY_SOCKET": str(manager.socket.getsockname()),
    }
    with serving(home, **environ, **more) as service:
        yield service
        assert await asyncio.to_thread(service.stop) == 0
        assert not answering(home)


def gateways(home: Path) -> set[int]:
    return {pid_of(name) for name in answering(home)}


async def test_every_gateway_answers_at_the_one_address_and_a_key_is_charged_once(
    home: Path, service: Serving
) -> None:
    begun = await balance(service)
    async with through_each(service, gateways(home)) as customers:
        assert len(customers) == 2
        for customer in customers.values():
            status, _ = await customer.convert(picture())
            assert status == 200
        for customer in customers.values():
            await customer.convert(picture(), **{"Idempotency-Key": "the same for both"})
    assert await balance(service) == begun - 3


@pytest.mark.usefixtures("service")
async def test_systemd_hears_that_the_service_is_ready_when_every_gateway_is(
    manager: Manager,
) -> None:
    assert await manager.heard() == ["READY=1", "STATUS=2 of 2 gateways ready"]


async def test_a_gateway_that_cannot_start_stops_the_first_start_with_its_sentence(
    environ: dict[str, str],
) -> None:
    broken = environ | {"EPHEMERA__LEDGER__KEK": "no key"}
    with private_home() as elsewhere:
        ended = run("serve", "--port", "0", home=elsewhere, environ=broken)
        assert not answering(elsewhere)
    assert ended.returncode == 78
    assert "ledger.kek is no list of keys" in ended.stderr.decode()
    assert not ended.stdout


async def test_a_gateway_that_is_not_heard_of_is_ended_and_one_that_is_heard_lives() -> None:
    told: list[int] = []
    hangs, lives = Doubled(told, silences=[0.0, 2.0]), Doubled([], silences=[0.0] * 3)
    group = Gateways(Notifier())
    await group.guard(hangs, 1e-3)
    assert told == [signal.SIGKILL]
    with pytest.raises(IndexError):
        await group.guard(lives, 1e-3)
    assert lives.told == []


@pytest.mark.usefixtures("service")
async def test_an_order_reaches_every_gateway_and_each_has_it_on_record(
    home: Path, environ: dict[str, str]
) -> None:
    pids = gateways(home)
    both = sorted(f"pid {pid}" for pid in pids)

    def said(*words: str, code: int = 0) -> list[list[str]]:
        ended = run(*words, home=home, environ=environ)
        assert ended.returncode == code, ended.stderr
        return [line.split("\t") for line in ended.stdout.decode().splitlines()]

    def ops(*words: str, code: int = 0) -> list[list[str]]:
        return said("ops", *words, code=code)

    assert sorted(who for who, *row in ops("pause") if row == ["paused", "yes"]) == both
    assert ["service", "not ready: paused"] in ops("status", code=69)
    one = min(pids)
    assert ops("resume", "--pid", str(one))[0] == [f"pid {one}", "resume", "done"]
    assert ["service", "not ready: paused"] in ops("status", code=69)
    ops("resume")
    now = dict(row for row in ops("status") if len(row) == 2)
    assert all(who in now["process"] for who in both)
    assert now["slots"] == "0 of 2 busy"
    shares = {who: slots for who, what, slots in ops("resize", "--slots", "5") if what == "slots"}
    assert (sorted(shares), sorted(shares.values())) == (both, ["2", "3"])
    ops("resize", "--slots", "1", code=65)
    ops("resize", "--slots", "2")
    rows = said("audit", "list")
    assert Counter(row[3] for row in rows) == {"pause": 2, "resume": 3, "resize": 4}
    assert {row[1] for row in rows} == {f"uid:{os.geteuid()}"}


async def test_figures_are_those_of_all_gateways_whoever_is_asked(
    home: Path, service: Serving
) -> None:
    async with through_each(service, gateways(home)) as customers:
        for customer in customers.values():
            assert (await customer.convert(picture()))[0] == 200
        pages = [await customer.figures() for customer in customers.values()]
    name = 'ephemera_conversions_total{converter="image.convert",source="png",target="webp"}'
    for page in pages:
        assert page["ephemera_gateways"] == 2
        assert page['ephemera_slots{state="free"}'] == 2
        assert page["ephemera_ledger_up"] == 1
        assert page["ephemera_stored_files_max"] == config.FilesSection().files_max
    assert pages[0][name] == pages[1][name] >= 2


@pytest.mark.usefixtures("service")
async def test_it_is_decided_of_every_gauge_how_several_gateways_say_it(home: Path) -> None:
    [name, *_] = answering(home)
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(home / name))) as session,
        session.get(f"http://ephemera{FIGURES}") as response,
    ):
        own = figures.decode(await response.read())
    gauges = {family.name for family in own if family.kind == "gauge"}
    assert gauges <= figures.ADDED | figures.HOW.keys()
    assert not figures.ADDED & figures.HOW.keys()
    for family, twice in zip(own, figures.added_up([own, own])[:-1], strict=True):
        times = 1 if family.name in figures.HOW else 2
        values = [times * one.value for one in family.figures]
        assert values == [one.value for one in twice.figures], family.name


async def test_an_order_is_handed_on_in_the_name_of_who_gave_it() -> None:
    ours = f"uid:{os.geteuid()}"
    assert on_behalf(ours, "token:0123abcd") == "token:0123abcd"
    assert on_behalf(ours, None) == ours
    assert on_behalf(ours, "somebody else") == ours
    assert on_behalf("uid:4711", "token:0123abcd") == "uid:4711"
    assert on_behalf("token:0123abcd", "uid:0") == "token:0123abcd"


async def test_a_killed_gateway_is_replaced_and_its_debits_are_refunded(
    home: Path, service: Serving
) -> None:
    begun = await balance(service)
    before = gateways(home)
    async with through_each(service, before) as customers:
        killed, other = customers
        lost = asyncio.create_task(customers[killed].convert(SLOW, "png/avif?effort=5"))
        await until_charged(service, begun - 1)
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(aiohttp.ClientError):
            await lost
        # The other one goes on, over the same connection and over new ones.
        assert (await customers[other].convert(picture()))[0] == 200
        async with through_each(service, {other}):
            await until_charged(service, begun - 1)
    async with asyncio.timeout(PATIENCE_S):
        while len(now := gateways(home)) < 2 or killed in now:  # noqa: ASYNC110 -- another process makes it
            await asyncio.sleep(0.02)
    assert now & before == {other}
    async with through_each(service, now) as customers:
        for customer in customers.values():
            assert (await customer.convert(picture()))[0] == 200


async def test_an_address_that_another_service_has_is_not_shared_with_it(
    environ: dict[str, str], service: Serving
) -> None:
    with private_home() as elsewhere:
        ended = run("serve", "--port", str(service.port), home=elsewhere, environ=environ)
    assert ended.returncode == 69
    assert f"port {service.port} on 127.0.0.1 is in use" in ended.stderr.decode()


async def test_a_gateway_whose_parent_is_gone_drains_and_leaves(
    environ: dict[str, str], postgres: Server
) -> None:
    async with postgres.database() as name:
        with private_home() as elsewhere:
            own = environ | {
                "EPHEMERA_HOME": str(elsewhere),
                "EPHEMERA__LEDGER__DSN": postgres.dsn(name),
                "EPHEMERA__SERVER__PORT": "0",
                "EPHEMERA__ENGINE__STARTED": "image",
            }
            ready = asyncio.Event()
            told = Brief(group="0123abcd", watchdog_s=60.0, settings=config.load(own))
            gateway = await Member.start(told, ready)
            await ready.wait()
            assert gateways(elsewhere) == {gateway.pid}
            gateway.leave()
            assert await gateway.ended() == 0
            assert not answering(elsewhere)


async def test_a_stop_lets_the_conversions_of_all_gateways_finish(
    home: Path, service: Serving
) -> None:
    left = await balance(service) - 2
    async with through_each(service, gateways(home)) as customers:
        slow = [
            asyncio.create_task(customer.convert(SLOW, "png/avif?effort=5"))
            for customer in customers.values()
        ]
        await until_charged(service, left)
        service.process.send_signal(signal.SIGTERM)
        assert [status for status, _ in await asyncio.gather(*slow)] == [200, 200]
    assert await asyncio.to_thread(service.process.wait, PATIENCE_S) == 0


class Doubled:
    """A gateway that was last heard of as long ago as is said, time after time."""

    pid = 1

    def __init__(self, told: list[int], silences: list[float]) -> None:
        self.told = told
        self.ready = asyncio.Event()
        self.ready.set()
        self._silences = iter(silences)

    def silent_s(self) -> float:
        found = next(self._silences, None)
        if found is None:
            raise IndexError
        return found

    def send_signal(self, number: int) -> None:
        self.told.append(number)


class Customer(msgspec.Struct, frozen=True):
    """Somebody with a connection to one of the gateways."""

    url: str
    session: aiohttp.ClientSession

    async def convert(
        self, upload: bytes, path: str = "png/webp", **headers: str
    ) -> tuple[int, bytes]:
        address = f"{self.url}/v1/convert/{path}"
        async with self.session.post(address, data=upload, headers=headers) as response:
            return response.status, await response.read()

    async def figures(self) -> dict[str, float]:
        async with self.session.get(f"{self.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        rows = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        return {name: float(value) for name, value in rows}


@asynccontextmanager
async def through_each(service: Serving, pids: set[int]) -> AsyncIterator[dict[int, Customer]]:
    """A customer behind each of these gateways: the kernel says where a connection leads."""
    found: dict[int, Customer] = {}
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS_MAX):
            session = await stack.enter_async_context(_session(service))
            async with session.get(f"{service.url}/status") as response:
                pid = (await response.json())["process"]["pid"]
            found.setdefault(pid, Customer(service.url, session))
            if found.keys() >= pids:
                break
        yield found


async def balance(service: Serving) -> int:
    async with _session(service) as session, session.get(f"{service.url}/v1/account") as response:
        found: int = (await response.json())["balance"]
        return found


async def until_charged(service: Serving, left: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while await balance(service) != left:  # noqa: ASYNC110 -- in the database
            await asyncio.sleep(0.02)


def _session(service: Serving) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=1),
        headers={"Authorization": f"Bearer {service.key}"},
    )
