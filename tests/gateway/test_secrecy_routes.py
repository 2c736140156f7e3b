"""A canary in every place of every address: found in no log, no figure, and in no table that is not
for what customers write."""

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import msgspec
import pytest

from gateway.config import load
from gateway.endpoint import Access, Endpoint
from gateway.home import keks, pepper
from gateway.routes import ROUTES
from ledger.ledger import Ledger
from ledger.people.roles import StaffRole
from ledger.privacy.inventory import Category, inventory
from ledger.settings import LedgerSettings
from tests.gateway.command import serving
from tests.gateway.persons import Clock, House, Somebody
from tests.gateway.samples import picture
from tests.gateway.service import Reply
from tests.postgres import Server, private_home

pytestmark = pytest.mark.asyncio(loop_scope="session")

CANARY = "canary5e2"
# What people write to us, and what names them: there a canary may stand, and nowhere else.
WRITTEN = frozenset({Category.WORDS, Category.NAME, Category.CONTACT})
# Names that clients give to what they make, and choose themselves.
CHOSEN: Mapping[str, str] = {
    "accounts.token_ended.jti": "a customer denies a token by its id, whatever that is",
    "credits.idempotency_key.key": "what a request is repeated by, for a day",
    "tasks.task.client_key": "the same of a task, for an hour",
    "tasks.task.id": "ConvertAPI's clients bring the id of a job",
    "audit.record.parameters": "which account, ticket or incident somebody of ours named",
}
# These end the session or the account that asks, or its second factor: they are asked last.
ENDS = (
    ("DELETE", "/v1/auth/totp"),
    ("DELETE", "/v1/account"),
    ("DELETE", "/v1/auth/person"),
    ("DELETE", "/v1/auth/sessions"),
    ("DELETE", "/v1/auth/session"),
)
TEST_MODE = {
    "EPHEMERA_TEST_MODE": "1",
    "EPHEMERA__ACCOUNTS__SIGNUP": "open",
    "EPHEMERA__ACCOUNTS__HASHING": "test",
    "EPHEMERA__ACCOUNTS__SIGNUP_HARDNESS": "0",
    "EPHEMERA__MAIL__BACKEND": "off",
    "EPHEMERA__LOG__LEVEL": "debug",
}


class _Client:
    """What a `House` asks of a service, over HTTP alone."""

    def __init__(self, session: aiohttp.ClientSession, ledger: Ledger) -> None:
        self._session = session
        self.ledger = ledger

    async def ask(self, method: str, path: str, **rest: Any) -> Reply:
        async with self._session.request(method, path, **rest) as response:
            return Reply(
                status=response.status, headers=response.headers, body=await response.read()
            )


@asynccontextmanager
async def _house(url: str, dsn: str, home: Path) -> AsyncIterator[House]:
    """Somebody to ask as, in a service that is another process."""
    settings = load({"EPHEMERA_HOME": str(home)})
    ours = LedgerSettings(dsn=dsn, pepper=pepper(settings), keks=keks(settings))
    async with (
        aiohttp.ClientSession(url, timeout=aiohttp.ClientTimeout(60)) as session,
        Ledger.connect(ours) as ledger,
    ):
        client = _Client(session, ledger)
        # Whoever asks for a code moves the clock by half a minute, and then it is right.
        clock = Clock(datetime.now(UTC) - timedelta(seconds=31))
        yield House(client, clock, dsn)  # type: ignore[arg-type]


async def test_a_canary_in_every_place_of_every_address_is_found_nowhere(
    postgres: Server,
) -> None:
    counted: dict[int, int] = {}
    with private_home() as home:
        async with postgres.database() as name:
            arguments = ("--database-url", postgres.dsn(name))
            with serving(home, *arguments, **TEST_MODE) as service:  # type: ignore[arg-type]
                assert service.key
                async with _house(service.url, postgres.dsn(name), home) as house:
                    staff = await _staff(house)
                    for method, path, rest in _asked(service.key, staff):
                        reply = await house.service.ask(method, path, **rest)
                        counted[reply.status] = counted.get(reply.status, 0) + 1
                    metrics = (await house.service.ask("GET", "/metrics")).body.decode()
                    secret = staff.secret
            tables = await _found(postgres.admin(name))
        log = (home / "log").read_text()
    assert tables == {}
    for place in (log, metrics):
        assert CANARY not in place.lower()
        assert service.key not in place
        assert secret not in place
    assert log.count('"event": "request"') >= sum(counted.values())
    # Nobody was merely turned away at the door.
    assert counted[200] > 30
    assert '"event": "unforeseen"' not in log
    assert counted.get(429, 0) == 0
    assert counted[401] < sum(counted.values()) / 20


