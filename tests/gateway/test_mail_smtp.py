"""Mails to a real SMTP server: encrypted, tried again while it fails, dead when refused."""

import socket
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from gateway.mail.composing import Composer
from gateway.mail.postman import JITTER, PAUSES_S, Postman, pause_s
from gateway.mail.settings import MailConfig
from gateway.mail.smtp import Smtp
from ledger.ledger import Ledger
from ledger.mail.outbox import Posted
from ledger.settings import LedgerSettings
from tests.gateway.conftest import KEK, PEPPER
from tests.gateway.mail_server import HOST, PASSWORD, Authority, Desk, serving
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOME = "https://convert.example"
ADA, BOB = "ada@example.org", "bob@example.org"
LINK = {"link": f"{HOME}/link/eph_link_0123456789"}


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 20, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


class Post:
    """An outbox, a postman, and a clock that moves when a test says so."""

    def __init__(self, ledger: Ledger, clock: Clock, authority: Authority) -> None:
        self.ledger = ledger
        self.clock = clock
        self.authority = authority
        self.counted: Counter[str] = Counter()

    def man(self, config: MailConfig) -> Postman:
        def count(_kind: str, outcome: str) -> None:
            self.counted[outcome] += 1

        composer, backend = Composer(config, HOME), Smtp(config, HOME)
        return Postman(self.ledger, composer, backend, count, at_once=4)

    def config(self, port: int, **more: object) -> MailConfig:
        settings: dict[str, object] = {
            "backend": "smtp",
            "sender": "Ephemera <no-reply@convert.example>",
            "host": HOST,
            "port": port,
            "ca_file": str(self.authority.file),
            "timeout_s": 10.0,
        }
        return MailConfig(**(settings | more))  # type: ignore[arg-type]

    async def queue(self, to: str = ADA) -> None:
        await self.ledger.mail.queue(None, "invitation", to, invitation())

    async def all(self) -> list[Posted]:
        return await self.ledger.mail.list(("waiting", "sending", "sent", "dead"))

    async def one(self) -> Posted:
        (posted,) = await self.all()
        return posted


def invitation() -> dict[str, str]:
    return {**LINK, "account": "Analytical Engines", "by": "Ada", "role": "viewer"}


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def clocked(postgres: Server) -> AsyncIterator[tuple[Ledger, Clock]]:
    clock = Clock()
    async with postgres.database() as name:
        settings = LedgerSettings(dsn=postgres.dsn(name), pepper=PEPPER, keks=(KEK,))
        async with Ledger.connect(settings, clock=clock) as ledger:
            yield ledger, clock


@pytest_asyncio.fixture(loop_scope="module")
async def post(clocked: tuple[Ledger, Clock], authority: Authority) -> AsyncIterator[Post]:
    yield Post(*clocked, authority)
    for address in (ADA, BOB):
        await clocked[0].mail.forget(None, address)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def test_a_mail_arrives_encrypted_with_its_link_and_leaves_nothing_behind(
    post: Post, desk: Desk
) -> None:
    await post.queue()
    with serving(desk, post.authority.context) as port:
        assert await post.man(post.config(port)).round() == 1
    (arrived,) = desk.arrived
    assert arrived.encrypted
    assert (arrived.sender, arrived.to) == ("no-reply@convert.example", [ADA])
    assert LINK["link"] in arrived.part("plain")
    assert LINK["link"] in arrived.part("html")
    headers = {name: str(value) for name, value in arrived.mail.items()}
    assert headers["From"] == "Ephemera <no-reply@convert.example>"
    assert headers["To"] == ADA
    assert headers["Auto-Submitted"] == "auto-generated"
    assert headers["List-Id"] == "<invitation.mail.convert.example>"
    posted = await post.one()
    assert headers["Message-ID"] == f"<{posted.id}@convert.example>"
    assert (posted.state, post.counted) == ("sent", {"sent": 1})


async def test_a_server_that_encrypts_from_the_first_byte_and_asks_for_a_password(
    post: Post, desk: Desk
) -> None:
    await post.queue()
    with serving(desk, post.authority.context, implicit=True, login=True) as port:
        known = {"security": "tls", "username": "ephemera", "password": PASSWORD}
        await post.man(post.config(port, **known)).round()
    assert [(one.encrypted, one.login) for one in desk.arrived] == [(True, "ephemera")]


async def test_a_wrong_password_is_the_operators_to_correct_so_the_mail_waits(
    post: Post, desk: Desk
) -> None:
    await post.queue()
    with serving(desk, post.authority.context, login=True) as port:
        await post.man(post.config(port, username="ephemera", password="wrong")).round()
    posted = await post.one()
    assert (posted.state, posted.error, posted.status) == ("waiting", "login", 535)


async def test_a_server_that_does_not_encrypt_is_told_nothing(post: Post, desk: Desk) -> None:
    await post.queue()
    with serving(desk, None) as port:
        await post.man(post.config(port)).round()
    assert desk.arrived == []
    posted = await post.one()
    assert (posted.state, posted.error) == ("waiting", "unsupported")


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("wrong", ["authority", "name", "expired"])
async def test_a_server_with_a_bad_certificate_is_told_nothing(
    post: Post,
    desk: Desk,
    tmp_path: Path,
    wrong: str,
    implicit: bool,
) -> None:
    bad = Authority(
        tmp_path,
        names="127.0.0.2" if wrong == "name" else HOST,
        ends=timedelta(days=-1) if wrong == "expired" else None,
    )
    trusted = {} if wrong == "authority" else {"ca_file": str(bad.file)}
    await post.queue()
    with serving(desk, bad.context, implicit=implicit) as port:
        security = "tls" if implicit else "starttls"
        await post.man(post.config(port, security=security, **trusted)).round()
    assert desk.arrived == []
    posted = await post.one()
    assert (posted.state, posted.error) == ("waiting", "tls")


