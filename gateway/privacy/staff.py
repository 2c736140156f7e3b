"""What staff do is on record, and what they read of an account has a reason that its owner sees.

Both hold for every address at once, because they are decided here from the route table: an address
with a permission of staff is recorded before its handler runs, and one that names an account and
reads something of it takes an access that counts (`ledger/audit/access.py`).
"""

import msgspec
from aiohttp import hdrs, web

from gateway import state
from gateway.endpoint import Endpoint, Handler
from gateway.errors import RequestMalformed
from gateway.people.sessions import person_of

STAFF = "staff:"
ACCOUNT = "account_id"
# Staff hunting for what others have done is not looking into an account.
_ID_DIGITS_MAX = 16
_VALUE_CHARS_MAX = 100
_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})


@web.middleware
async def on_record(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Record what staff do around its handler; what cannot be recorded does not happen.

    Raises AccessMissing, LedgerUnavailable.
    """
    endpoint = request.app[state.ENDPOINTS].get(request.match_info.handler)
    if endpoint is None or not of_staff(endpoint):
        return await handler(request)
    ledger, person_id = request.app[state.LEDGER], person_of(request).person_id
    account_id = named_account(request) if reads_account(endpoint) else None
    async with ledger.actions.recorded(
        actor=f"person:{person_id}",
        gateway=request.app[state.PROCESS].label,
        action=endpoint.name,
        parameters=_parameters(request),
    ):
        if account_id is not None:
            await ledger.accesses.use(account_id, person_id)
        return await handler(request)


def of_staff(endpoint: Endpoint) -> bool:
    """Whether an address is for staff."""
    return endpoint.permission.value.startswith(STAFF)


def reads_account(endpoint: Endpoint) -> bool:
    """Whether staff read something of one account there."""
    return (
        of_staff(endpoint)
        and endpoint.method in _READING
        and (
            f"{{{ACCOUNT}}}" in endpoint.path
            or any(one.name == ACCOUNT and one.place == "query" for one in endpoint.parameters)
        )
    )


def named_account(request: web.Request) -> int | None:
    """The account that an address names; None where it may be left out, and is."""
    text = request.match_info.get(ACCOUNT) or request.query.get(ACCOUNT)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > _ID_DIGITS_MAX:
        raise RequestMalformed(f"{ACCOUNT} is the number of an account")
    return int(text)


def _parameters(request: web.Request) -> str:
    """What the address names: numbers and ids. Bodies hold words of people, and are not kept."""
    named = {name: value[:_VALUE_CHARS_MAX] for name, value in request.match_info.items()}
    if ACCOUNT in request.query:
        named[ACCOUNT] = request.query[ACCOUNT][:_VALUE_CHARS_MAX]
    return msgspec.json.encode(named).decode()
