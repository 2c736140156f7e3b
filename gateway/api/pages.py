"""Pages of a list that is ordered by a time and an id, the newest first."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from aiohttp import web

from gateway.asked import whole_of
from gateway.errors import RequestMalformed

LIMIT = 50
LIMIT_MAX = 200
_CURSOR_CHARS_MAX = 100

T = TypeVar("T")


def limit_of(request: web.Request) -> int:
    """How many a page holds. Raises RequestMalformed."""
    limit = whole_of(request, "limit", LIMIT)
    if not 1 <= limit <= LIMIT_MAX:
        raise RequestMalformed(f"limit is a whole number from 1 to {LIMIT_MAX}")
    return limit


def before_of(request: web.Request) -> tuple[datetime, str] | None:
    """Where the page goes on. Raises RequestMalformed."""
    text = request.query.get("cursor")
    if text is None:
        return None
    at, _, name = text.partition("_")
    try:
        moment = datetime.fromisoformat(at)
    except ValueError as error:
        raise RequestMalformed("cursor is `next` of the page before") from error
    if moment.tzinfo is None or not name.isascii() or len(text) > _CURSOR_CHARS_MAX:
        raise RequestMalformed("cursor is `next` of the page before")
    return moment, name


def next_of(
    found: Sequence[T], limit: int, place: Callable[[T], tuple[datetime, str]]
) -> str | None:
    """The cursor of the next page, where one more than the page holds was found."""
    if len(found) <= limit:
        return None
    at, name = place(found[limit - 1])
    return f"{at.isoformat().replace('+00:00', 'Z')}_{name}"
