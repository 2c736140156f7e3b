"""The front door of tokens: who shows one.

caller = await caller_of_jwt(app, text)       # None: not good, or no longer
"""

from aiohttp import web

from gateway import state
from ledger.accounts.caller import Caller


def looks_like_jwt(text: str) -> bool:
    """Say whether it is worth a look: three parts; an API key has no dot."""
    return text.count(".") == 2  # noqa: PLR2004 (header.payload.signature)


async def caller_of_jwt(app: web.Application, text: str) -> Caller | None:
    """Who shows this token; None for one that is not good. Raises LedgerUnavailable."""
    return await app[state.TOKEN_DESK].caller(text)
