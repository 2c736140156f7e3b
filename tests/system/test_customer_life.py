"""A customer's life, over HTTP and mail alone; and that nothing names them when it is over.

Everything that asks for a name is given one, so that whatever keeps it is found: the database is
read to its last byte at the end, text and binary columns alike.
"""

import asyncio
import base64
import io
import re
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec
import pyotp
import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway import state
from gateway.billing.fake import Sold, webhook
from gateway.billing.webhooks import SIGNATURE, signature
from gateway.privacy.export import checked
from gateway.proof_of_work import Challenge, solve
from gateway.receipt_keys import ReceiptKeys
from tests.gateway import mail_server
from tests.gateway.persons import House, open_house
from tests.gateway.samples import picture
from tests.gateway.service import Reply
from tests.postgres import Server
from tests.privacy import scanning

pytestmark = pytest.mark.asyncio(loop_scope="session")

ADDRESS = "Augusta.Kingsworth@wintergreen.example"
COLLEAGUE = "colleague@wintergreen.example"
NAME = "Augusta Kingsworth"
FIRM = "Wintergreen Observatory"
# What is looked for at the end, in whatever case and encoding.
CANARIES = ("kingsworth", "augusta", "wintergreen")
PASSWORD = "gravel onyx 8 tundra"
SECRET = "a-secret-of-webhooks"
PACK = {
    "id": "small",
    "title": "Small",
    "credits": 10,
    "amount": 1000,
    "currency": "EUR",
    "variant": "77",
}
# Where the number of an account may be found when the account is gone: the books and the proofs.
PSEUDONYMOUS = {
    *("credits.account", "credits.entry", "accounts.profile", "billing.purchase"),
    *("billing.event", "privacy.erasure", "audit.record", "mail.letter"),
}


class Life:
    """A customer who knows an address of HTTP, and reads mails."""

    def __init__(self, house: House, desk: mail_server.Desk) -> None:
        self.house = house
        self.session = ""
        self._desk = desk

    async def ask(self, method: str, path: str, body: Any = None, secret: str = "") -> Reply:
        return await self.house.ask(method, path, body, secret=secret or self.session or None)

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        reply = await self.ask(method, path, body)
        assert reply.status < 300, (path, reply.body)
        return reply.json if reply.body else None

    async def mail(self, found: Callable[[str], Any]) -> Any:
        """What is found in a mail, as soon as it is there."""
        async with asyncio.timeout(60):
            while True:
                for one in self._desk.arrived:
                    if result := found(one.part("plain")):
                        return result
                await asyncio.sleep(0.05)

    async def link(self) -> str:
        pattern = re.compile(r"eph_link_[0-9A-Za-z]{43}")
        return str((await self.mail(pattern.search))[0])


@pytest.fixture(scope="module")
def desk() -> mail_server.Desk:
    return mail_server.Desk()


@pytest.fixture(scope="module")
def port(desk: mail_server.Desk) -> Iterator[int]:
    with mail_server.serving(desk, None) as port:
        yield port


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def life(
    engine: Engine,
    postgres: Server,
    desk: mail_server.Desk,
    port: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Life]:
    folder: Path = tmp_path_factory.mktemp("home")
    async with open_house(
        engine,
        postgres,
        mail={"backend": "smtp", "host": "127.0.0.1", "port": port, "security": "none"},
        accounts={
            "signup": "open",
            "signup_credits": 2,
            "signup_hardness": 1000,
            "hashing": "test",
        },
        billing={
            "provider": "fake",
            "mode": "test",
            "webhook_secrets": SECRET,
            "packs": [PACK],
        },
    ) as house:
        house.service.app[state.PRIVACY].keys = ReceiptKeys(folder)
        yield Life(house, desk)


@pytest.mark.claim("C-PRIV-7")
@pytest.mark.claim("C-PRIV-16")
async def test_a_life_leaves_the_books_and_nothing_that_names_anybody(life: Life) -> None:
    seed = await arrives(life)
    key = await works(life)
    order = await buys(life, key)
    await is_refunded(life, order)
    account_id = (await life.done("GET", "/v1/account"))["id"]
    await exports(life)
    # While it lasts, it is everywhere: the scan sees what there is to see.
    there = await scan(life, *CANARIES)
    assert {"people.person", "people.account", "accounts.api_key", "support.ticket"} <= there.keys()

    await leaves(life, key, seed)
    await everything_is_delivered(life)
    assert await scan(life, *CANARIES) == {}
    assert (await scan(life, str(account_id))).keys() <= PSEUDONYMOUS
    ledger = life.house.ledger
    assert [entry.kind for entry in reversed(await ledger.entries(account_id))] == [
        *("adjustment", "consumption", "consumption", "purchase", "consumption", "adjustment"),
    ]


async def arrives(life: Life) -> str:
    """Sign up, verify, set up a second factor; gives its seed."""
    asked = await life.done("GET", "/v1/auth/signup")
    proof = solve(msgspec.convert(asked["challenge"], Challenge))
    sign_up = {"address": ADDRESS, "name": NAME, "proof": proof}
    assert (await life.ask("POST", "/v1/auth/signup", sign_up)).status == 202
    confirmed = {"link": await life.link(), "password": PASSWORD}
    life.session = (await life.done("POST", "/v1/auth/signup/confirm", confirmed))["session"][
        "secret"
    ]
    seed = str((await life.done("POST", "/v1/auth/totp"))["secret"])
    shown = {"code": code(life, seed)}
    page = await life.done("POST", "/v1/auth/totp/confirm", shown)
    life.session = page["session"]["secret"]
    # A password alone does not open it any more.
    wrong = await life.ask("POST", "/v1/auth/signin", {"address": ADDRESS, "password": PASSWORD})
    assert (wrong.status, wrong.json["code"]) == (401, "code-wanted")
    return seed


