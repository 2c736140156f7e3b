"""How the ConvertAPI surface finds its callers and tells its errors, for the middlewares."""

from collections.abc import Iterable
from typing import Any

from aiohttp import web

from gateway import permits, problems, state
from gateway.compat.convertapi import auth, errors, origins, request
from gateway.compat.convertapi.errors import Attempt, Refusal
from gateway.endpoint import Access
from gateway.limits import guard
from ledger.accounts.keys import Caller

# What was tried, where that decides what a failure is called.
ATTEMPT = web.RequestKey("convertapi_attempt", Attempt)


class ConvertApi:
    """The dialect of all rows of this surface."""

    media_type: str = errors.MEDIA_TYPE
    document: Any = Refusal

    async def caller(self, asked: web.Request, access: Access) -> Caller | None:
        """Who asks. None where nobody has to, or where the body may still say.

        Raises SurfaceRefused with a code of ConvertAPI's.
        """
        shown = auth.of_head(asked)
        if shown is not None:
            return await auth.caller_of(asked.app, shown)
        if access is Access.VISITOR or request.carries_form(asked):
            return None
        raise auth.missing()

    def response_to(self, asked: web.Request, error: BaseException) -> web.Response:
        """The answer to an error."""
        return errors.response_to(error, asked.get(ATTEMPT, Attempt()))

    def mark(self, asked: web.Request, response: web.StreamResponse) -> None:
        """What every answer says to browsers."""
        origins.mark(asked.app[state.SETTINGS].convertapi.origins, asked, response)

    def refusals(self, raised: Iterable[type[Exception]]) -> dict[int, list[str]]:
        """Codes by HTTP status, of errors that a row can end in: for its description."""
        found: dict[int, list[str]] = {}
        for kind in (problems.KINDS[error] for error in raised):
            told = errors.told_of(kind.code, kind.title)
            listed = found.setdefault(told.status, [])
            if str(told.document.code) not in listed:
                listed.append(str(told.document.code))
        return found


async def identified(asked: web.Request, shown: auth.Credentials | None) -> None:
    """Note who asks, where the head did not say. Raises SurfaceRefused."""
    if state.CALLER in asked:
        return
    if shown is None:
        raise auth.missing()
    with guard.refusals_counted(asked):
        caller = await auth.caller_of(asked.app, shown)
    endpoint = asked.app[state.ENDPOINTS][asked.match_info.handler]
    asked[state.CALLER] = permits.admit(asked, caller, endpoint)
    guard.admit(asked, endpoint)
