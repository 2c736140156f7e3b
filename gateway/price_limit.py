"""`X-Max-Credits`: a client says what its request may cost; what costs more is refused unpaid.

Before the body where the head tells the price, or that it is more in any case; otherwise before the
debit. With a test key nothing costs anything, so nothing is refused.
"""

from collections.abc import Iterable

from aiohttp import web

from gateway import state, uploads
from gateway.errors import RequestMalformed
from gateway.pricing import LIMIT_HEADER, WEIGHTS, demand, size_factor

HEADER = LIMIT_HEADER
# Below 2^53, and more than anybody has.
_DIGITS_MAX = 15


def limit_of(request: web.Request) -> int | None:
    """What the request may cost; None where nothing is said. Raises RequestMalformed."""
    header = request.headers.get(HEADER)
    if header is None:
        return None
    if not header.isascii() or not header.isdigit() or len(header) > _DIGITS_MAX:
        raise RequestMalformed(f"{HEADER} is a whole number of credits")
    return None if request[state.CALLER].terms.free else int(header)


def check_head(request: web.Request, converters: Iterable[str], *, files: int = 1) -> None:
    """Refuse what these converters cost at the least, for each of so many files.

    Raises PriceAboveLimit, RequestMalformed.
    """
    limit = limit_of(request)
    if limit is None:
        return
    # Around the files of a form there is more, and a stored file is not in the body.
    announced = 0 if uploads.is_multipart(request) else request.content_length or 0
    least = sum(WEIGHTS[name] for name in converters) * files * size_factor(announced)
    demand(least, limit)


def check(request: web.Request, credits: int) -> int:
    """Give the price, if the request may cost that. Raises PriceAboveLimit."""
    return demand(credits, limit_of(request))