async def test_while_the_server_is_down_mails_wait_and_then_they_go_out(
    post: Post, desk: Desk
) -> None:
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        down = post.man(post.config(nobody.getsockname()[1]))
        await post.queue()
        assert await down.round() == 1
        posted = await post.one()
        assert (posted.state, posted.error) == ("waiting", "connection")
        assert await down.round() == 0
        post.clock.now = posted.next_at
        assert await down.round() == 1
    post.clock.now = (await post.one()).next_at
    with serving(desk, post.authority.context) as port:
        assert await post.man(post.config(port)).round() == 1
    assert (await post.one()).state == "sent"
    assert post.counted == {"again": 2, "sent": 1}


async def test_a_server_that_stays_away_makes_a_dead_letter_which_can_be_tried_again(
    post: Post, desk: Desk
) -> None:
    await post.queue()
    first = post.clock.now
    with socket.socket() as nobody:
        nobody.bind((HOST, 0))
        down = post.man(post.config(nobody.getsockname()[1]))
        while await down.round():
            post.clock.now = max(post.clock.now, (await post.one()).next_at)
    posted = await post.one()
    assert (posted.state, posted.attempts) == ("dead", len(PAUSES_S) + 1)
    assert timedelta(days=4) < post.clock.now - first < timedelta(days=5)
    assert await post.ledger.mail.retry(posted.id) == 1
    with serving(desk, post.authority.context) as port:
        await post.man(post.config(port)).round()
    assert len(desk.arrived) == 1


async def test_an_address_that_is_refused_is_in_nobody_elses_way(post: Post, desk: Desk) -> None:
    desk.to_recipient[ADA] = "550 5.1.1 no such user here"
    for to in (ADA, BOB):
        await post.queue(to)
    with serving(desk, post.authority.context) as port:
        await post.man(post.config(port)).round()
    assert [arrived.to for arrived in desk.arrived] == [[BOB]]
    (dead,) = await post.ledger.mail.list()
    assert (dead.error, dead.status) == ("refused", 550)


async def test_an_address_that_is_refused_for_now_is_tried_again(post: Post, desk: Desk) -> None:
    desk.to_recipient[ADA] = "450 4.2.0 greylisted"
    await post.queue()
    with serving(desk, post.authority.context) as port:
        postman = post.man(post.config(port))
        await postman.round()
        posted = await post.one()
        assert (posted.state, posted.error, posted.status) == ("waiting", "refused", 450)
        desk.to_recipient.clear()
        post.clock.now = posted.next_at
        await postman.round()
    assert len(desk.arrived) == 1


@pytest.mark.parametrize(
    ("answer", "state", "error"),
    [
        ("554 5.7.1 looks like spam", "dead", "content"),
        ("451 4.3.0 disk full", "waiting", "content"),
        (None, "waiting", "connection"),
    ],
)
async def test_what_becomes_of_a_mail_whose_content_is_not_taken(
    post: Post,
    desk: Desk,
    answer: str | None,
    state: str,
    error: str,
) -> None:
    desk.to_content = [answer]
    await post.queue()
    with serving(desk, post.authority.context) as port:
        postman = post.man(post.config(port))
        await postman.round()
        posted = await post.one()
        assert (posted.state, posted.error) == (state, error)
        if state == "waiting":
            post.clock.now = posted.next_at
            await postman.round()
            (arrived,) = desk.arrived
            assert str(arrived.mail["Message-ID"]) == f"<{posted.id}@convert.example>"


async def test_a_server_that_hangs_up_at_the_address_is_tried_again(post: Post, desk: Desk) -> None:
    desk.to_recipient[ADA] = None
    await post.queue()
    with serving(desk, post.authority.context) as port:
        await post.man(post.config(port)).round()
    posted = await post.one()
    assert (posted.state, posted.error) == ("waiting", "connection")


async def test_a_server_that_says_nothing_is_not_waited_for(post: Post) -> None:
    await post.queue()
    with socket.create_server((HOST, 0)) as silent:
        await post.man(post.config(silent.getsockname()[1], timeout_s=0.05)).round()
    posted = await post.one()
    assert (posted.state, posted.error) == ("waiting", "timeout")


async def test_a_link_that_is_over_by_then_is_not_sent(post: Post, desk: Desk) -> None:
    await post.ledger.mail.queue(None, "reset", ADA, LINK)
    post.clock.now += timedelta(minutes=31)
    with serving(desk, post.authority.context) as port:
        await post.man(post.config(port)).round()
    assert desk.arrived == []
    assert [dead.error for dead in await post.ledger.mail.list()] == ["expired"]


async def test_an_address_that_no_server_would_take_is_a_dead_letter_at_once(
    post: Post, desk: Desk
) -> None:
    wrong = "ada@example.org>\r\nRCPT TO:<bob@example.org"
    await post.queue(wrong)
    with serving(desk, post.authority.context) as port:
        await post.man(post.config(port)).round()
    assert desk.arrived == []
    assert [dead.error for dead in await post.ledger.mail.list()] == ["address"]
    await post.ledger.mail.forget(None, wrong)


async def test_the_pauses_grow_from_a_minute_to_a_day() -> None:
    assert pause_s(1, 0) == 60
    assert pause_s(len(PAUSES_S), 0) == 86_400
    assert pause_s(len(PAUSES_S) + 1, 0) is None
    assert pause_s(1, 1) == pytest.approx(60 * (1 + JITTER))
    assert list(PAUSES_S) == sorted(PAUSES_S)
