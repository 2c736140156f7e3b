"""`/v1/webhooks`: addresses that hear how tasks end, their secrets, and the log of their calls."""

from collections.abc import Sequence
from typing import Literal

import msgspec
from aiohttp import web

from gateway import state
from gateway.api.answers import answer
from gateway.asked import DIGITS_MAX, whole_of
from gateway.errors import RequestMalformed
from gateway.storing import moment
from gateway.tasks.asked import URL_CHARS_MAX
from ledger.errors import DeliveryUnknown
from ledger.tasks.deliveries import Delivery
from ledger.tasks.hooks import Hook
from ledger.tasks.states import EVENTS

LIMIT = 50
# A page of 200 deliveries with ten attempts each is about 200 KB of JSON.
LIMIT_MAX = 200

EventName = Literal[
    "task.succeeded", "task.failed", "task.cancelled", "task.timed_out", "task.expired"
]


class NewHook(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an endpoint is made of."""

    url: str
    # Left out: all. Empty: only tasks that name the endpoint.
    events: tuple[EventName, ...] | None = None


class HookItem(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint."""

    id: str
    url: str
    events: tuple[str, ...]
    # active or disabled.
    status: str
    # Why it is disabled: gone (it answered 410), failing, backlog.
    reason: str | None
    # Since when no call succeeded, where one failed.
    failing_since: str | None
    created_at: str


class HookMade(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint and its secret, which is shown this once."""

    webhook: HookItem
    secret: str


class HooksPage(msgspec.Struct, frozen=True, kw_only=True):
    """All endpoints of the account, the oldest first."""

    webhooks: tuple[HookItem, ...]


class TryItem(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. Without a status nobody answered; the error says why, or `status`."""

    at: str
    status: int | None
    error: str | None


class DeliveryItem(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint."""

    # Names it here; `webhook_id` is what the receiver sees, the same at every attempt.
    id: str
    webhook_id: str
    event: str
    task: str
    # waiting, sending, delivered, failed or dropped (its endpoint was disabled).
    state: str
    # Of this round; a replay begins a new one.
    attempts: int
    tries: tuple[TryItem, ...]
    created_at: str
    ended_at: str | None
    next_at: str | None


class DeliveriesPage(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries of an endpoint, the newest first; kept for a week after they ended."""

    deliveries: tuple[DeliveryItem, ...]
    # The `cursor` of the next page; null at the end.
    next: str | None


async def create(request: web.Request) -> web.StreamResponse:
    """`POST /v1/webhooks`."""
    wanted = _parse(await request.read())
    if len(wanted.url) > URL_CHARS_MAX:
        raise RequestMalformed(f"url has at most {URL_CHARS_MAX} characters")
    request.app[state.OUTBOUND].check_hook(wanted.url)
    events: Sequence[str] = EVENTS if wanted.events is None else sorted(set(wanted.events))
    hook, secret = await request.app[state.LEDGER].hooks.create(
        request[state.CALLER].account_id, wanted.url, events
    )
    response = answer(HookMade(webhook=_item(hook), secret=secret), web.HTTPCreated.status_code)
    response.headers["Location"] = f"/v1/webhooks/{hook.id}"
    return response


async def list_hooks(request: web.Request) -> web.StreamResponse:
    """`GET /v1/webhooks`."""
    found = await request.app[state.LEDGER].hooks.list(request[state.CALLER].account_id)
    return answer(HooksPage(webhooks=tuple(_item(one) for one in found)))


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/webhooks/{id}`."""
    return answer(_item(await request.app[state.LEDGER].hooks.get(*_named(request))))


async def delete(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/webhooks/{id}`: it, its log, and what it was still to hear."""
    await request.app[state.LEDGER].hooks.delete(*_named(request))
    return web.Response(status=web.HTTPNoContent.status_code)


async def rotate(request: web.Request) -> web.StreamResponse:
    """`POST /v1/webhooks/{id}/rotate`: a new secret; the old one signs as well for a day."""
    hooks = request.app[state.LEDGER].hooks
    secret = await hooks.rotate(*_named(request))
    return answer(HookMade(webhook=_item(await hooks.get(*_named(request))), secret=secret))


async def enable(request: web.Request) -> web.StreamResponse:
    """`POST /v1/webhooks/{id}/enable`: after it was disabled."""
    return answer(_item(await request.app[state.LEDGER].hooks.enable(*_named(request))))


async def list_deliveries(request: web.Request) -> web.StreamResponse:
    """`GET /v1/webhooks/{id}/deliveries`."""
    ledger = request.app[state.LEDGER]
    before = whole_of(request, "cursor", 0) or None
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    await ledger.hooks.get(*_named(request))
    found = await ledger.deliveries.list(*_named(request), before_seq=before, limit=limit + 1)
    page = found[:limit]
    more = len(found) > limit
    return answer(
        DeliveriesPage(
            deliveries=tuple(_delivery(one) for one in page),
            next=str(page[-1].seq) if more else None,
        )
    )


async def replay(request: web.Request) -> web.StreamResponse:
    """`POST /v1/webhooks/{id}/deliveries/{delivery}/replay`: send it again, under its old id."""
    text = request.match_info["delivery"]
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS_MAX:
        raise DeliveryUnknown("there is no such delivery of this webhook, or not any more")
    found = await request.app[state.LEDGER].deliveries.replay(*_named(request), int(text))
    return answer(_delivery(found), web.HTTPAccepted.status_code)


def _named(request: web.Request) -> tuple[int, str]:
    return request[state.CALLER].account_id, request.match_info["id"]


def _parse(body: bytes) -> NewHook:
    try:
        return msgspec.json.decode(body, type=NewHook)
    except msgspec.ValidationError as error:
        raise RequestMalformed(f"this webhook cannot be: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestMalformed('the body is JSON: {"url": "https://..."}') from error


def _item(hook: Hook) -> HookItem:
    return HookItem(
        id=hook.id,
        url=hook.url,
        events=hook.events,
        status=hook.status,
        reason=hook.reason,
        failing_since=moment(hook.failing_since) if hook.failing_since else None,
        created_at=moment(hook.created_at),
    )


def _delivery(one: Delivery) -> DeliveryItem:
    return DeliveryItem(
        id=str(one.seq),
        webhook_id=one.event_id,
        event=one.event,
        task=one.task_id,
        state=one.state,
        attempts=one.attempts,
        tries=tuple(
            TryItem(at=moment(each.at), status=each.status, error=each.error) for each in one.log
        ),
        created_at=moment(one.created_at),
        ended_at=moment(one.ended_at) if one.ended_at else None,
        next_at=moment(one.next_at) if one.next_at else None,
    )
