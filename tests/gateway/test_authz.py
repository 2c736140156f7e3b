"""Every route as every role: the printed matrix is enforced, and ids of others are unknown."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway import state
from gateway.endpoint import Access, Endpoint
from gateway.permissions import ROLE_PERMISSIONS, STAFF_PERMISSIONS
from gateway.permissions_page import COLUMNS, may
from gateway.privacy.desk import AUDIT_KEYS
from gateway.receipt_keys import ReceiptKeys
from gateway.routes import ROUTES
from ledger.accounts.rights import Rights, Scope
from ledger.people.person import Client, Hashed
from ledger.people.roles import Role, StaffRole
from tests.gateway.persons import House, Somebody, new_address, open_house
from tests.gateway.service import Reply
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

# What somebody is answered who may not ask at all.
AT_THE_DOOR = {
    *("key-missing", "key-refused", "session-missing", "session-refused"),
    *("permission-missing", "scope-missing", "second-factor-wanted", "operator-only"),
}
HERE = Client(network=None, name="test")
# argon2 of nothing in particular: these people never sign in with it.
NO_PASSWORD = Hashed("$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAA", "none")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(
    engine: Engine, postgres: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("home")
    limits = {"quotas": "sign-in-all=off sign-up-network=off link-network=off"}
    async with open_house(engine, postgres, limits=limits) as house:
        # What is exported is signed, and what is signed with is kept.
        desk = house.service.app[state.PRIVACY]
        desk.keys, desk.audit_keys = ReceiptKeys(folder), ReceiptKeys(folder, AUDIT_KEYS)
        yield house


class Cast:
    """Somebody for each column of the matrix; somebody new where the last one may be changed."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._secrets: dict[str, str | None] = {}

    async def secret(self, column: str) -> str | None:
        if column not in self._secrets:
            self._secrets[column] = await self._made(column)
        return self._secrets[column]

    def used_up(self, column: str) -> None:
        self._secrets.pop(column, None)

    async def _made(self, column: str) -> str | None:
        if column in {"nobody", "operator"}:
            return None
        people = self.house.ledger.people
        async with self.house.ledger._database.session() as connection, connection.transaction():
            owner = await people.persons.create(connection, new_address(), "", NO_PASSWORD)
            account = await people.persons.found_account(connection, owner, "Ada", 0)
            person = await people.persons.create(connection, new_address(), "", NO_PASSWORD)
            if column in ROLE_PERMISSIONS:
                await people.persons.join(connection, account, person, Role(column))
            begun = await people.sessions.begin(connection, person, HERE, mfa=True)
        if column == "key":
            rights = Rights(scopes=frozenset(Scope))
            return (await self.house.ledger.keys.create(account, "all", rights)).secret
        if column in STAFF_PERMISSIONS:
            await people.staff.give(person, StaffRole(column))
        return begun.secret


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def cast(house: House) -> Cast:
    return Cast(house)


def filled(path: str) -> str:
    known = {"source": "png", "target": "webp"}
    parts = [part.strip("{}") if part.startswith("{") else None for part in path.split("/")]
    return "/".join(
        known.get(name, "x") if name is not None else part
        for name, part in zip(parts, path.split("/"), strict=True)
    )


async def ask(house: House, row: Endpoint, secret: str | None, column: str) -> Reply:
    # From outside, as far as operators' addresses are concerned.
    headers = {} if column == "operator" else {"Via": "1.1 proxy"}
    body = b"{}" if row.method == "POST" else None
    return await house.ask(row.method, filled(row.path), body, secret=secret, headers=headers)


