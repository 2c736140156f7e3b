"""API keys over HTTP: made and managed by keys, limited as they say, and never in an address."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from engine.engine import Engine
from gateway.endpoint import Access
from gateway.routes import ROUTES
from ledger.accounts.rights import KeyKind, Rights, Scope, network
from tests.gateway.samples import noise, picture
from tests.gateway.service import PATIENCE_S, Reply, until
from tests.gateway.two_gateways import Owner, Two, bearer, two_gateways
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

TEST_BYTES_MAX = 20_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(engine: Engine, postgres: Server) -> AsyncIterator[Two]:
    async with two_gateways(engine, postgres, upload={"test_bytes_max": TEST_BYTES_MAX}) as two:
        yield two


@pytest_asyncio.fixture(loop_scope="session")
async def owner(two: Two) -> Owner:
    return await two.account()


async def _convert(owner: Owner, key: str, body: bytes = b"", path: str = "png/webp") -> Reply:
    return await owner.two.one.ask(
        "POST", f"/v1/convert/{path}", data=body or picture(), headers=bearer(key)
    )


# Managed


async def test_a_key_is_made_seen_used_replaced_and_revoked(owner: Owner) -> None:
    wanted = {
        "label": "shop",
        "scopes": ["convert"],
        "operations": ["png/webp"],
        "addresses": ["127.0.0.1", "2001:db8::/32"],
        "day_max": 5,
        "month_max": 50,
        "expires_at": "2100-01-31T12:00:00Z",
    }
    made = await owner.ask("POST", "/v1/keys", wanted)
    assert made.status == 201
    assert made.headers["Location"] == f"/v1/keys/{made.json['id']}"
    assert made.json["secret"].startswith(made.json["prefix"])
    assert made.json["secret"].endswith(made.json["last_four"])
    assert made.json["addresses"] == ["127.0.0.1/32", "2001:db8::/32"]
    for name in wanted.keys() - {"addresses"}:
        assert made.json[name] == wanted[name]
    assert (await _convert(owner, made.json["secret"])).status == 200
    await owner.two.one.ledger.keys.uses.write()
    seen = await owner.ask("GET", f"/v1/keys/{made.json['prefix']}")
    assert seen.json["last_used_at"] is not None
    assert "secret" not in seen.json
    rotated = await owner.ask("POST", f"/v1/keys/{made.json['id']}/rotate", {"overlap_s": 60})
    assert rotated.status == 201
    assert rotated.json["operations"] == ["png/webp"]
    for secret in (made.json["secret"], rotated.json["secret"]):
        assert (await _convert(owner, secret)).status == 200
    listed = (await owner.ask("GET", "/v1/keys")).json["keys"]
    ids = [owner.key.id, made.json["id"], rotated.json["id"]]
    assert [one["id"] for one in listed] == ids
    assert (await owner.ask("DELETE", f"/v1/keys/{rotated.json['id']}")).status == 204
    assert (await _convert(owner, rotated.json["secret"])).status == 401


async def test_a_replaced_key_says_in_its_answers_that_it_ends(owner: Owner) -> None:
    old = await owner.make()
    assert "Deprecation" not in (await _convert(owner, old.secret)).headers
    await owner.ask("POST", f"/v1/keys/{old.id}/rotate")
    reply = await _convert(owner, old.secret)
    assert reply.status == 200
    deprecated = datetime.fromtimestamp(int(reply.headers["Deprecation"].removeprefix("@")), UTC)
    ends = parsedate_to_datetime(reply.headers["Sunset"])
    assert timedelta(hours=23, minutes=59) < ends - deprecated <= timedelta(days=1, seconds=1)


async def test_a_revocation_is_effective_at_the_other_gateway_as_well(owner: Owner) -> None:
    key, other = await owner.make(), owner.two.other
    assert (await owner.at(other, "GET", "/v1/account", key=key.secret)).status == 200
    heard = other.ledger.keys.hearing.generation
    await owner.ask("DELETE", f"/v1/keys/{key.id}")
    await until(lambda: other.ledger.keys.hearing.generation > heard)
    assert (await owner.at(other, "GET", "/v1/account", key=key.secret)).status == 401


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({}, 400),
        ({"label": ""}, 400),
        ({"label": "x" * 201}, 400),
        ({"label": "nul\x00"}, 400),
        ({"label": "\ud800"}, 400),
        ({"label": "x", "secret": "mine"}, 400),
        ({"label": "x", "kind": "admin"}, 400),
        ({"label": "x", "scopes": []}, 400),
        ({"label": "x", "scopes": ["everything"]}, 400),
        ({"label": "x", "operations": ["jpg/webp"]}, 400),
        ({"label": "x", "operations": ["nonsense"]}, 400),
        ({"label": "x", "addresses": ["127.0.0.1/8"]}, 400),
        ({"label": "x", "day_max": 0}, 400),
        ({"label": "x", "day_max": 2**53}, 400),
        ({"label": "x", "day_max": 2**70}, 400),
        ({"label": "x", "scopes": ["keys:write"], "day_max": 5}, 400),
        ({"label": "x", "expires_at": "2001-01-01T00:00:00Z"}, 400),
        ({"label": "x", "expires_at": "2100-01-01T00:00:00"}, 400),
        ({"label": "x", "expires_at": "tomorrow"}, 400),
        ({"label": "x", "operations": ["*/webp"] * 5000}, 413),
    ],
)
async def test_what_makes_no_key_is_refused(
    owner: Owner, wanted: dict[str, Any], status: int
) -> None:
    assert (await owner.ask("POST", "/v1/keys", wanted)).status == status
    assert len((await owner.ask("GET", "/v1/keys")).json["keys"]) == 1


@pytest.mark.parametrize(
    ("body", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff", "application/json", 400),
        (b"[" * 5000, "application/json", 400),
        (b'{"label":"x"}', "text/plain", 415),
        (b'{"label":"x"}', "application/problem+json", 201),
        (b" " * 20_000, "application/json", 413),
    ],
)
async def test_a_body_is_json_and_small(
    owner: Owner, body: bytes, media_type: str, status: int
) -> None:
    headers = bearer(owner.key.secret) | {"Content-Type": media_type}
    reply = await owner.two.one.ask("POST", "/v1/keys", data=body, headers=headers)
    assert reply.status == status


async def test_a_strangers_keys_are_unknown(owner: Owner) -> None:
    stranger = await owner.two.account()
    for method, path in (
        ("GET", f"/v1/keys/{owner.key.id}"),
        ("DELETE", f"/v1/keys/{owner.key.id}"),
        ("POST", f"/v1/keys/{owner.key.id}/rotate"),
    ):
        reply = await stranger.ask(method, path)
        assert (reply.status, reply.json["code"]) == (404, "key-unknown")
    assert (await owner.ask("GET", "/v1/account")).status == 200


async def test_there_is_an_end_to_rotating(owner: Owner) -> None:
    for overlap in (-1, 7 * 86_400 + 1, "long"):
        reply = await owner.ask("POST", f"/v1/keys/{owner.key.id}/rotate", {"overlap_s": overlap})
        assert reply.status == 400


# Powers


@pytest.mark.parametrize(
    ("maker", "wanted"),
    [
        (Rights(scopes=frozenset({Scope.KEYS_WRITE})), {"scopes": ["convert"]}),
        (Rights(scopes=frozenset({Scope.KEYS_WRITE})), {"scopes": ["keys:read"]}),
        (Rights(scopes=frozenset(Scope), operations=("png/webp",)), {}),
        (
            Rights(scopes=frozenset(Scope), operations=("png/webp",)),
            {"operations": ["png/webp", "*/pdf"]},
        ),
        (Rights(scopes=frozenset(Scope), expires_at=datetime(2100, 1, 1, tzinfo=UTC)), {}),
        (
            Rights(scopes=frozenset(Scope), expires_at=datetime(2100, 1, 1, tzinfo=UTC)),
            {"expires_at": "2100-01-02T00:00:00Z"},
        ),
    ],
)
@pytest.mark.claim("C-KEY-5")
async def test_no_key_makes_one_that_may_do_more(
    owner: Owner, maker: Rights, wanted: dict[str, Any]
) -> None:
    key = await owner.make(maker)
    reply = await owner.ask("POST", "/v1/keys", {"label": "more"} | wanted, key=key.secret)
    assert (reply.status, reply.json["code"]) == (403, "powers-exceeded")
    # The secret of the mightier key would be in the answer.
    reply = await owner.ask("POST", f"/v1/keys/{owner.key.id}/rotate", key=key.secret)
    assert (reply.status, reply.json["code"]) == (403, "powers-exceeded")


async def test_a_test_key_makes_no_live_one(owner: Owner) -> None:
    test = await owner.make(Rights(scopes=frozenset(Scope)), kind=KeyKind.TEST)
    for kind, status in (("live", 403), ("signing", 403), ("test", 201)):
        wanted = {"label": "x", "kind": kind}
        assert (await owner.ask("POST", "/v1/keys", wanted, key=test.secret)).status == status


async def test_keys_are_for_keys_that_may(owner: Owner) -> None:
    plain = await owner.make()
    for method, path in (
        ("GET", "/v1/keys"),
        ("POST", "/v1/keys"),
        ("GET", f"/v1/keys/{plain.id}"),
        ("DELETE", f"/v1/keys/{plain.id}"),
        ("POST", f"/v1/keys/{plain.id}/rotate"),
    ):
        reply = await owner.ask(method, path, {}, key=plain.secret)
        assert (reply.status, reply.json["code"]) == (403, "scope-missing")


@pytest.mark.parametrize("row", ROUTES, ids=lambda row: row.name)
async def test_every_address_of_customers_names_its_scope_and_is_closed_without_it(
    owner: Owner, row: Any
) -> None:
    if row.access not in {Access.CUSTOMER, Access.VISITOR, Access.MEMBER}:
        assert row.scope is None or row.access is Access.PERSON
        return
    assert row.scope is not None
    key = await owner.make(Rights(scopes=frozenset(Scope) - {row.scope}))
    path = row.path.replace("{source}", "png").replace("{target}", "webp")
    reply = await owner.two.one.ask(
        row.method,
        _filled(path),
        headers=bearer(key.secret),
    )
    assert reply.status in {401, 403}, reply.body
    assert row.dialect is not None or reply.json["code"] == "scope-missing"


def _filled(path: str) -> str:
    return "/".join("x" if part.startswith("{") else part for part in path.split("/"))


# Limits


async def test_operations_are_asked_about_when_the_format_is_known(owner: Owner) -> None:
    key = await owner.make(Rights(operations=("png/webp", "*/jpeg:convert")))
    assert (await _convert(owner, key.secret)).status == 200
    assert (await _convert(owner, key.secret, path="auto/webp")).status == 200
    assert (await _convert(owner, key.secret, path="auto/jpg")).status == 200
    for path in ("png/gif", "auto/gif", "png/pdf"):
        reply = await _convert(owner, key.secret, path=path)
        assert (reply.status, reply.json["code"]) == (403, "operation-refused")
    steps = await owner.two.one.ask(
        "POST",
        "/v1/pipelines?source=png&step=webp&step=gif",
        data=picture(),
        headers=bearer(key.secret),
    )
    assert steps.json["code"] == "operation-refused"
    form = aiohttp.FormData()
    form.add_field("file", picture(), filename="a.png")
    batch = await owner.two.one.ask(
        "POST", "/v1/batch/png/gif", data=form, headers=bearer(key.secret)
    )
    assert b"operation-refused" in batch.body
    assert await owner.two.one.ledger.balance(owner.account.id) == 97


async def test_a_key_is_for_its_addresses(owner: Owner) -> None:
    here = await owner.make(Rights(addresses=(network("127.0.0.0/8"),)))
    elsewhere = await owner.make(Rights(addresses=(network("192.0.2.0/24"),)))
    assert (await owner.ask("GET", "/v1/account", key=here.secret)).status == 200
    headers = bearer(elsewhere.secret) | {"X-Forwarded-For": "192.0.2.1"}
    reply = await owner.two.one.ask("GET", "/v1/account", headers=headers)
    assert (reply.status, reply.json["code"]) == (403, "address-refused")


async def test_a_cap_is_a_problem_that_says_what_is_left(owner: Owner) -> None:
    key = await owner.make(Rights(day_max=1))
    assert (await _convert(owner, key.secret)).status == 200
    reply = await _convert(owner, key.secret)
    assert (reply.status, reply.json["code"]) == (402, "key-cap-reached")
    assert "0 are left" in reply.json["detail"]
    assert await owner.two.one.ledger.balance(owner.account.id) == 99


async def test_a_test_key_converts_small_files_for_nothing_and_says_so(owner: Owner) -> None:
    key = await owner.make(kind=KeyKind.TEST)
    reply = await _convert(owner, key.secret)
    assert reply.status == 200
    assert reply.headers["X-Ephemera-Test"] == "true"
    assert reply.headers["X-Credits-Used"] == "0"
    assert reply.headers["X-Credits-Remaining"] == "100"
    large = noise(128, 128)
    assert len(large) > TEST_BYTES_MAX
    refusal = await _convert(owner, key.secret, large)
    assert (refusal.status, refusal.json["code"]) == (413, "upload-too-large")
    assert refusal.headers["X-Ephemera-Test"] == "true"
    assert await owner.two.one.ledger.balance(owner.account.id) == 100


async def test_a_test_key_takes_no_large_file_out_of_the_store(owner: Owner) -> None:
    key, service = await owner.make(kind=KeyKind.TEST), owner.two.one
    stored = await service.ask(
        "POST", "/v1/files", data=noise(128, 128), headers=bearer(owner.key.secret)
    )
    reply = await service.ask(
        "POST",
        f"/v1/convert/png/webp?file={stored.json['handle']}",
        headers=bearer(key.secret),
    )
    assert (reply.status, reply.json["code"]) == (413, "upload-too-large")


# In addresses


async def test_a_key_in_the_address_is_refused_with_a_hint(owner: Owner) -> None:
    service = owner.two.one
    for query in (
        f"?key={owner.key.secret}",
        f"?anything={owner.key.secret}",
        "?api_key=something",
        "?access_token=something",
        "?Secret=something",
    ):
        reply = await service.ask("GET", f"/v1/account{query}")
        assert (reply.status, reply.json["code"]) == (400, "key-in-query")
        assert "Authorization: Bearer" in reply.json["detail"]
    reply = await service.ask(
        "GET", f"/v1/account?key={owner.key.secret}", headers=bearer(owner.key.secret)
    )
    assert reply.json["code"] == "key-in-query"
    assert owner.key.secret.encode() not in reply.body


@pytest.mark.parametrize(
    ("kind", "rights", "code", "cost"),
    [
        (KeyKind.TEST, Rights(), None, 0),
        (KeyKind.LIVE, Rights(day_max=1), None, 1),
        (KeyKind.LIVE, Rights(operations=("*/pdf",)), "operation-refused", 0),
    ],
)
async def test_a_task_is_run_on_the_terms_of_the_key_that_asked_for_it(
    owner: Owner, kind: KeyKind, rights: Rights, code: str | None, cost: int
) -> None:
    key, service = await owner.make(rights, kind=kind), owner.two.one
    headers = bearer(key.secret) | {"Prefer": "wait=20"}
    reply = await service.ask("POST", "/v1/tasks/png/webp", data=picture(), headers=headers)
    async with asyncio.timeout(PATIENCE_S):
        while reply.json["state"] in {"queued", "running"}:
            path = f"/v1/tasks/{reply.json['id']}?wait=20"
            reply = await service.ask("GET", path, headers=headers)
    assert (reply.json["problem"] or {}).get("code") == code
    assert await service.ledger.balance(owner.account.id) == 100 - cost
