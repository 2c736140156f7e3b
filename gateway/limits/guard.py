"""Limits at the door: who is asked about, before anything of the body is read, and what is told.

A request with a key is counted for the key and for its account, one of somebody who has signed in
for that person, any other one for its address. A key that is refused counts for the address that
showed it. Uploads count their bytes, and how many of them are under way. What was not announced (a
chunked body) is counted when it is over.
"""

import ipaddress
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache

from aiohttp import web

from gateway import state
from gateway.addresses import Address, client_address
from gateway.endpoint import Access, Endpoint
from gateway.errors import KeyRefused, QuotaExceeded, SessionRefused, SurfaceRefused
from gateway.limits import headers, policies
from gateway.limits.policies import Policy, Unit, Verdict

# What one household has of IPv6; counting single addresses counts nothing.
IPV6_PREFIX = 64
# Codes of the compatible surface for secrets, tokens and headers that are not good (4010 to 4012,
# and 4017); not the one for none at all.
_REFUSED_CODES = frozenset({4010, 4011, 4012, 4017})
_PUBLIC = frozenset({Access.PUBLIC, Access.VISITOR})


@contextmanager
def refusals_counted(request: web.Request) -> Iterator[None]:
    """Look for who asks in the block. Raises QuotaExceeded where too much was refused before."""
    limits = request.app[state.LIMITS]
    # Where nobody was refused there is no need to know the address.
    if limits.counts(policies.REFUSED_KEYS) and (subject := _address(request)):
        _demand(policies.REFUSED_KEYS, limits.look(policies.REFUSED_KEYS, subject))
    try:
        yield
    except (KeyRefused, SessionRefused, SurfaceRefused) as error:
        refused = not isinstance(error, SurfaceRefused) or error.code in _REFUSED_CODES
        if refused and (subject := _address(request)):
            limits.count(policies.REFUSED_KEYS, subject)
        raise


def admit(request: web.Request, endpoint: Endpoint) -> None:
    """Count the request for whoever asks. Raises QuotaExceeded."""
    if state.PERSON in request:
        person = request[state.PERSON]
        asks = [(policies.SESSION_REQUESTS, str(person.person_id), 1)]
    elif state.CALLER in request:
        caller = request[state.CALLER]
        account = str(caller.account_id)
        asks = [
            (policies.KEY_REQUESTS, caller.key_id, 1),
            (policies.ACCOUNT_REQUESTS, account, 1),
        ]
        if endpoint.uploads:
            _check_room(request, caller.account_id)
            if size := request.content_length:
                asks.append((policies.ACCOUNT_BYTES, account, size))
    elif endpoint.access in _PUBLIC and (subject := _address(request)):
        asks = [(policies.ANONYMOUS, subject, 1)]
    else:
        return
    _take(request, asks)


def inside(request: web.Request, endpoint: Endpoint | None) -> AbstractContextManager[None]:
    """Count an upload of whoever asks as being under way, for the block."""
    if endpoint is None or not endpoint.uploads or state.CALLER not in request:
        return nullcontext()
    return request.app[state.LIMITS].inside(request[state.CALLER].account_id)


def settle(request: web.Request, bytes_in: int) -> None:
    """Count what came without having been announced."""
    more = bytes_in - (request.content_length or 0)
    if more > 0 and state.CALLER in request and state.PERSON not in request:
        account = str(request[state.CALLER].account_id)
        request.app[state.LIMITS].force(policies.ACCOUNT_BYTES, account, more)


def mark(request: web.Request, response: web.StreamResponse) -> None:
    """Tell in an answer which quotas it was counted for, and what is left of them."""
    told = request.get(state.VERDICTS)
    if told:
        response.headers[headers.POLICY] = headers.policies_told(told)
        response.headers[headers.LEFT] = headers.left_told(told)


def subject_of(address: Address | None) -> str | None:
    """An address as a subject; None for this machine, which may be a proxy that hides everybody."""
    if address is None or address.is_loopback:
        return None
    return str(address) if isinstance(address, ipaddress.IPv4Address) else _household(address)


def _take(request: web.Request, asks: list[tuple[Policy, str, int]]) -> None:
    limits = request.app[state.LIMITS]
    told: list[tuple[Policy, Verdict]] = []
    for number, (policy, subject, cost) in enumerate(asks):
        here = limits.here(policy)
        if here is None:
            continue
        verdict = limits.take(policy, subject, cost)
        told.append((here, verdict))
        if not verdict.allowed:
            for other, whose, paid in asks[:number]:
                limits.give_back(other, whose, paid)
            request[state.VERDICTS] = told
            _demand(here, verdict)
    request[state.VERDICTS] = told


def _check_room(request: web.Request, account_id: int) -> None:
    limits = request.app[state.LIMITS]
    here, verdict = limits.here(policies.ACCOUNT_CONCURRENCY), limits.room(account_id)
    if here is not None and not verdict.allowed:
        request[state.VERDICTS] = [(here, verdict)]
        _demand(here, verdict)


def _demand(policy: Policy, verdict: Verdict) -> None:
    if verdict.allowed:
        return
    if policy.unit is Unit.CONCURRENCY:
        sentence = (
            f"an account has at most {policy.quota} uploads under way; let some end before you send"
            " more"
        )
    else:
        sentence = (
            f"this goes beyond {policy.quota} {_UNITS[policy.unit]} in {policy.window_s} seconds"
            f" {_SUBJECTS[policy.subject.value]}; wait {verdict.retry_after_s} seconds"
        )
    raise QuotaExceeded(sentence, policy=policy.name, retry_after_s=verdict.retry_after_s)


def _address(request: web.Request) -> str | None:
    return subject_of(client_address(request))


@lru_cache(maxsize=1024)
def _household(address: ipaddress.IPv6Address) -> str:
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))


_UNITS = {Unit.REQUESTS: "requests", Unit.BYTES: "bytes"}
_SUBJECTS = {
    "address": "from this address",
    "key": "with this key",
    "account": "for this account",
    "person": "for you",
}
