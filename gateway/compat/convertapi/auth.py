"""Who asks, in all the ways in which ConvertAPI's clients of ten years say so.

Now: `Authorization: Bearer` with an API key or a JWT. Before: `?Secret=`, or `?Token=` with a
number `ApiKey` that says nothing here; both also as fields of a form; and HTTP Basic, with the key
as password or as user. All of them are an API key of ours, or a token that one has issued. On this
surface only: a key in a query ends up in logs of proxies, which its newer clients avoid.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Literal

import msgspec
from aiohttp import hdrs, web

from gateway import state
from gateway.compat.convertapi import errors
from gateway.compat.convertapi.fields import Fields
from gateway.errors import SurfaceRefused
from gateway.tokens.tokens import caller_of_jwt
from ledger.accounts.keys import Caller

# The longest that can be one of our keys, and the longest JWT: claims of ours are far below.
KEY_CHARS_MAX = 256
JWT_CHARS_MAX = 4096

_JWT = re.compile(r"[\w-]+\.[\w-]+\.[\w-]*")
_REFUSED: Mapping[str, tuple[int, str]] = {
    "bearer": (errors.BAD_SECRET, "this API key is not valid; make a new one"),
    "secret": (errors.BAD_SECRET, "this Secret is not valid: it is an API key of your account"),
    "basic": (errors.BAD_SECRET, "Basic takes an API key as its password"),
    "token": (errors.BAD_TOKEN, "this Token is not valid: it expired, was used up, or never was"),
    "jwt": (errors.BAD_JWT, "this JWT is not valid: it expired, or its key does not fit"),
}


class Credentials(msgspec.Struct, frozen=True):
    """What somebody shows; must reach neither a log nor a message."""

    kind: Literal["bearer", "secret", "basic", "token"]
    text: str

    def __repr__(self) -> str:
        return f"Credentials({self.kind})"


async def caller_of(app: web.Application, shown: Credentials) -> Caller:
    """Whose they are. Raises SurfaceRefused: 4010, 4011 or 4012."""
    kind: str = shown.kind
    caller = None
    if _JWT.fullmatch(shown.text):
        kind = "jwt"
        if len(shown.text) <= JWT_CHARS_MAX:
            caller = await caller_of_jwt(app, shown.text)
    elif len(shown.text) <= KEY_CHARS_MAX:
        caller = await app[state.LEDGER].keys.authenticate(shown.text)
    if caller is None:
        code, sentence = _REFUSED[kind]
        raise SurfaceRefused(sentence, code=code)
    return caller


def of_head(request: web.Request) -> Credentials | None:
    """What the header or the query shows; the header counts first. Raises SurfaceRefused."""
    scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    match scheme.lower(), text.strip():
        case "bearer", shown if shown:
            return Credentials("bearer", shown)
        case "basic", encoded:
            return _basic(encoded)
    return _of_pairs({name.lower(): value for name, value in request.query.items()})


def of_fields(fields: Fields) -> Credentials | None:
    """What a form shows."""
    last = {name: values[-1] for name, values in fields.values.items() if values}
    return _of_pairs({name: one for name, one in last.items() if isinstance(one, str)})


def missing() -> SurfaceRefused:
    """Nobody said who they are."""
    return SurfaceRefused(
        "send your API key in the header Authorization: Bearer KEY, or as Secret=KEY",
        code=errors.NO_CREDENTIALS,
    )


def _of_pairs(pairs: Mapping[str, str]) -> Credentials | None:
    if secret := pairs.get("secret", "").strip():
        return Credentials("secret", secret)
    if token := pairs.get("token", "").strip():
        return Credentials("token", token)
    return None


def _basic(encoded: str) -> Credentials:
    """`user:password`, one of which is the key. Raises SurfaceRefused (4017)."""
    try:
        plain = base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        plain = ""
    if not plain:
        raise SurfaceRefused(
            "the header says Basic, and what follows is not base64 of user:password",
            code=errors.BAD_BASIC,
        )
    user, _, password = plain.partition(":")
    return Credentials("basic", password.strip() or user.strip())
