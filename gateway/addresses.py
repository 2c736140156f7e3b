"""From which address a client asks, where proxies of the operator's stand between.

`X-Forwarded-For` is a list to which every proxy appends whom it was asked by. What the operator's
own proxies (`server.trusted_proxies`) wrote is believed, from the right; the first address that is
none of theirs is the client, and what stands to the left of it is what anybody may have invented.
"""

import ipaddress
from collections.abc import Iterable
from functools import cache, lru_cache

from aiohttp import web

from gateway import state
from ledger.accounts.rights import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HEADER = "X-Forwarded-For"
# More proxies than anybody has; the rest is a client that hopes to be expensive.
_HOPS_MAX = 20


def client_address(request: web.Request) -> Address | None:
    """Where the request comes from; None where that cannot be told (a Unix socket)."""
    return address_of(
        request.remote,
        request.headers.getall(HEADER, ()),
        networks(request.app[state.SETTINGS].server.trusted_proxies),
    )


def address_of(
    remote: str | None, forwarded: Iterable[str], trusted: tuple[Network, ...]
) -> Address | None:
    """The same, from what was seen: who connected, the header's lines, and whom to believe."""
    address = _parsed(remote or "")
    if address is None or not within(address, trusted):
        return address
    hops = [hop for line in forwarded for hop in line.split(",")]
    for hop in reversed(hops[-_HOPS_MAX:]):
        address = _parsed(hop.strip())
        if address is None or not within(address, trusted):
            return address
    return address


def within(address: Address, among: Iterable[Network]) -> bool:
    """Say whether one of the networks has this address."""
    return any(address in network for network in among)


@cache
def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """Networks as the settings have them, which were checked when they were read."""
    return tuple(ipaddress.ip_network(text) for text in texts)


@lru_cache(maxsize=4096)
def _parsed(text: str) -> Address | None:
    """An address, with a port or without."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # A socket that speaks both families shows IPv4 clients as ::ffff:192.0.2.7.
    return getattr(address, "ipv4_mapped", None) or address
