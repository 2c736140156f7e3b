"""`/v1/keys`: an account's API keys: made, listed, replaced and revoked by a key that may do that.

Whoever makes a key cannot give it more than they have: scopes, operations, an end. Otherwise a
key that is limited would be one request away from one that is not.
"""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from engine import formats
from engine.errors import FormatUnknown
from gateway import state
from gateway.api.answers import answer
from gateway.errors import PowersExceeded, RequestMalformed
from gateway.json_body import body_of
from ledger.accounts.caller import Caller
from ledger.accounts.keys import OVERLAP_MAX, ApiKey, NewKey
from ledger.accounts.rights import DEFAULT_SCOPES, KeyKind, Rights, Scope, network

OVERLAP = timedelta(days=1)
_Credits = Annotated[int, Meta(ge=1)]


class KeyItem(msgspec.Struct, frozen=True, kw_only=True):
    """An API key: everything but its secret."""

    id: str
    # What may be shown of it.
    prefix: str
    last_four: str
    label: str
    kind: KeyKind
    scopes: tuple[Scope, ...]
    # `SOURCE/TARGET` or `SOURCE/TARGET:OPERATION`, with `*` for any format; empty: all.
    operations: tuple[str, ...]
    # Addresses and networks from which it is taken; empty: from anywhere.
    addresses: tuple[str, ...]
    # Credits in a day and in a month of UTC; null: as many as the account has.
    day_max: int | None
    month_max: int | None
    created_at: str
    # When it ends; null: never.
    expires_at: str | None
    # When another key took its place.
    deprecated_at: str | None
    # Within seconds; null: never.
    last_used_at: str | None
    revoked_at: str | None


class MadeKeyPage(KeyItem, frozen=True, kw_only=True):
    """A key that was just made. Its secret is shown this once and kept nowhere."""

    secret: str


class KeysPage(msgspec.Struct, frozen=True, kw_only=True):
    """All keys of the account, the oldest first; revoked ones too."""

    keys: tuple[KeyItem, ...]


class KeyWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key to be made."""

    label: Annotated[str, Meta(min_length=1, max_length=200)]
    # `live`, `test` (converts small files for nothing) or `signing` (signs tokens, is never sent).
    kind: KeyKind = KeyKind.LIVE
    # All but those for other keys, where nothing is said.
    scopes: tuple[Scope, ...] | None = None
    operations: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    day_max: _Credits | None = None
    month_max: _Credits | None = None
    expires_at: datetime | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old key goes on."""

    overlap_s: Annotated[int, Meta(ge=0, le=int(OVERLAP_MAX.total_seconds()))] = int(
        OVERLAP.total_seconds()
    )


async def list_keys(request: web.Request) -> web.StreamResponse:
    """`GET /v1/keys`."""
    keys = await request.app[state.LEDGER].keys.list(request[state.CALLER].account_id)
    return answer(KeysPage(keys=tuple(_item(key) for key in keys)))


async def show_key(request: web.Request) -> web.StreamResponse:
    """`GET /v1/keys/{id}`."""
    return answer(_item(await _named(request)))


async def make_key(request: web.Request) -> web.StreamResponse:
    """`POST /v1/keys`."""
    caller, wanted = request[state.CALLER], await body_of(request, KeyWanted)
    rights = _rights(caller, wanted)
    _check_powers(caller, rights, wanted.kind)
    try:
        made = await request.app[state.LEDGER].keys.create(
            caller.account_id, wanted.label, rights, kind=wanted.kind
        )
    except ValueError as error:
        raise RequestMalformed(str(error)) from error
    await _tell(request, made)
    return _made(made)


async def rotate_key(request: web.Request) -> web.StreamResponse:
    """`POST /v1/keys/{id}/rotate`."""
    caller, rotation = request[state.CALLER], await body_of(request, Rotation)
    key = await _named(request)
    rights = Rights(scopes=key.scopes, operations=key.operations, expires_at=key.expires_at)
    # Its secret would be in the answer: whoever gets it has these powers.
    _check_powers(caller, rights, key.kind)
    made = await request.app[state.LEDGER].keys.rotate(
        caller.account_id, key.id, timedelta(seconds=rotation.overlap_s)
    )
    await _tell(request, made)
    return _made(made)


