"""The service about itself: its OpenAPI description and the meaning of its problem codes."""

import msgspec
from aiohttp import hdrs, web

from gateway import problems, state
from gateway.api.answers import answer, encoded
from gateway.api.formats import CACHE
from gateway.errors import RouteUnknown
from gateway.receipts import KeySet


class ProblemPage(msgspec.Struct, frozen=True, kw_only=True):
    """What one problem code means."""

    code: str
    status: int
    title: str
    meaning: str
    retryable: bool


async def openapi(request: web.Request) -> web.StreamResponse:
    """`GET /openapi.json`."""
    response = encoded(request.app[state.OPENAPI_PAGE])
    response.headers[hdrs.CACHE_CONTROL] = CACHE
    return response


async def receipt_keys(request: web.Request) -> web.StreamResponse:
    """`GET /.well-known/ephemera-receipts.json`: what receipts are checked with."""
    return answer(KeySet(request.app[state.RECEIPTS].keys.published()))


async def problem(request: web.Request) -> web.StreamResponse:
    """`GET /problems/{code}`: where a problem document's `type` points."""
    page = PAGES.get(request.match_info["code"])
    if page is None:
        raise RouteUnknown("there is no problem with this code")
    return answer(page)


def _pages() -> dict[str, ProblemPage]:
    pages: dict[str, ProblemPage] = {}
    for error, kind in (*problems.KINDS.items(), (Exception, problems.UNFORESEEN)):
        paragraph = (error.__doc__ or "").strip().partition("\n\n")[0]
        meaning = kind.detail or " ".join(paragraph.split())
        pages.setdefault(
            kind.code,
            ProblemPage(
                code=kind.code,
                status=kind.status,
                title=kind.title,
                meaning=meaning,
                retryable=kind.retryable,
            ),
        )
    return pages


PAGES = _pages()
