"""Pages of other origins, which use this surface as ConvertAPI's JavaScript does (CORS).

A browser lets a page read an answer where the answer names the page's origin, and asks before it
sends a key (the preflight, an OPTIONS request without credentials). Which origins those are the
operator says (`convertapi.origins`); nothing is said to others. There are no cookies here, so an
origin that is let in can do what it has a key or an id for, and nothing else. See the Fetch
standard, "CORS protocol".
"""

import re
from collections.abc import Iterable

from aiohttp import hdrs, web

ANY = "*"
METHODS = "GET, HEAD, POST, DELETE"
SENT = "Authorization, Content-Disposition, Content-Type, Range"
READ = (
    "Content-Disposition, Content-Range, Retry-After, X-Credits-Remaining, X-Credits-Used,"
    " X-File-Expires, X-Ignored-Parameters, X-Request-Id"
)
# A browser asks again after so long: a change of the operator's holds within minutes.
PREFLIGHT_S = 600

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(?::\d{1,5})?|https?://\[[0-9a-f:]+\](?::\d{1,5})?")


def check(origins: Iterable[str]) -> None:
    """Raise ValueError for what is no origin as browsers write it."""
    for one in origins:
        if one != ANY and not _ORIGIN.fullmatch(one):
            raise ValueError(
                f"{one[:80]!r} is no origin: write https://app.example, without a path, or * for"
                " every one"
            )


def mark(origins: tuple[str, ...], asked: web.Request, response: web.StreamResponse) -> None:
    """Tell a browser that this page may read the answer, or send what it asked about."""
    if not origins:
        return
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
    origin = asked.headers.get(hdrs.ORIGIN)
    if origin is None or not {origin, ANY} & set(origins):
        return
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    if asked.method != hdrs.METH_OPTIONS:
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = READ
        return
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = METHODS
    response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = SENT
    response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(PREFLIGHT_S)
