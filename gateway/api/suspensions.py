"""`/v1/staff/accounts/{account}/suspension`: staff shut an account or a key out, each on record."""

from datetime import UTC
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway import state
from gateway.api.answers import answer
from gateway.errors import RequestMalformed
from gateway.json_body import body_of
from gateway.operations import Suspend, Unsuspend
from gateway.people.sessions import person_of
from ledger.errors import AccountUnknown
from ledger.limits.suspensions import REASON_CHARS_MAX

ACCOUNT_MAX = 2**53
DIGITS_MAX = len(str(ACCOUNT_MAX))
KEY_CHARS_MAX = 40


class SuspensionWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to be shut out, and why: its owners are told by mail."""

    reason: Annotated[str, Meta(min_length=1, max_length=REASON_CHARS_MAX)]
    # One API key alone, by its id or its prefix.
    key: Annotated[str, Meta(min_length=1, max_length=KEY_CHARS_MAX)] | None = None


class SuspensionItem(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is shut out."""

    # null: the whole account.
    key: str | None
    reason: str
    since: str


class SuspensionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """What of an account is shut out; empty: nothing."""

    account: int
    suspensions: tuple[SuspensionItem, ...]


async def show(request: web.Request) -> web.StreamResponse:
    """`GET`: what of the account is shut out."""
    account_id = await _account(request)
    return await _page(request, account_id)


async def suspend(request: web.Request) -> web.StreamResponse:
    """`POST`: shut it out."""
    account_id = await _account(request)
    wanted = await body_of(request, SuspensionWanted)
    order = Suspend(account=account_id, key=wanted.key, reason=wanted.reason)
    ledger = request.app[state.LEDGER]
    async with ledger.actions.recorded(
        actor=_actor(request),
        gateway=request.app[state.PROCESS].label,
        action="suspend",
        parameters=msgspec.json.encode(order).decode(),
    ):
        try:
            await ledger.suspensions.suspend(account_id, wanted.reason, wanted.key)
        except ValueError as error:
            raise RequestMalformed(str(error)) from error
    return await _page(request, account_id)


async def lift(request: web.Request) -> web.StreamResponse:
    """`DELETE`: let it in again; `?key=` one API key alone."""
    account_id, key = await _account(request), request.query.get("key")
    if key is not None and ("\x00" in key or not 1 <= len(key) <= KEY_CHARS_MAX):
        raise RequestMalformed("key is the id of an API key, or its prefix")
    ledger = request.app[state.LEDGER]
    async with ledger.actions.recorded(
        actor=_actor(request),
        gateway=request.app[state.PROCESS].label,
        action="unsuspend",
        parameters=msgspec.json.encode(Unsuspend(account=account_id, key=key)).decode(),
    ):
        await ledger.suspensions.lift(account_id, key)
    return await _page(request, account_id)


def _actor(request: web.Request) -> str:
    return f"person:{person_of(request).person_id}"


async def _account(request: web.Request) -> int:
    """The account of the address. Raises AccountUnknown."""
    text = request.match_info["account"]
    digits = text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
    if not digits or int(text) >= ACCOUNT_MAX:
        raise AccountUnknown("there is no such account")
    return (await request.app[state.LEDGER].accounts.get(int(text))).id


async def _page(request: web.Request, account_id: int) -> web.StreamResponse:
    found = await request.app[state.LEDGER].suspensions.list(account_id)
    return answer(
        SuspensionsPage(
            account=account_id,
            suspensions=tuple(
                SuspensionItem(
                    key=one.key_id,
                    reason=one.reason,
                    since=one.since.astimezone(UTC).isoformat().replace("+00:00", "Z"),
                )
                for one in found
            ),
        )
    )
