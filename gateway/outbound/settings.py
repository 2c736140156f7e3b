"""Settings of what the service asks of the network, each with its reason.

Nothing here is on by itself but webhooks, which send no file: a service that fetches what its
customers name is a way into the operator's network, so the operator decides.
"""

import ipaddress
from typing import Annotated

import msgspec
from msgspec import Meta

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MIB = 1024 * 1024
_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Count = Annotated[int, Meta(ge=1)]
_Port = Annotated[int, Meta(ge=1, le=65_535)]


class FetchConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What may be fetched by URL. Addresses and ports hold for webhooks and storage as well."""

    enabled: bool = False
    # Networks that may be reached although they are not public: `10.1.0.0/16`.
    allow: tuple[str, ...] = ()
    # Networks that may not, whatever else is said.
    deny: tuple[str, ...] = ()
    # Files on the web are served from these two; others are where databases listen. None: any.
    ports: tuple[_Port, ...] = (80, 443)
    # A PEM file of the authorities that TLS trusts, in place of the system's: for hosts inside.
    authorities: str = ""
    # As large as an upload may be.
    bytes_max: _Count = 256 * _MIB
    # A short link, a move to HTTPS and a content network are three.
    redirects_max: Annotated[int, Meta(ge=0, le=10)] = 3
    # Name, connection and TLS, each time: a distant server needs one second.
    connect_s: _Seconds = 10.0
    # Without a byte, the head included: as of a client that sends.
    stall_s: _Seconds = 20.0
    rate_min_bytes_s: _Count = 16 * 1024
    # Slow start, and a server that thinks before it sends.
    rate_grace_s: _Seconds = 20.0
    # With redirects: 256 MiB at 0.9 MiB/s, and our customer's connection waits all that time.
    total_s: _Seconds = 300.0
    # Descriptors, and the threads that look names up, are shared by all.
    at_once_max: _Count = 64
    # A quarter, so that slow servers of one account keep nobody else out.
    account_at_once_max: _Count = 16
    # Webhooks without TLS: for tests, and inside a network that is trusted.
    hooks_http: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a network that is none."""
        networks(self.allow)
        networks(self.deny)


class HooksConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Calls of customers' webhooks."""

    enabled: bool = True
    # What Standard Webhooks gives a receiver: it is to note the call and work afterwards.
    timeout_s: _Seconds = 15.0


class ConnectionsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Customers' own storage. Where it may be, and how slow, is as the section `fetch` has it."""

    # Customers' files are written to where customers say, also inside where `fetch.allow` names it.
    enabled: bool = False
    # Without TLS: for tests, and for storage inside a network that is trusted.
    http: bool = False


def networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    """CIDR blocks, `10.1.0.0/16` or one address. Raises ValueError naming the one that is wrong."""
    return tuple(ipaddress.ip_network(text) for text in texts)
