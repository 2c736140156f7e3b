"""Two gateways over one database, and accounts with keys that may do everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

from engine.engine import Engine
from ledger.accounts.accounts import Account
from ledger.accounts.keys import NewKey
from ledger.accounts.rights import KeyKind, Rights, Scope
from ledger.ledger import Ledger
from ledger.settings import LedgerSettings
from tests.gateway.service import PATIENCE_S, Reply, Service, listening, until
from tests.postgres import Server

KEK = b"an envelope key, also no secret."
ALL = Rights(scopes=frozenset(Scope))


class Two(msgspec.Struct, frozen=True):
    """Both services, which hear what the other does; and the superuser's view of the database."""

    one: Service
    other: Service
    books: asyncpg.Connection

    async def account(self, credits: int = 100) -> "Owner":
        account = await self.one.ledger.accounts.create(f"test {uuid4()}", credits=credits)
        return Owner(self, account, await self.one.ledger.keys.create(account.id, "all", ALL))


class Owner(msgspec.Struct, frozen=True):
    """An account and a key of it that may do everything."""

    two: Two
    account: Account
    key: NewKey

    async def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Reply:
        """Ask the first gateway, with JSON if there is any."""
        return await self.at(self.two.one, method, path, body, key)

    async def at(
        self, service: Service, method: str, path: str, body: Any = None, key: str = ""
    ) -> Reply:
        rest = {} if body is None else {"json": body}
        return await service.ask(method, path, headers=bearer(key or self.key.secret), **rest)

    async def make(self, rights: Rights | None = None, kind: KeyKind = KeyKind.LIVE) -> NewKey:
        return await self.two.one.ledger.keys.create(self.account.id, "made", rights, kind=kind)

    async def token(self, **wanted: Any) -> str:
        reply = await self.ask("POST", "/v1/tokens", wanted)
        assert reply.status == 201, reply.body
        text: str = reply.json["token"]
        return text


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@asynccontextmanager
async def two_gateways(engine: Engine, postgres: Server, **sections: Any) -> AsyncIterator[Two]:
    async with postgres.database() as name:
        settings = LedgerSettings(
            dsn=postgres.dsn(name), pepper=b"a pepper for tests, not a secret", keks=(KEK,)
        )
        books = await asyncpg.connect(dsn=postgres.admin(name))
        async with (
            Ledger.connect(settings) as first,
            Ledger.connect(settings) as second,
            listening(engine, first, **sections) as one,
            listening(engine, second, **sections) as other,
        ):
            await until(lambda: first.keys.hearing.now and second.keys.hearing.now)
            yield Two(one, other, books)
            assert await first.audit() == []
        await books.close(timeout=PATIENCE_S)
