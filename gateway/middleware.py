"""What surrounds every handler, outermost first: identify, answer errors, admit.

1. `identify` gives the request its id and writes its one log line.
2. `problems` turns every exception into a problem document.
3. `admission` decides from the head alone whether the request may go on: key, size, draining.

A client that sends `Expect: 100-continue` waits for a word before it uploads. aiohttp answers that
before any middleware runs, so `expectation` does the admission itself; a refused upload is then
never sent at all.
"""

import asyncio
import ipaddress
import time
from typing import cast
from uuid import UUID

import structlog
from aiohttp import ClientConnectionResetError, hdrs, web

from gateway import permits, records, state, uploads
from gateway import problems as documents
from gateway.endpoint import Access, Dialect, Endpoint, Handler
from gateway.errors import (
    ExpectationUnknown,
    KeyInQuery,
    KeyMissing,
    KeyRefused,
    MethodNotAllowed,
    OperatorOnly,
    SessionMissing,
)
from gateway.limits import guard
from gateway.operators import bearer, operator, shows_token
from gateway.people import sessions
from gateway.stages import Stage, Trail
from gateway.tokens.tokens import caller_of_jwt, looks_like_jwt
from ledger.accounts.keys import Caller
from ledger.accounts.secret import PREFIXES
from ledger.conversion_id import new_conversion_id
from ledger.people.secret import SESSION_PREFIX

log = structlog.get_logger()

# The longest header that can be one of our keys; a longer one is not looked up.
KEY_CHARS_MAX = 256
# What other services call a key in a query.
QUERY_NAMES = frozenset({"api_key", "apikey", "api-key", "access_token", "secret", "token"})
# What proxies log for a client that hung up: nobody saw an answer.
HUNG_UP = 499
# A proxy on this machine makes every visitor look local; these headers give it away.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")