async def _staff(house: House) -> Somebody:
    """Somebody with an account and every role that staff can have."""
    somebody = await house.somebody()
    for role in StaffRole:
        await house.ledger.people.staff.give(somebody.id, role)
    await somebody.use_totp()
    return somebody


def _asked(key: str, staff: Somebody) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every address, with canaries wherever something can be written."""
    rows = sorted(ROUTES, key=lambda row: (row.method, row.path) in ENDS)
    for row in rows:
        for secret in _secrets(row, key, staff):
            for body in _bodies(row):
                headers = _headers() | body.pop("headers", {})
                if secret is not None:
                    headers["Authorization"] = f"Bearer {secret}"
                query = {one.name: CANARY for one in row.parameters if one.place == "query"}
                query |= {CANARY: CANARY}
                yield row.method, _path(row), {"headers": headers, "params": query, **body}
        # Without a query that is refused first.
        for secret, body in itertools.product(_secrets(row, key, staff)[:1], _bodies(row)):
            headers = _headers() | body.pop("headers", {})
            if secret is not None:
                headers["Authorization"] = f"Bearer {secret}"
            yield row.method, _path(row), {"headers": headers, **body}


def _secrets(row: Endpoint, key: str, staff: Somebody) -> list[str | None]:
    match row.access:
        case Access.CUSTOMER | Access.VISITOR:
            return [key]
        case Access.MEMBER:
            return [staff.secret, key]
        case Access.PERSON:
            return [staff.secret]
    return [None]


def _path(row: Endpoint) -> str:
    formats = {"source": "png", "target": "webp", "from": "png", "to": "jpg"}
    parts = []
    for part in row.path.split("/"):
        name = part.strip("{}").partition(":")[0]
        parts.append(formats.get(name, CANARY) if part.startswith("{") else part)
    return "/".join(parts)


def _headers() -> dict[str, str]:
    names = (
        *("User-Agent", "Referer", "Cookie", "Origin", "Idempotency-Key", "Traceparent"),
        *("X-Request-Id", "X-Forwarded-For", "Forwarded", "Prefer", "X-Canary", "Accept-Language"),
    )
    return dict.fromkeys(names, CANARY)


def _bodies(row: Endpoint) -> Iterator[dict[str, Any]]:
    if row.method in {"GET", "DELETE"}:
        yield {}
        return
    named = {"Content-Disposition": f'attachment; filename="{CANARY}.png"'}
    if row.uploads:
        yield {"data": picture(), "headers": named}
    form = aiohttp.FormData()
    form.add_field(CANARY, CANARY)
    form.add_field("file", CANARY.encode() + picture(), filename=f"{CANARY}.png")
    yield {"data": form}
    yield {"data": CANARY.encode() * 3, "headers": {"Content-Type": f"text/{CANARY}"}}
    for content in row.body:
        if content.type is not None:
            yield {"json": _sample(content.type)}
            yield {"json": _sample(content.type) | {CANARY: CANARY}}


def _sample(kind: Any) -> dict[str, Any]:
    """A document of this type with a canary in every text."""
    schema = msgspec.json.schema(kind)
    made = _made(schema, schema.get("$defs", {}))
    return made if isinstance(made, dict) else {CANARY: made}


def _made(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Any:
    if "$ref" in schema:
        schema = known[schema["$ref"].rpartition("/")[2]]
    if "anyOf" in schema:
        schema = schema["anyOf"][0]
    match schema.get("type"):
        case "object":
            fields = schema.get("properties", {})
            return {name: _made(one, known) for name, one in fields.items()}
        case "array":
            return [_made(schema.get("items", {}), known)]
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean" | "null" as kind:
            return True if kind == "boolean" else None
    return schema.get("enum", [CANARY])[0]


async def _found(dsn: str) -> dict[str, int]:
    """The columns of the database in which a canary stands, as text or as bytes."""
    allowed = {
        f"{one.table}.{one.name}" for one in inventory().columns() if one.category in WRITTEN
    }
    connection = await asyncpg.connect(dsn=dsn)
    try:
        columns = await connection.fetch(
            "select table_schema s, table_name t, column_name c from information_schema.columns"
            " where table_schema not in ('pg_catalog', 'information_schema')"
        )
        found = {}
        for one in columns:
            place = f"{one['s']}.{one['t']}.{one['c']}"
            if place in allowed or place in CHOSEN:
                continue
            count = await connection.fetchval(
                f'select count(*) from "{one["s"]}"."{one["t"]}"'  # noqa: S608 (of the schema)
                f' where "{one["c"]}"::text ilike $1 or "{one["c"]}"::text ilike $2',
                f"%{CANARY}%",
                f"%{CANARY.encode().hex()}%",
            )
            if count:
                found[place] = count
    finally:
        await connection.close()
    return found