def refused_at_the_door(row: Endpoint, reply: Reply) -> bool:
    if row.dialect is not None:
        return reply.status in {401, 403}
    return reply.status >= 400 and bool(reply.body) and reply.json.get("code") in AT_THE_DOOR


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: row.name)
async def test_every_route_lets_in_whom_the_matrix_says_and_nobody_else(
    house: House, cast: Cast, row: Endpoint
) -> None:
    wrong = []
    for column in COLUMNS:
        reply = await ask(house, row, await cast.secret(column), column)
        assert reply.status != 500, reply.body
        let_in = not refused_at_the_door(row, reply)
        if let_in and row.method != "GET":
            cast.used_up(column)
        # An upload without a key ends in ConvertAPI's own refusals, which are 401 as well.
        told_by_handler = row.access is Access.VISITOR
        if let_in != may(row, column) and not told_by_handler:
            wrong.append((column, reply.status, reply.body[:200]))
    assert wrong == []


# Ids of others

Maker = Callable[[Somebody], Awaitable[str]]


async def _key(owner: Somebody) -> str:
    key_id: str = (await owner.done("POST", "/v1/keys", {"label": "x"}))["id"]
    return key_id


async def _session(owner: Somebody) -> str:
    session_id: str = (await owner.done("GET", "/v1/auth/session"))["id"]
    return session_id


async def _invitation(owner: Somebody) -> str:
    wanted = {"address": new_address(), "role": "viewer"}
    invitation_id: str = (await owner.done("POST", "/v1/account/invitations", wanted))["id"]
    return invitation_id


async def _ticket(owner: Somebody) -> str:
    wanted = {"subject": "A question", "message": "How do I convert a file?"}
    ticket: str = (await owner.done("POST", "/v1/account/tickets", wanted))["ticket"]
    return ticket


async def _export(owner: Somebody) -> str:
    handle: str = (await owner.done("POST", "/v1/account/export"))["handle"]
    return handle


async def _person(owner: Somebody) -> str:
    return str(owner.id)


async def _account(owner: Somebody) -> str:
    return str(owner.account_id)


# How somebody else comes by an id, for each address with one that is asked with a session.
MADE: dict[str, Maker] = {
    "/v1/keys/{id}": _key,
    "/v1/keys/{id}/rotate": _key,
    "/v1/auth/sessions/{id}": _session,
    "/v1/auth/accounts/{account_id}": _account,
    "/v1/account/members/{person_id}": _person,
    "/v1/account/invitations/{id}": _invitation,
    "/v1/account/tickets/{id}": _ticket,
    "/v1/account/tickets/{id}/messages": _ticket,
    "/v1/account/tickets/{id}/close": _ticket,
    "/v1/account/export/{handle}": _export,
}
# Names that mean something only together with the account that asks.
HARMLESS = {"/v1/tokens/{jti}", "/v1/auth/objections/{purpose}"}
# Tried beside the rest of their subject, where there are such things.
ELSEWHERE = {
    "/v1/billing/receipts/{reference}": "test_billing_desk.py",
    "/v1/billing/receipts/{reference}/link": "test_billing_desk.py",
    "/v1/connections/{id}": "test_connections.py",
    "/v1/connections/{id}/check": "test_connections.py",
}


def _with_ids() -> list[Endpoint]:
    return [
        row
        for row in ROUTES
        if "{" in row.path
        and row.access in {Access.MEMBER, Access.PERSON}
        and not row.permission.startswith("staff:")
        and row.path not in HARMLESS | ELSEWHERE.keys()
    ]


@pytest.mark.parametrize("row", _with_ids(), ids=lambda row: row.name)
async def test_what_belongs_to_another_account_is_unknown(house: House, row: Endpoint) -> None:
    assert row.path in MADE, "say in MADE how somebody else comes by such an id"
    owner, stranger = await house.somebody(), await house.somebody()
    name = await MADE[row.path](owner)
    path = row.path.partition("{")[0] + name + row.path.partition("}")[2]
    bodies = {"setMemberRole": {"role": "viewer"}, "addTicketMessage": {"message": "And?"}}
    reply = await stranger.ask(row.method, path, bodies.get(row.name))
    assert reply.status == 404, reply.body
    assert (await owner.ask("GET", "/v1/auth/session")).status == 200
