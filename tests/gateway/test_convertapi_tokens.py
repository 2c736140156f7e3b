"""Tokens and limited keys on the ConvertAPI surface: as powerful as on ours, and no more."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import aiohttp
import pytest

from ledger.accounts.keys import NewKey
from ledger.accounts.rights import KeyKind, Rights, Scope, network
from tests.gateway.samples import picture
from tests.gateway.service import Customer, Reply, Service

pytestmark = pytest.mark.asyncio(loop_scope="session")

NAMED = {"Content-Disposition": "attachment; filename=in.png"}


async def convert(
    service: Service, secret: str, body: bytes | None = None, path: str = "png/to/jpg"
) -> Reply:
    headers = NAMED | {"Authorization": f"Bearer {secret}"}
    data = picture() if body is None else body
    return await service.ask("POST", f"/convert/{path}", data=data, headers=headers)


async def issued(service: Service, customer: Customer, **wanted: Any) -> str:
    reply = await service.ask("POST", "/v1/tokens", json=wanted, headers=customer.headers)
    assert reply.status == 201, reply.body
    return str(reply.json["token"])


async def made(
    service: Service, customer: Customer, kind: KeyKind = KeyKind.LIVE, **rights: Any
) -> NewKey:
    keys = service.ledger.keys
    return await keys.create(customer.account_id, "made", Rights(**rights), kind=kind)


def code(reply: Reply) -> tuple[int, int]:
    return reply.status, reply.json["Code"]


def self_signed(key: NewKey, **claims: Any) -> str:
    """A JWT as ConvertAPI's customers make it: `kid` and `exp`."""
    parts = ({"alg": "HS256", "typ": "JWT", "kid": key.id}, {"exp": time.time() + 600} | claims)
    text = b".".join(base64.urlsafe_b64encode(json.dumps(one).encode()) for one in parts)
    text = text.replace(b"=", b"")
    signature = hmac.new(key.secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


async def test_a_token_is_taken_wherever_a_key_is(service: Service, customer: Customer) -> None:
    token = await issued(service, customer)
    assert (await convert(service, token)).status == 200
    asked = await service.ask(
        "POST", f"/convert/png/to/jpg?Token={token}&ApiKey=1", data=picture(), headers=NAMED
    )
    assert asked.status == 200
    form = aiohttp.FormData({"Token": token})
    form.add_field("File", picture(), filename="a.png")
    assert (await service.ask("POST", "/convert/png/to/jpg", data=form)).status == 200
    assert (await service.ask("POST", "/upload", data=b"x", headers=NAMED)).status == 200
    await service.quiet()
    assert await service.kinds(customer) == ["consumption"] * 3


async def test_a_token_that_its_owner_signed_is_taken_until_it_expires(
    service: Service, customer: Customer
) -> None:
    key = await made(service, customer, KeyKind.SIGNING)
    assert (await convert(service, self_signed(key))).status == 200
    for wrong in (
        self_signed(key, exp=time.time() - 1),
        self_signed(key)[:-2] + "AA",
        key.secret,
    ):
        reply = await convert(service, wrong)
        assert code(reply) == (401, 4010 if wrong == key.secret else 4012)


async def test_a_token_for_one_request_is_good_for_one(
    service: Service, customer: Customer
) -> None:
    token = await issued(service, customer, one_shot=True)
    assert (await convert(service, token)).status == 200
    assert code(await convert(service, token)) == (401, 4012)


async def test_what_a_token_may_not_is_refused_before_anything_is_charged(
    service: Service, customer: Customer
) -> None:
    other = await issued(service, customer, operations=["png/webp"])
    small = await issued(service, customer, bytes_max=10)
    reader = await issued(service, customer, scopes=["account:read"])
    assert code(await convert(service, other)) == (403, 403)
    assert code(await convert(service, small)) == (413, 413)
    assert code(await convert(service, reader)) == (403, 403)
    user = await service.ask("GET", "/user", headers={"Authorization": f"Bearer {reader}"})
    assert user.status == 200
    # What a form brings is measured, and what it says who asks is held to the same.
    form = aiohttp.FormData({"Token": small})
    form.add_field("File", picture(), filename="a.png")
    assert code(await service.ask("POST", "/convert/png/to/jpg", data=form)) == (413, 413)
    assert await service.kinds(customer) == []


async def test_a_key_that_is_bound_to_other_addresses_is_refused_in_a_form_too(
    service: Service, customer: Customer
) -> None:
    key = await made(service, customer, addresses=(network("192.0.2.0/24"),))
    assert code(await convert(service, key.secret)) == (403, 403)
    plain = {"Secret": key.secret, "File": "a" * 32}
    assert code(await service.ask("POST", "/convert/png/to/jpg", data=plain)) == (403, 403)


async def test_a_key_whose_cap_is_reached_is_told_as_an_empty_balance(
    service: Service, customer: Customer
) -> None:
    key = await made(service, customer, day_max=1)
    assert (await convert(service, key.secret)).status == 200
    assert code(await convert(service, key.secret)) == (401, 4014)


async def test_a_test_key_converts_for_nothing(service: Service, customer: Customer) -> None:
    key = await made(service, customer, KeyKind.TEST)
    reply = await convert(service, key.secret)
    # Clients insist on a cost above 0; what was charged is in the header.
    assert (reply.json["ConversionCost"], reply.headers["X-Credits-Used"]) == (1, "0")
    assert await service.kinds(customer) == []


async def test_a_key_without_the_scope_uploads_nothing(
    service: Service, customer: Customer
) -> None:
    key = await made(service, customer, scopes=frozenset({Scope.ACCOUNT_READ}))
    headers = NAMED | {"Authorization": f"Bearer {key.secret}"}
    assert code(await service.ask("POST", "/upload", data=b"x", headers=headers)) == (403, 403)
