"""`/user` and `/user/statistic`: whose key it is, and what was used, as ConvertAPI tells it.

Credits are its conversions: what was consumed and not refunded, and what is left. A key of the
account is enough here; ConvertAPI asks for a master token, which is nothing we have. It shows the
key's name, not the key, and no address of a person: none is known.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime

import msgspec
from aiohttp import hdrs, web

from gateway import state
from gateway.api.account import CSV, USAGE_DAYS_MAX, first_day
from gateway.api.answers import encoded
from gateway.errors import ParametersInvalid
from ledger.credits.history import Usage

_CHARGED = frozenset({"consumption", "refund"})


class UserPage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The account of the key that asks."""

    # The key by its name; it is shown once, when it is made.
    secret: str
    # The account's number: an integer, as clients of ten years ago want one.
    api_key: int
    active: bool
    full_name: str
    email: str
    conversions_total: int
    conversions_consumed: int
    # active, frozen or closed.
    status: str


class DayLine(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What was used on one day of UTC."""

    date: str
    # Conversions that were charged, and those of them that were refunded.
    conversions: int
    refunded: int
    # Credits, refunds taken off.
    conversions_consumed: int


async def show(asked: web.Request) -> web.StreamResponse:
    """`GET /user`."""
    ledger, caller = asked.app[state.LEDGER], asked[state.CALLER]
    account = await ledger.accounts.get(caller.account_id)
    first = account.created_at.astimezone(UTC).date()
    usage = await ledger.usage(account.id, first, _today(), by_day=False)
    consumed = _consumed(usage)
    user = UserPage(
        secret=caller.key_id,
        api_key=account.id,
        active=account.status == "active",
        full_name=account.name,
        email="",
        conversions_total=consumed + account.balance,
        conversions_consumed=consumed,
        status=account.status,
    )
    return encoded(msgspec.json.encode(user))


async def statistic(asked: web.Request) -> web.StreamResponse:
    """`GET /user/statistic?startDate=&endDate=`: day by day, as JSON or CSV."""
    last = _day(asked, "endDate", _today())
    first = _day(asked, "startDate", first_day(last))
    if not 0 <= (last - first).days < USAGE_DAYS_MAX:
        raise ParametersInvalid(
            {"startDate": [f"The value must be at most {USAGE_DAYS_MAX} days before endDate."]}
        )
    ledger, account_id = asked.app[state.LEDGER], asked[state.CALLER].account_id
    days = days_of(await ledger.usage(account_id, first, last, by_day=True))
    kinds = asked.headers.get(hdrs.ACCEPT, "").lower().split(",")
    if CSV in (one.partition(";")[0].strip() for one in kinds):
        return web.Response(text=_rows(days), content_type=CSV, charset="utf-8")
    return encoded(msgspec.json.encode(days))


def days_of(usage: Iterable[Usage]) -> list[DayLine]:
    """Days with conversions on them, the oldest first. Pure."""
    by_day: dict[date, list[Usage]] = {}
    for one in usage:
        if one.day is not None and one.kind in _CHARGED:
            by_day.setdefault(one.day, []).append(one)
    return [
        DayLine(
            date=day.isoformat(),
            conversions=_count(lines, "consumption"),
            refunded=_count(lines, "refund"),
            conversions_consumed=_consumed(lines),
        )
        for day, lines in sorted(by_day.items())
    ]


def _consumed(usage: Iterable[Usage]) -> int:
    """Credits; what was taken has a negative sign in the books."""
    return -sum(one.credits for one in usage if one.kind in _CHARGED)


def _count(usage: Iterable[Usage], kind: str) -> int:
    return sum(one.entries for one in usage if one.kind == kind)


def _rows(days: Sequence[DayLine]) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow([field.encode_name for field in msgspec.structs.fields(DayLine)])
    rows.writerows(msgspec.structs.astuple(day) for day in days)
    return text.getvalue()


def _today() -> date:
    return datetime.now(UTC).date()


def _day(asked: web.Request, name: str, default: date) -> date:
    found = (value for one, value in asked.query.items() if one.lower() == name.lower())
    text = next(found, "")
    if not text:
        return default
    try:
        return msgspec.convert(text, date)
    except msgspec.ValidationError as error:
        raise ParametersInvalid({name: ["The value must be a day, as 2026-11-20."]}) from error