async def revoke_key(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/keys/{id}`."""
    caller = request[state.CALLER]
    await request.app[state.LEDGER].keys.revoke(request.match_info["id"], caller.account_id)
    return web.Response(status=204)


def check_formats(operations: tuple[str, ...]) -> None:
    """Raise RequestMalformed for a list that names a format which does not exist."""
    for pattern in operations:
        for name in pattern.partition(":")[0].split("/"):
            try:
                known = name == "*" or formats.find(name).name == name
            except FormatUnknown:
                known = False
            if not known:
                raise RequestMalformed(
                    f"operations: {name[:60]!r} is no format by its own name; see GET /v1/formats"
                )


def moment(when: datetime | None) -> str | None:
    """A time as RFC 3339 has it."""
    return None if when is None else when.astimezone(UTC).isoformat().replace("+00:00", "Z")


async def _named(request: web.Request) -> ApiKey:
    return await request.app[state.LEDGER].keys.get(
        request[state.CALLER].account_id, request.match_info["id"]
    )


def _rights(caller: Caller, wanted: KeyWanted) -> Rights:
    scopes = frozenset(wanted.scopes) if wanted.scopes is not None else None
    if scopes is None:
        # What is usual, as far as the maker has it.
        scopes = frozenset(scope for scope in DEFAULT_SCOPES if scope in caller.scopes)
    try:
        rights = Rights(
            scopes=scopes,
            operations=wanted.operations,
            addresses=tuple(network(text) for text in wanted.addresses),
            day_max=wanted.day_max,
            month_max=wanted.month_max,
            expires_at=wanted.expires_at,
        )
    except ValueError as error:
        raise RequestMalformed(str(error)) from error
    check_formats(rights.operations)
    return rights


def _check_powers(caller: Caller, rights: Rights, kind: KeyKind) -> None:
    """Raise PowersExceeded where the key could do what its maker cannot."""
    if not rights.scopes <= caller.scopes:
        more = ", ".join(sorted(rights.scopes - caller.scopes))
        raise PowersExceeded(f"your own key does not have the scopes: {more}")
    if caller.test and kind is not KeyKind.TEST:
        raise PowersExceeded("a test key makes test keys only")
    limits = caller.terms.operations
    if limits and not (rights.operations and set().union(*limits).issuperset(rights.operations)):
        raise PowersExceeded("your own key is limited to some operations; name some of these")
    if caller.expires_at is not None and (
        rights.expires_at is None or rights.expires_at > caller.expires_at
    ):
        raise PowersExceeded("your own key ends; give this one an expires_at that is no later")


async def _tell(request: web.Request, made: NewKey) -> None:
    """Let the owners know of a key that they may not have wanted."""
    person = request.get(state.PERSON)
    await request.app[state.LEDGER].people.members.tell_of_key(
        made.account_id,
        label=made.label,
        prefix=made.key.prefix,
        by=None if person is None else person.name or person.address,
    )


def _made(made: NewKey) -> web.StreamResponse:
    response = answer(
        MadeKeyPage(**msgspec.structs.asdict(_item(made.key)), secret=made.secret), 201
    )
    response.headers["Location"] = f"/v1/keys/{made.id}"
    return response


def _item(key: ApiKey) -> KeyItem:
    return KeyItem(
        id=key.id,
        prefix=key.prefix,
        last_four=key.last_four,
        label=key.label,
        kind=key.kind,
        scopes=tuple(sorted(key.scopes)),
        operations=key.operations,
        addresses=tuple(str(one) for one in key.addresses),
        day_max=key.day_max,
        month_max=key.month_max,
        created_at=moment(key.created_at) or "",
        expires_at=moment(key.expires_at),
        deprecated_at=moment(key.deprecated_at),
        last_used_at=moment(key.last_used_at),
        revoked_at=moment(key.revoked_at),
    )
