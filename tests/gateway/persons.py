"""People for tests: a house with a clock of its own, its mails, and persons who sign in to it."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pyotp

from engine.engine import Engine
from ledger.ledger import Ledger
from ledger.mail.outbox import Letter
from ledger.people.roles import Role
from ledger.settings import LedgerSettings
from tests.gateway.service import Reply, Service, listening
from tests.postgres import Server

PEPPER = b"a pepper for tests, not a secret"
KEK = b"an envelope key, also no secret."
PASSWORD = "gravel onyx 8 tundra"


class Clock:
    """What time it is for people. It only moves when it is told to."""

    def __init__(self, now: datetime = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


class Somebody(msgspec.Struct, kw_only=True):
    """A person with a session, in front of a client."""

    house: "House"
    address: str
    id: int
    account_id: int | None
    secret: str
    device: str
    password: str = PASSWORD
    seed: str | None = None

    async def ask(self, method: str, path: str, body: Any = None) -> Reply:
        return await self.house.ask(method, path, body, secret=self.secret)

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        """Ask for what must work, and give the JSON of the answer."""
        reply = await self.ask(method, path, body)
        assert reply.status < 300, reply.body
        return reply.json if reply.body else None

    def code(self) -> str:
        """What the authenticator shows; each asks for a later one, as no code is good twice."""
        assert self.seed is not None
        self.house.clock.forward(seconds=30)
        return pyotp.TOTP(self.seed).at(self.house.clock.now)

    async def use_totp(self) -> list[str]:
        """Set up a second factor; gives the recovery codes."""
        self.seed = (await self.done("POST", "/v1/auth/totp"))["secret"]
        page = await self.done("POST", "/v1/auth/totp/confirm", {"code": self.code()})
        self.secret = page["session"]["secret"]
        codes: list[str] = page["recovery_codes"]
        return codes


class House:
    """The service with people in it."""

    def __init__(self, service: Service, clock: Clock, dsn: str) -> None:
        self.service = service
        self.clock = clock
        self.dsn = dsn
        self.ledger = service.ledger
        self._letters: defaultdict[str, list[Letter]] = defaultdict(list)

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        secret: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        sent = dict(headers or {})
        if secret is not None:
            sent["Authorization"] = f"Bearer {secret}"
        if isinstance(body, bytes):
            sent.setdefault("Content-Type", "application/json")
            return await self.service.ask(method, path, data=body, headers=sent)
        return await self.service.ask(method, path, json=body, headers=sent)

    async def mails(self, to: str) -> list[Letter]:
        """The mails to an address that nobody has read yet."""
        while letters := await self.ledger.mail.claim(100):
            for letter in letters:
                self._letters[letter.to.lower()].append(letter)
        return self._letters.pop(to.lower(), [])

    async def link(self, to: str, kind: str) -> str:
        """The secret in the link of the last mail of a kind."""
        letters = [letter for letter in await self.mails(to) if letter.kind == kind]
        assert letters, f"no mail {kind}"
        return letters[-1].fields["link"].rpartition("/")[2]

    async def somebody(self, address: str | None = None) -> Somebody:
        """Somebody who has just signed up."""
        address = address or new_address()
        reply = await self.ask("POST", "/v1/auth/signup", {"address": address, "name": "Ada"})
        assert reply.status == 202, reply.body
        link = await self.link(address, "verify")
        return await self.entered(address, "/v1/auth/signup/confirm", link)

    async def entered(self, address: str, path: str, link: str) -> Somebody:
        """Somebody who has used the link of a mail to come in."""
        # Nobody comes at the same moment as somebody else, so lists have an order.
        self.clock.forward(seconds=1)
        reply = await self.ask("POST", path, {"link": link, "password": PASSWORD})
        assert reply.status == 201, reply.body
        return self.signed_in(address, reply)

    def signed_in(self, address: str, reply: Reply) -> Somebody:
        page = reply.json
        return Somebody(
            house=self,
            address=address,
            id=page["person_id"],
            account_id=page["session"]["account_id"],
            secret=page["session"]["secret"],
            device=page["device"],
        )

    async def member(self, owner: Somebody, role: Role) -> Somebody:
        """Somebody new whom an owner has invited, and who came."""
        address = new_address()
        invitation = {"address": address, "role": role}
        await owner.done("POST", "/v1/account/invitations", invitation)
        link = await self.link(address, "invitation")
        return await self.entered(address, "/v1/auth/invitation", link)

    async def sign_in(self, address: str, password: str = PASSWORD, **more: Any) -> Reply:
        asked = {"address": address, "password": password, **more}
        return await self.ask("POST", "/v1/auth/signin", asked)


def new_address() -> str:
    return f"{uuid4().hex[:12]}@example.org"


@asynccontextmanager
async def open_house(
    engine: Engine, postgres: Server, clock: Clock | None = None, **sections: Any
) -> AsyncIterator[House]:
    """A house of its own: another database, another clock."""
    clock = clock or Clock()
    sections.setdefault("accounts", {"signup": "open", "hashing": "test"})
    # One test of sign-ups does the work; the others have better things to do.
    sections["accounts"].setdefault("signup_hardness", 0)
    # Tests sign up by the dozen from one address; those of limits say otherwise.
    sections.setdefault("limits", {"quotas": "sign-in-all=off sign-up-network=off"})
    # We are the ones who deliver.
    sections.setdefault("mail", {"backend": "off"})
    async with postgres.database() as name:
        settings = LedgerSettings(dsn=postgres.dsn(name), pepper=PEPPER, keks=(KEK,))
        async with (
            Ledger.connect(settings, clock=clock) as ledger,
            listening(engine, ledger, **sections) as service,
        ):
            yield House(service, clock, settings.dsn)
            async with asyncio.timeout(60):
                await service.quiet()
            assert await ledger.audit() == []
