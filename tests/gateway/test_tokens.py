"""Tokens as customers use them: issued, narrowed, shown to any gateway, denied, replayed."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from engine.engine import Engine
from gateway import state
from gateway.tokens.desk import Wanted
from gateway.tokens.ring import make
from ledger.accounts.rights import KeyKind, Rights, Scope, network
from ledger.envelope import Envelope
from tests.gateway.samples import picture
from tests.gateway.service import Reply, Service, until
from tests.gateway.two_gateways import KEK, Owner, Two, bearer, two_gateways
from tests.postgres import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def two(engine: Engine, postgres: Server) -> AsyncIterator[Two]:
    async with two_gateways(
        engine, postgres, server={"port": 0, "trusted_proxies": "127.0.0.0/8"}
    ) as two:
        yield two


@pytest_asyncio.fixture(loop_scope="session")
async def owner(two: Two) -> Owner:
    return await two.account()


def _parts(token: str) -> tuple[Any, Any, bytes]:
    head, payload, signature = (_plain(part) for part in token.split("."))
    return json.loads(head), json.loads(payload), signature


def _plain(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _b64(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


def _signed(kid: str, secret: str, **claims: Any) -> str:
    """A JWT as a customer makes it, by hand."""
    parts = [{"alg": "HS256", "typ": "JWT", "kid": kid}, {"exp": time.time() + 600} | claims]
    text = ".".join(_b64(json.dumps(part).encode()) for part in parts)
    return f"{text}.{_b64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())}"


async def _convert(
    service: Service, token: str, path: str = "png/webp", forwarded: str = "", **params: str
) -> Reply:
    headers = bearer(token) | ({"X-Forwarded-For": forwarded} if forwarded else {})
    return await service.ask(
        "POST", f"/v1/convert/{path}", data=picture(), headers=headers, params=params
    )


async def _refused(service: Service, token: str) -> bool:
    return (await _convert(service, token)).status == 401


# Issued by us


async def test_a_token_converts_at_every_gateway_and_its_account_pays(
    two: Two, owner: Owner
) -> None:
    token = await owner.token()
    for service in (two.one, two.other):
        assert (await _convert(service, token)).status == 200
    assert await two.one.ledger.balance(owner.account.id) == 98


async def test_a_token_can_be_checked_with_the_published_key_by_anybody(
    two: Two, owner: Owner
) -> None:
    token = await owner.token(lifetime_s=60, bytes_max=5000, operations=["png/webp"])
    head, claims, signature = _parts(token)
    assert (head["alg"], head["typ"]) == ("Ed25519", "at+jwt")
    assert (claims["sub"], claims["client_id"]) == (str(owner.account.id), owner.key.id)
    assert claims["iss"] == claims["aud"] == "ephemera"
    assert (claims["scope"], claims["ops"], claims["max_bytes"]) == ("convert", ["png/webp"], 5000)
    assert 58 <= claims["exp"] - claims["iat"] <= 60
    published = await two.other.ask("GET", "/.well-known/jwks.json")
    assert published.headers["Cache-Control"] == "public, max-age=300"
    assert len(published.json["keys"]) >= 2
    (key,) = (one for one in published.json["keys"] if one["kid"] == head["kid"])
    assert (key["kty"], key["crv"], key["alg"], key["use"]) == ("OKP", "Ed25519", "Ed25519", "sig")
    assert "d" not in key
    public = Ed25519PublicKey.from_public_bytes(_plain(key["x"]))
    public.verify(signature, token.rpartition(".")[0].encode())


@pytest.mark.parametrize(
    ("wanted", "status"),
    [
        ({"lifetime_s": 901}, 400),
        ({"lifetime_s": 0}, 400),
        ({"scopes": []}, 400),
        ({"scopes": ["everything"]}, 400),
        ({"scopes": ["keys:write"]}, 403),
        ({"scopes": ["tokens"]}, 403),
        ({"operations": ["nonsense"]}, 400),
        ({"operations": ["jpg/webp"]}, 400),
        ({"addresses": ["example.org"]}, 400),
        ({"bytes_max": 0}, 400),
        ({"lifetime": 60}, 400),
        ([], 400),
    ],
)
async def test_what_makes_no_token_is_refused(owner: Owner, wanted: object, status: int) -> None:
    assert (await owner.ask("POST", "/v1/tokens", wanted)).status == status


async def test_a_token_does_not_outlive_its_key(owner: Owner) -> None:
    end = datetime.now(UTC) + timedelta(seconds=100)
    key = await owner.make(Rights(expires_at=end))
    reply = await owner.ask("POST", "/v1/tokens", {"lifetime_s": 900}, key=key.secret)
    assert _parts(reply.json["token"])[1]["exp"] <= end.timestamp()


async def test_a_token_makes_neither_tokens_nor_keys(owner: Owner) -> None:
    token = await owner.token(scopes=["convert", "account:read"])
    assert (await owner.ask("GET", "/v1/account", key=token)).status == 200
    for method, path in (("POST", "/v1/tokens"), ("POST", "/v1/keys"), ("GET", "/v1/keys")):
        reply = await owner.ask(method, path, {}, key=token)
        assert (reply.status, reply.json["code"]) == (403, "scope-missing")


async def test_a_token_is_for_its_scopes_operations_sizes_and_addresses(
    two: Two, owner: Owner
) -> None:
    files = await owner.token(scopes=["files"])
    assert (await _convert(two.one, files)).json["code"] == "scope-missing"
    pdf = await owner.token(operations=["*/pdf"])
    assert (await _convert(two.one, pdf)).json["code"] == "operation-refused"
    assert (await _convert(two.one, pdf, "png/pdf")).status == 200
    small = await owner.token(bytes_max=10)
    assert (await _convert(two.one, small)).json["code"] == "upload-too-large"
    bound = await owner.token(addresses=["192.0.2.0/24"])
    assert (await _convert(two.one, bound)).json["code"] == "address-refused"
    assert (await _convert(two.one, bound, forwarded="192.0.2.9")).status == 200
    spoofed = await _convert(two.one, bound, forwarded="192.0.2.9, 198.51.100.1")
    assert spoofed.json["code"] == "address-refused"
    assert await two.one.ledger.balance(owner.account.id) == 98


async def test_a_size_holds_where_none_is_announced(two: Two, owner: Owner) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield picture()

    headers = bearer(await owner.token(bytes_max=10))
    reply = await two.one.ask("POST", "/v1/convert/png/webp", data=pieces(), headers=headers)
    assert reply.json["code"] == "upload-too-large"
    assert await two.one.ledger.balance(owner.account.id) == 100


@pytest.mark.claim("C-TOKEN-2")
async def test_a_one_shot_token_is_good_for_one_request_wherever(two: Two, owner: Owner) -> None:
    token = await owner.token(one_shot=True)
    assert (await _convert(two.one, token)).status == 200
    for service in (two.one, two.other):
        reply = await _convert(service, token)
        assert (reply.status, reply.json["code"]) == (401, "key-refused")


async def test_a_revoked_key_takes_its_tokens_along_everywhere(two: Two, owner: Owner) -> None:
    key = await owner.make()
    token = (await owner.ask("POST", "/v1/tokens", {}, key=key.secret)).json["token"]
    assert (await _convert(two.other, token)).status == 200
    heard = two.other.ledger.keys.hearing.generation
    assert (await owner.ask("DELETE", f"/v1/keys/{key.id}")).status == 204
    await until(lambda: two.other.ledger.keys.hearing.generation > heard)
    assert await _refused(two.other, token)
    assert await _refused(two.one, token)


async def test_one_token_or_all_can_be_denied_everywhere(two: Two, owner: Owner) -> None:
    denied, kept = await owner.token(), await owner.token()
    for token in (denied, kept):
        assert (await _convert(two.other, token)).status == 200
    heard = two.other.ledger.keys.hearing.generation
    jti = _parts(denied)[1]["jti"]
    assert (await owner.ask("DELETE", f"/v1/tokens/{jti}")).status == 204
    await until(lambda: two.other.ledger.keys.hearing.generation > heard)
    assert await _refused(two.other, denied)
    assert (await _convert(two.other, kept)).status == 200
    heard = two.other.ledger.keys.hearing.generation
    assert (await owner.ask("DELETE", "/v1/tokens")).status == 204
    await until(lambda: two.other.ledger.keys.hearing.generation > heard)
    assert await _refused(two.other, kept)
    assert await _refused(two.one, kept)
    assert (await _convert(two.other, await owner.token())).status == 200


async def test_nobody_denies_a_token_of_somebody_else(two: Two, owner: Owner) -> None:
    token = await owner.token()
    stranger = await two.account()
    jti = _parts(token)[1]["jti"]
    assert (await stranger.ask("DELETE", f"/v1/tokens/{jti}")).status == 204
    assert (await stranger.ask("DELETE", "/v1/tokens")).status == 204
    assert (await _convert(two.one, token)).status == 200


async def test_a_token_that_was_seen_costs_no_round_trip(two: Two, owner: Owner) -> None:
    token = await owner.token(scopes=["convert", "account:read"])
    desk = two.one.app[state.TOKEN_DESK]
    assert await desk.caller(token) is not None
    await two.books.execute("alter table accounts.api_key rename to elsewhere")
    try:
        assert await desk.caller(token) is not None
    finally:
        await two.books.execute("alter table accounts.elsewhere rename to api_key")


async def test_capped_and_test_keys_stay_what_they_are_behind_a_token(
    two: Two, owner: Owner
) -> None:
    capped, test = await owner.make(Rights(day_max=1)), await owner.make(kind=KeyKind.TEST)
    tokens = [
        (await owner.ask("POST", "/v1/tokens", {}, key=key.secret)).json["token"]
        for key in (capped, test)
    ]
    assert (await _convert(two.one, tokens[0])).status == 200
    assert (await _convert(two.other, tokens[0])).json["code"] == "key-cap-reached"
    free = await _convert(two.one, tokens[1])
    assert (free.status, free.headers["X-Ephemera-Test"]) == (200, "true")
    assert await two.one.ledger.balance(owner.account.id) == 99


# Keys that sign


async def test_the_next_key_signs_and_the_retired_one_is_published_until_its_tokens_end(
    two: Two, owner: Owner
) -> None:
    before = await owner.token()
    old = _parts(before)[0]["kid"]
    keys = {key.kid: key for key in await two.one.ledger.tokens.keys.list()}
    (coming,) = (key.kid for key in keys.values() if key.state == "next")
    heard = two.other.ledger.keys.hearing.generation
    assert not await two.one.ledger.tokens.keys.rotate(make, older_than=timedelta(hours=1))
    assert await two.one.ledger.tokens.keys.rotate(make)
    await until(lambda: two.other.ledger.keys.hearing.generation > heard)
    after = await owner.token()
    assert _parts(after)[0]["kid"] == coming
    for token in (before, after):
        assert (await _convert(two.other, token)).status == 200
    published = (await two.other.ask("GET", "/.well-known/jwks.json")).json["keys"]
    assert {old, coming} < {key["kid"] for key in published}
    states = {key.kid: key for key in await two.one.ledger.tokens.keys.list()}
    assert (states[old].state, states[old].sealed) == ("retired", None)
    await two.books.execute("update accounts.token_key set since = now() - interval '2 hours'")
    await two.one.ledger.tokens.keys.rotate(make, older_than=timedelta(hours=3))
    assert old not in {key.kid for key in await two.one.ledger.tokens.keys.list()}
    two.one.ledger.keys.forget()
    assert await _refused(two.one, before)


async def test_the_private_part_is_in_the_database_sealed_and_nowhere_else(
    two: Two, owner: Owner
) -> None:
    await owner.token()
    keys = two.one.ledger.tokens.keys
    (active,) = (key for key in await keys.list() if key.state == "active")
    private = keys.private(active)
    assert Envelope([KEK]).open(active.sealed or b"", f"accounts.token_key.sealed|{active.kid}")
    rows = await two.books.fetch("select * from accounts.token_key")
    assert not any(private in value for row in rows for value in row if isinstance(value, bytes))


# Signed by customers


async def test_a_customer_signs_tokens_with_a_signing_key(two: Two, owner: Owner) -> None:
    reply = await owner.ask("POST", "/v1/keys", {"label": "browser", "kind": "signing"})
    assert reply.status == 201
    kid, secret = reply.json["id"], reply.json["secret"]
    assert secret.startswith("eph_sign_")
    for named in (kid, reply.json["prefix"]):
        assert (await _convert(two.other, _signed(named, secret))).status == 200
    assert await two.one.ledger.balance(owner.account.id) == 98


async def test_a_signing_key_itself_opens_nothing(two: Two, owner: Owner) -> None:
    key = await owner.make(kind=KeyKind.SIGNING)
    assert await _refused(two.one, key.secret)
    assert await _refused(two.one, key.secret.replace("eph_sign_", "eph_live_"))


async def test_a_self_signed_token_is_narrowed_by_what_it_says(two: Two, owner: Owner) -> None:
    key = await owner.make(kind=KeyKind.SIGNING)

    def signed(**claims: Any) -> str:
        return _signed(key.id, key.secret, **claims)

    assert (await _convert(two.one, signed(scope="files"))).json["code"] == "scope-missing"
    assert (await _convert(two.one, signed(ops=["*/pdf"]))).json["code"] == "operation-refused"
    assert (await _convert(two.one, signed(max_bytes=9))).json["code"] == "upload-too-large"
    bound = signed(ClientIp="192.0.2.7")
    assert (await _convert(two.one, bound)).json["code"] == "address-refused"
    assert (await _convert(two.one, bound, forwarded="192.0.2.7")).status == 200
    once = signed(jti="once", one_shot=True)
    assert (await _convert(two.one, once)).status == 200
    assert await _refused(two.other, once)
    denied = signed(jti="denied")
    assert (await _convert(two.one, denied)).status == 200
    assert (await owner.ask("DELETE", "/v1/tokens/denied")).status == 204
    assert await _refused(two.one, denied)


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": 4_000_000_000},
        {"nbf": 3_999_999_999},
        {"exp": "soon"},
        {"aud": "somebody"},
        {"ip": "nonsense"},
    ],
)
async def test_a_self_signed_token_that_is_not_good_is_refused_without_a_reason(
    two: Two, owner: Owner, claims: dict[str, Any]
) -> None:
    key = await owner.make(kind=KeyKind.SIGNING)
    reply = await _convert(two.one, _signed(key.id, key.secret, **claims))
    assert (reply.status, reply.json["code"]) == (401, "key-refused")
    assert "token is not valid" in reply.json["detail"]


async def test_a_token_signed_with_the_wrong_key_is_refused(two: Two, owner: Owner) -> None:
    key, other = await owner.make(kind=KeyKind.SIGNING), await owner.make(kind=KeyKind.SIGNING)
    live = await owner.make()
    for token in (
        _signed(key.id, other.secret),
        _signed("AAAAAAAAAAAA", key.secret),
        _signed(live.id, live.secret),
        _signed(key.secret, key.secret),
        _signed("nul\x00nul\x00nul\x00", key.secret),
        _signed("", key.secret),
        _signed(_parts(await owner.token())[0]["kid"], key.secret),
    ):
        assert await _refused(two.one, token)


async def test_all_tokens_of_a_time_includes_the_self_signed(two: Two, owner: Owner) -> None:
    key = await owner.make(kind=KeyKind.SIGNING)
    undated, dated = _signed(key.id, key.secret), _signed(key.id, key.secret, iat=time.time())
    for token in (undated, dated):
        assert (await _convert(two.one, token)).status == 200
    assert (await owner.ask("DELETE", "/v1/tokens")).status == 204
    assert await _refused(two.one, undated)
    assert await _refused(two.one, dated)
    assert (await _convert(two.one, _signed(key.id, key.secret, iat=time.time()))).status == 200


async def test_the_addresses_of_a_signing_key_bind_its_tokens(two: Two, owner: Owner) -> None:
    rights = Rights(addresses=(network("192.0.2.0/24"),))
    key = await owner.make(rights, kind=KeyKind.SIGNING)
    token = _signed(key.id, key.secret)
    assert (await _convert(two.one, token)).json["code"] == "address-refused"
    assert (await _convert(two.one, token, forwarded="192.0.2.1")).status == 200
    outside = _signed(key.id, key.secret, ip="198.51.100.1")
    assert (await _convert(two.one, outside, forwarded="198.51.100.1")).status == 401


async def test_no_token_shows_itself_in_what_is_printed(two: Two, owner: Owner) -> None:
    caller = await two.one.ledger.keys.authenticate(owner.key.secret)
    assert caller is not None
    desk = two.one.app[state.TOKEN_DESK]
    issued = await desk.issue(caller, Wanted(scopes=frozenset({Scope.CONVERT})))
    assert issued.token not in repr(issued)
    assert issued.jti in repr(issued)
