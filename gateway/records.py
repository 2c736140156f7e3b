"""What is remembered of a request when it is over: one tuple, for its account and for 90 days.

Only requests of accounts are recorded, also refused ones; what nobody is answerable for is counted
in the metrics alone. The path is the route's pattern, the operation a name of ours: nothing that a
customer wrote is in a record.
"""

import ipaddress
import time
from functools import lru_cache
from typing import Literal

from aiohttp import web

from gateway import state
from gateway.addresses import Address, client_address
from gateway.endpoint import Endpoint
from gateway.stages import Trail
from ledger.requests.record import Network

# As many bits of an address as several households or a company share.
_PREFIXES = {4: 24, 6: 48}
# A repeated request is answered from the first one's debit.
_REPEAT = "Idempotent-Replay"


def note(
    request: web.Request, endpoint: Endpoint | None, status: int, started: float, bytes_in: int
) -> None:
    """Remember a request that is over, if an account asked."""
    config = request.app[state.SETTINGS].records
    if endpoint is None or not config.keep or state.CALLER not in request:
        return
    caller, requests = request[state.CALLER], request.app[state.LEDGER].requests
    trail = request.get(state.TRAIL)
    requests.writer.note(
        (
            requests.clock(),
            request[state.REQUEST_ID],
            caller.account_id,
            None if state.PERSON in request else caller.key_id,
            request.method,
            endpoint.path,
            trail.operation if trail is not None else "",
            status,
            bytes_in,
            int((time.monotonic() - started) * 1000),
            _charged(request, trail),
            _network(client_address(request), config.address),
        )
    )


def _charged(request: web.Request, trail: Trail | None) -> int:
    if trail is None or not trail.charged:
        return 0
    response = request.get(state.RESPONSE)
    return 0 if response is not None and _REPEAT in response.headers else trail.charged


@lru_cache(maxsize=4096)
def _network(address: Address | None, kept: Literal["cut", "whole", "none"]) -> Network | None:
    """As much of an address as is kept."""
    if address is None or kept == "none":
        return None
    bits = _PREFIXES[address.version] if kept == "cut" else address.max_prefixlen
    return ipaddress.ip_network((address, bits), strict=False)