async def works(life: Life) -> str:
    """Fill in whatever asks for words, make a key, and convert until nothing is left."""
    await life.done("POST", "/v1/account/name", {"name": FIRM})
    await life.done("POST", "/v1/account/invitations", {"address": COLLEAGUE, "role": "viewer"})
    ticket = {"subject": f"{NAME} asks", "message": f"Why? {NAME}, {FIRM}, {ADDRESS}"}
    await life.done("POST", "/v1/account/tickets", ticket)
    made = await life.done("POST", "/v1/keys", {"label": f"the key of {NAME}"})
    key = str(made["secret"])
    for _ in range(2):
        converted = await convert(life, key)
        assert converted.status == 200, converted.body
    out = await convert(life, key)
    assert (out.status, out.json["code"]) == (402, "insufficient-credits")
    return key


async def buys(life: Life, key: str) -> Sold:
    """Buy credits, as the provider's signed webhook tells; it names its buyer, as they do."""
    checkout = await life.done("POST", "/v1/billing/checkout", {"pack": "small"})
    (reference,) = parse_qs(urlsplit(checkout["url"]).query)["reference"]
    pack = life.house.service.app[state.SETTINGS].billing.packs[0]
    sold = Sold(id="4711", reference=reference, pack=pack, ordered_at=life.house.clock())
    assert (await tells(life, "order_created", sold, "wrong")).status == 401
    assert (await tells(life, "order_created", sold)).json == {"state": "applied"}
    assert (await tells(life, "order_created", sold)).status == 200
    assert (await life.done("GET", "/v1/account"))["balance"] == 10
    assert (await convert(life, key)).status == 200
    return sold


async def is_refunded(life: Life, order: Sold) -> None:
    """Get half of the money back, and lose half of the credits with it."""
    order.refunded = order.pack.amount // 2
    assert (await tells(life, "order_refunded", order)).json == {"state": "applied"}
    assert (await life.done("GET", "/v1/account"))["balance"] == 4


async def exports(life: Life) -> None:
    """Get everything, signed."""
    told = await life.done("POST", "/v1/account/export")
    body = (await life.ask("GET", told["url"])).body
    checked(io.BytesIO(body), life.house.service.app[state.PRIVACY].keys.published())
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        whole = b"".join(archive.read(name) for name in archive.namelist()).decode()
    for word in (ADDRESS, NAME, FIRM, COLLEAGUE, "4711"):
        assert word in whole, word


async def leaves(life: Life, key: str, seed: str) -> None:
    """Delete the account: dead at once, gone in a week."""
    asked = await life.done("DELETE", "/v1/account")
    # The key is dead; who believed it a moment ago finds the account frozen.
    assert (await convert(life, key)).status in {401, 403}
    assert (await life.ask("GET", "/v1/account")).status == 401
    life.session = ""
    life.house.clock.forward(days=6)
    shown = {"address": ADDRESS, "password": PASSWORD, "code": code(life, seed)}
    life.session = (await life.done("POST", "/v1/auth/signin", shown))["session"]["secret"]
    waits = await life.done("GET", "/v1/account/erasure")
    assert (waits["id"], waits["state"]) == (asked["id"], "waiting")
    life.house.clock.forward(days=2)
    # What the service does by itself every few minutes; its clock has just moved by days.
    await life.house.ledger.privacy.erasures.sweep()
    await life.house.ledger.requests.writer.try_to_write()
    life.house.clock.forward(minutes=5)
    await life.house.ledger.privacy.erasures.sweep()
    shown["code"] = code(life, seed)
    life.session = ""
    assert (await life.ask("POST", "/v1/auth/signin", shown)).status == 401


async def everything_is_delivered(life: Life) -> None:
    """The last mail says that it is done, and then nothing of it is left."""
    await life.mail(lambda text: "was deleted" in text)
    async with asyncio.timeout(60):
        while await scan(life, "sending"):  # noqa: ASYNC110 -- the outbox announces nothing
            await asyncio.sleep(0.05)


async def tells(life: Life, kind: str, sold: Sold, secret: str = SECRET) -> Reply:
    """A webhook as the provider sends it, with what it knows of its buyer."""
    said = webhook(kind, sold, "1")
    said["data"]["attributes"] |= {"user_name": NAME, "user_email": ADDRESS}
    body = msgspec.json.encode(said)
    headers = {SIGNATURE: signature(secret, body)}
    return await life.house.ask("POST", "/v1/billing/webhooks/fake", body, headers=headers)


async def convert(life: Life, key: str) -> Reply:
    return await life.house.service.ask(
        "POST",
        "/v1/convert/png/webp",
        data=picture(),
        headers={
            "Authorization": f"Bearer {key}",
            "Content-Disposition": f'attachment; filename="{NAME}.png"',
        },
    )


def code(life: Life, seed: str) -> str:
    """What the authenticator shows; a later one each time, as no code is good twice."""
    life.house.clock.forward(seconds=30)
    return pyotp.TOTP(seed).at(life.house.clock.now)


async def scan(life: Life, *words: str) -> dict[str, int]:
    """The tables in which one of these words stands anywhere, as text, bytes or base64."""
    encoded = [base64.b64encode(word.title().encode())[:-2].decode() for word in words]
    books = await asyncpg.connect(dsn=life.house.dsn)
    try:
        return await scanning.found(books, *words, *(one for one in encoded if len(one) > 8))
    finally:
        await books.close()