@web.middleware
async def identify(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the request its id, count it and log it: one line, no address, no query."""
    request_id = _identity(request)
    structlog.contextvars.bind_contextvars(request_id=str(request_id))
    started = time.monotonic()
    status = HUNG_UP
    try:
        response = await handler(request)
        status = response.status
    finally:
        _note(request, status, started)
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every exception with its problem document, unless an answer has begun already."""
    try:
        return await handler(request)
    except asyncio.CancelledError:
        if not _delivered(request):
            _count_refund(request)
            raise
        # A client that has everything hung up while its debit was being settled; the ledger went on
        # to the end before it let the cancellation through.
        cast("asyncio.Task[object]", asyncio.current_task()).uncancel()
        request[state.TRAIL].reached(Stage.SETTLED)
        return request[state.RESPONSE]
    except ClientConnectionResetError:
        _count_refund(request)  # the client is gone before its cancellation came: nobody to answer
        raise
    except web.HTTPException as error:
        return _answer(request, documents.from_http(error))
    except Exception as error:  # noqa: BLE001 -- the border: what is unforeseen is a 500
        _count_refund(request)
        return _answer(request, error)


@web.middleware
async def admission(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let only those in who may ask this address; the body has not been read yet."""
    await _admit(request)
    with guard.inside(request, endpoint_of(request)):
        return await handler(request)


async def expectation(request: web.Request) -> web.StreamResponse | None:
    """Answer `Expect`: admit first, then ask for the body; a refusal closes the connection."""
    started = time.monotonic()
    try:
        _check_expectation(request.headers[hdrs.EXPECT])
        await _admit(request)
    except Exception as error:  # noqa: BLE001 -- middlewares do not run around this
        response = _answer(request, error)
        response.force_close()
        _note(request, response.status, started)
        return response
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    # The interim answer does not count as the beginning of the final one.
    request.writer.output_size = 0
    return None


async def prepared(request: web.Request, response: web.StreamResponse) -> None:
    """Headers of every answer, streamed ones too: set when the head is about to be written."""
    common_headers(response, _identity(request))
    if request.app[state.DOOR].stopping:
        # The next request is another gateway's; on this connection it would cross its end.
        response.headers[hdrs.CONNECTION] = "close"
        response.force_close()
    permits.mark(request, response)
    guard.mark(request, response)
    dialect = _dialect_of(request)
    if dialect is not None:
        dialect.mark(request, response)


def common_headers(response: web.StreamResponse, request_id: UUID) -> None:
    """What no answer goes without, even one to something that was not HTTP."""
    response.headers["X-Request-Id"] = str(request_id)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
    response.headers[hdrs.SERVER] = "ephemera"


def endpoint_of(request: web.Request) -> Endpoint | None:
    """The route table's row for this request, None where the address is unknown."""
    return request.app[state.ENDPOINTS].get(request.match_info.handler)


def _check_expectation(header: str) -> None:
    if header.strip().lower() != "100-continue":
        raise ExpectationUnknown("the only expectation known here is 100-continue")


async def _admit(request: web.Request) -> None:
    endpoint = endpoint_of(request)
    if endpoint is None or state.TRAIL in request:  # unknown, or admitted by `expectation`
        return
    observers = request.app[state.OBSERVERS]
    trail = Trail(_identity(request), observers if endpoint.uploads else ())
    request[state.TRAIL] = trail
    trail.reached(Stage.RECEIVED)
    if endpoint.access is Access.PERSON or (
        endpoint.access is Access.MEMBER and _shows_session(request)
    ):
        await _admit_person(request, endpoint)
    elif endpoint.access in {Access.CUSTOMER, Access.VISITOR, Access.MEMBER}:
        caller = await _caller_of(request, endpoint)
        if caller is not None:
            request[state.CALLER] = caller  # a refusal is theirs, too: for its log line
            request[state.CALLER] = permits.admit(request, caller, endpoint)
    elif endpoint.access is Access.OPERATOR:
        _check_operator(request)
    elif endpoint.access is Access.ADMIN:
        request[state.OPERATOR] = _operator(request)
    if endpoint.uploads:
        # Before its bytes are counted: what is never taken in is no use of anybody's share.
        uploads.check_head(request, request.app[state.SETTINGS].upload)
    guard.admit(request, endpoint)
    trail.reached(Stage.AUTHENTICATED)
    if endpoint.uploads:
        request.app[state.DOOR].check()
    if endpoint.check is not None:
        endpoint.check(request)


async def _admit_person(request: web.Request, endpoint: Endpoint) -> None:
    secret = bearer(request)
    _check_query(request, secret)
    if secret is None:
        raise SessionMissing(
            "sign in at POST /v1/auth/signin and send what it answers in the header"
            " Authorization: Bearer SECRET"
        )
    with guard.refusals_counted(request):
        session = await sessions.session_of(request.app, secret)
    request[state.PERSON] = session  # a refusal is theirs, too: for its log line
    sessions.check(session, endpoint, request.app[state.LEDGER].people.clock())
    caller = sessions.caller_of(session)
    if caller is not None:
        request[state.CALLER] = caller


def _shows_session(request: web.Request) -> bool:
    return sessions.looks_like_session(bearer(request) or "")


async def _caller_of(request: web.Request, endpoint: Endpoint) -> Caller | None:
    with guard.refusals_counted(request):
        if endpoint.dialect is not None:
            return await endpoint.dialect.caller(request, endpoint.access)
        return await _caller(request)


async def _caller(request: web.Request) -> Caller:
    secret = bearer(request)
    _check_query(request, secret)
    if secret is None:
        raise KeyMissing("send your API key in the header Authorization: Bearer KEY")
    caller = None
    if looks_like_jwt(secret):
        caller = await caller_of_jwt(request.app, secret)
        if caller is None:
            raise KeyRefused("this token is not valid, or no longer; get one at POST /v1/tokens")
    elif len(secret) <= KEY_CHARS_MAX:
        caller = await request.app[state.LEDGER].keys.authenticate(secret)
    if caller is None:
        raise KeyRefused("this API key is not valid; make a new one with: ephemera keys create")
    return caller


def _check_query(request: web.Request, secret: str | None) -> None:
    """Refuse a key in the address: proxies and browsers write addresses down."""
    query = request.rel_url.raw_query_string
    if not query:
        return
    if any(prefix in query for prefix in (*PREFIXES.values(), SESSION_PREFIX)) or (
        secret is None and any(name.lower() in QUERY_NAMES for name in request.query)
    ):
        raise KeyInQuery(
            "an API key does not belong into the address, which logs keep: revoke it, make a new"
            " one, and send it in the header Authorization: Bearer KEY"
        )


def _check_operator(request: web.Request) -> None:
    if shows_token(request, request.app[state.SETTINGS].server.operator_token):
        return
    if not _is_loopback(request.remote) or any(name in request.headers for name in FORWARDED):
        raise OperatorOnly("this address answers this machine, or server.operator_token as bearer")


def _operator(request: web.Request) -> str:
    name = operator(request, request.app[state.SETTINGS].server.operator_token)
    if name is None:
        raise OperatorOnly("this address asks for server.operator_token as bearer, from everybody")
    return name


def _is_loopback(remote: str | None) -> bool:
    if remote is None:
        return False
    address = ipaddress.ip_address(remote)
    # A socket that speaks both families shows IPv4 clients as ::ffff:127.0.0.1.
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _identity(request: web.Request) -> UUID:
    if state.REQUEST_ID not in request:
        request[state.REQUEST_ID] = new_conversion_id()
    return request[state.REQUEST_ID]


def _note(request: web.Request, status: int, started: float) -> None:
    """Count the request and write its log line."""
    endpoint = endpoint_of(request)
    route = endpoint.path if endpoint else "-"
    # Clients may invent methods, and each would be a time series of its own.
    method = request.method if request.method in hdrs.METH_ALL else "-"
    request.app[state.METRICS].answered(route, method, status)
    bytes_in = request.content.total_bytes
    guard.settle(request, bytes_in)
    records.note(request, endpoint, status, started, bytes_in)
    log.info(
        "request",
        request_id=str(_identity(request)),
        method=method,
        route=route,
        status=status,
        duration_ms=round((time.monotonic() - started) * 1000, 1),
        **_facts(request),
    )


def _facts(request: web.Request) -> dict[str, object]:
    """What else the log line of this request can say."""
    facts: dict[str, object] = {}
    if state.PROBLEM_CODE in request:
        facts["code"] = request[state.PROBLEM_CODE]
    if state.CALLER in request:
        facts["account_id"] = request[state.CALLER].account_id
        facts["key_id"] = request[state.CALLER].key_id
    if state.PERSON in request:
        facts["person_id"] = request[state.PERSON].person_id
    if state.OPERATOR in request:
        facts["actor"] = request[state.OPERATOR]
    trail = request.get(state.TRAIL)
    if trail is not None and trail.credits:
        facts["credits"] = trail.credits
        facts["stage"] = trail.last
    return facts


def _answer(request: web.Request, error: Exception) -> web.StreamResponse:
    if isinstance(error, MethodNotAllowed) and request.method == hdrs.METH_OPTIONS:
        allowed = ", ".join(sorted({*error.allowed, hdrs.METH_OPTIONS}))
        return web.Response(status=204, headers={hdrs.ALLOW: allowed})
    kind = documents.kind_of(error)
    request[state.PROBLEM_CODE] = kind.code
    request.app[state.METRICS].refused(kind.code)
    if kind is documents.UNFORESEEN:
        log.error("unforeseen", exc_info=error)
    if state.RESPONSE not in request or not request[state.RESPONSE].prepared:
        dialect = _dialect_of(request)
        if dialect is not None:
            return dialect.response_to(request, error)
        return documents.response_to(error, _identity(request))
    if _delivered(request):
        return request[state.RESPONSE]
    # Half a result must not look like a whole one: cut the connection, at once.
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError("the answer had begun") from error


def _dialect_of(request: web.Request) -> Dialect | None:
    """The dialect of the address, also where it takes other methods."""
    endpoint = endpoint_of(request)
    if endpoint is not None:
        return endpoint.dialect
    rows = request.app[state.ENDPOINTS].values()
    parts = request.path.split("/")
    return next((row.dialect for row in rows if row.dialect and _is_of(parts, row.path)), None)


def _is_of(parts: list[str], pattern: str) -> bool:
    """Whether a path in parts fits a row's pattern."""
    wanted = pattern.split("/")
    return len(parts) == len(wanted) and all(
        one == part or one.startswith("{") for one, part in zip(wanted, parts, strict=True)
    )


def _delivered(request: web.Request) -> bool:
    return state.TRAIL in request and Stage.DELIVERED in request[state.TRAIL].reached_at


def _count_refund(request: web.Request) -> None:
    trail = request.get(state.TRAIL)
    if trail and Stage.DEBITED in trail.reached_at and Stage.SETTLED not in trail.reached_at:
        request.app[state.METRICS].refunded(trail.credits)
