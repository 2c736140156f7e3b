"""`/v1/tokens`: short-lived tokens for browsers and one-off uploads, and the keys to check them."""

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway import state
from gateway.api.answers import answer
from gateway.api.keys import check_formats, moment
from gateway.errors import PowersExceeded, RequestMalformed
from gateway.json_body import body_of
from gateway.tokens.desk import LIFETIME_S, LIFETIME_S_MAX, Wanted
from ledger.accounts.rights import (
    ADDRESSES_MAX,
    TOKEN_SCOPES,
    Scope,
    check_operations,
    network,
)

# The next key is published a whole period before it signs, so an old copy does no harm.
_KEYS_CACHED = "public, max-age=300"


class TokenWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to be issued. It can do no more than the key that asks for it."""

    lifetime_s: Annotated[int, Meta(ge=1, le=LIFETIME_S_MAX)] = LIFETIME_S
    scopes: tuple[Scope, ...] = (Scope.CONVERT,)
    # As those of keys; empty: what the key may.
    operations: tuple[str, ...] = ()
    # What one request may carry.
    bytes_max: Annotated[int, Meta(ge=1)] | None = None
    # Good for the first request that shows it, and no other.
    one_shot: bool = False
    # Addresses and networks from which it is taken; empty: from anywhere.
    addresses: Annotated[tuple[str, ...], Meta(max_length=ADDRESSES_MAX)] = ()


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """A token. It is shown this once and kept nowhere."""

    token: str
    # What it is revoked by.
    jti: str
    expires_at: str
    token_type: str = "Bearer"  # noqa: S105 -- RFC 6749's word, no secret


async def issue_token(request: web.Request) -> web.StreamResponse:
    """`POST /v1/tokens`."""
    caller, wanted = request[state.CALLER], await body_of(request, TokenWanted)
    try:
        check_operations(wanted.operations)
        addresses = tuple(str(network(text)) for text in wanted.addresses)
    except ValueError as error:
        raise RequestMalformed(str(error)) from error
    check_formats(wanted.operations)
    scopes = frozenset(wanted.scopes)
    if not scopes:
        raise RequestMalformed("scopes: a token without a scope opens nothing; give it one")
    if beyond := scopes - (caller.scopes & TOKEN_SCOPES):
        raise PowersExceeded(
            f"a token of this key cannot have the scopes: {', '.join(sorted(beyond))}"
        )
    issued = await request.app[state.TOKEN_DESK].issue(
        caller,
        Wanted(
            scopes=scopes,
            lifetime_s=wanted.lifetime_s,
            operations=wanted.operations,
            bytes_max=wanted.bytes_max,
            one_shot=wanted.one_shot,
            addresses=addresses,
        ),
    )
    page = TokenPage(token=issued.token, jti=issued.jti, expires_at=moment(issued.expires_at) or "")
    return answer(page, 201)


async def revoke_token(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/tokens/{jti}`."""
    account_id = request[state.CALLER].account_id
    try:
        await request.app[state.TOKEN_DESK].deny(account_id, request.match_info["jti"])
    except ValueError as error:
        raise RequestMalformed(str(error)) from error
    return web.Response(status=204)


async def revoke_tokens(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/tokens`: all that were issued or signed until now."""
    await request.app[state.TOKEN_DESK].deny_all(request[state.CALLER].account_id)
    return web.Response(status=204)


async def token_keys(request: web.Request) -> web.StreamResponse:
    """`GET /.well-known/jwks.json`."""
    response = answer(await request.app[state.TOKEN_DESK].published())
    response.headers["Cache-Control"] = _KEYS_CACHED
    return response
