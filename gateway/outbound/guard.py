"""Where the service may connect to when a customer says where: the policy of addresses and URLs.

A URL that a customer names is asked for from inside the operator's network, so it must not reach
what only that network reaches. What counts is the address that a socket is about to be connected
to, at the moment it is: `Guard.socket_for` is the one place where outbound sockets are made, and it
refuses there. A name that answers with a public address first and a private one later (rebinding)
is harmless then, as is any spelling of a host, because no earlier check is relied on. `target_of`
refuses early what the text alone gives away, to spare the attempt.

Python's `is_global` follows an old copy of IANA's registries and counts as public what is not. So
an IPv6 address has to be in 2000::/3, all that is given out for unicast (RFC 4291), and the
registries' exceptions are listed here (IANA special-purpose address registries, 2025).

An address that carries an IPv4 address inside is that address, where it reaches it from here
(IPv4-mapped, NAT64), or refused, where a stranger's relay would reach it (6to4, Teredo).
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Any, NoReturn
from urllib.parse import quote, urljoin, urlsplit

import msgspec
from yarl import URL

from gateway.errors import FetchRefused
from gateway.outbound.settings import FetchConfig, Network, networks

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# As `socket.getaddrinfo` gives it: family, type, protocol, canonical name, address.
AddrInfo = tuple[int, int, int, str, tuple[Any, ...]]

# The longest signed URLs of object stores are 2 to 3 KB; a query here holds 8 KiB at most.
URL_CHARS_MAX = 8 * 1024
PORTS = {"http": 80, "https": 443}

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_UNICAST = ipaddress.IPv6Network("2000::/3")
# Public by their looks, and not for us. The reason stands beside each.
_NEVER = networks(
    (
        "0.0.0.0/8",  # "this network"; Linux takes 0.0.0.0 for itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT; metadata of one cloud
        "127.0.0.0/8",  # this machine
        "168.63.129.16/32",  # the platform's own server in every network of Azure
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks of networks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocols; Teredo is 2001::/32
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)

# Controls are dropped or taken as ends by one parser or another; no honest URL has them.
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[a-z0-9_](?:[a-z0-9_.-]{0,251}[a-z0-9_])?")
# What a resolver reads as an IPv4 address: its last label is a number (WHATWG URL, "ends in a
# number").
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
# Legal in a path or a query (RFC 3986). Escapes stay as they are: signatures are made over them.
_LEGAL = "!$%&'()*+,/:;=?@[]~"

NOT_PUBLIC = "the URL's host is not found, or is none that files are fetched from"


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where one request goes."""

    scheme: str
    host: str
    port: int
    # Path and query, as the request line has them.
    path: str
    # Of a host that is an address, in whatever spelling.
    address: Address | None = None

    @property
    def origin(self) -> tuple[str, str, int]:
        """Who the request is for; headers meant for one are not for another."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The whole again."""
        return f"{self.scheme}://{self.authority}{self.path}"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Addresses and ports as the operator wants them, made from the settings once."""

    allow: tuple[Network, ...] = ()
    deny: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset(PORTS.values())

    @classmethod
    def of(cls, config: FetchConfig) -> "Policy":
        """Raises nothing: the settings were checked when they were read."""
        return cls(
            allow=networks(config.allow),
            deny=networks(config.deny),
            ports=frozenset(config.ports),
        )

    def allows(self, address: Address) -> bool:
        """Whether the operator said so of this very address, and did not deny it."""
        return _within(unwrapped(address), self.allow) and not self._denies(address)

    def permits(self, address: Address) -> bool:
        """Whether a socket may be connected to it."""
        meant = unwrapped(address)
        if self._denies(address):
            return False
        return _within(meant, self.allow) or is_public(meant)

    def target_of(self, url: str, *, schemes: Sequence[str] = ("http", "https")) -> Target:
        """Where a URL points to. Raises FetchRefused for what the text alone gives away.

        No part of the URL is in the sentence: it may hold a password, and answers are logged by
        somebody.
        """
        target = _parsed(url, schemes)
        if self.ports and target.port not in self.ports:
            allowed = ", ".join(str(port) for port in sorted(self.ports))
            _refuse("port", f"the URL's port is none that is allowed here: {allowed}")
        if target.address is not None and not self.permits(target.address):
            _refuse("address", NOT_PUBLIC)
        return target

    def redirected(self, target: Target, location: str) -> Target:
        """Where a redirect leads to, checked as the first was. Raises FetchRefused."""
        if _CONTROL.search(location):
            _refuse("url", "a redirect leads to something that is no URL")
        following = self.target_of(urljoin(target.url, location))
        if target.scheme == "https" and following.scheme != "https":
            _refuse("scheme", "a redirect leads from https to http: the file would be readable")
        return following

    def _denies(self, address: Address) -> bool:
        return _within(address, self.deny) or _within(unwrapped(address), self.deny)


class Guard:
    """Makes the sockets of one connection attempt, for permitted addresses only."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        # Some address was refused; told apart from one that nobody answers at.
        self.refused = False

    def socket_for(self, info: AddrInfo) -> socket.socket:
        """A socket for this address. Raises PermissionError where it may not be reached."""
        family, kind, protocol, _, address = info
        if not self._policy.permits(ipaddress.ip_address(address[0])):
            self.refused = True
            raise PermissionError(errno.EACCES, "not a permitted address")
        return socket.socket(family, kind, protocol)

    def check_connected(self, sock: socket.socket) -> None:
        """Raise PermissionError where the other end is this machine by a public address of its own.

        The kernel then takes that address for this end too. What listens there may trust whoever
        comes from inside; nothing has been sent yet.
        """
        peer = ipaddress.ip_address(sock.getpeername()[0])
        own = ipaddress.ip_address(sock.getsockname()[0])
        if not self._policy.permits(peer) or (peer == own and not self._policy.allows(peer)):
            self.refused = True
            raise PermissionError(errno.EACCES, "not a permitted address")


def unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, as seen from here; otherwise itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public(address: Address) -> bool:
    """Whether everybody on the internet reaches the same machine by it. Unwrap it first."""
    if _within(address, _NEVER) or not address.is_global or address.is_multicast:
        return False
    return isinstance(address, ipaddress.IPv4Address) or address in _UNICAST


def literal(host: str) -> Address | None:
    """The address that a host's text is, in any spelling that a resolver takes; None for a name.

    `2130706433`, `0x7f.1`, `0177.0.0.1` and `127.0.0.1` are one address. Raises FetchRefused for a
    host that ends in a number and is no address.
    """
    if ":" in host:
        try:
            return ipaddress.IPv6Address(host)
        except ValueError:
            _refuse("url", "the URL's host is not an address")
    if not _NUMBER.fullmatch(host):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        _refuse("url", "the URL's host ends in a number and is not an address")


def _parsed(url: str, schemes: Sequence[str]) -> Target:
    if len(url) > URL_CHARS_MAX:
        _refuse("url", f"the URL is longer than {URL_CHARS_MAX} characters")
    if _CONTROL.search(url):
        _refuse("url", "the URL holds control characters")
    try:
        url.encode()
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        _refuse("url", "the URL is not well formed; it looks like https://host/path")
    if parts.scheme not in schemes:
        _refuse("scheme", f"the URL's scheme is not taken here: {' or '.join(schemes)}")
    if "@" in parts.netloc:
        _refuse("credentials", "the URL holds a user name or password, which is not taken here")
    host = _host(parts.hostname or "", bracketed="[" in parts.netloc)
    address = literal(host)
    path = quote(parts.path or "/", safe=_LEGAL)
    if parts.query:
        path += "?" + quote(parts.query, safe=_LEGAL)
    return Target(
        scheme=parts.scheme,
        host=str(address or host),
        port=PORTS[parts.scheme] if port is None else port,
        path=path if path.startswith("/") else f"/{path}",
        address=address,
    )


def _host(written: str, *, bracketed: bool) -> str:
    """A host in ASCII (IDNA) and small letters, without the root's dot."""
    if bracketed:
        if ":" not in written:  # a future version of IP (RFC 3986), which is not a name either
            _refuse("url", "the URL's host is not an address")
        return written
    try:
        host = URL.build(scheme="http", host=written).raw_host or ""
    except ValueError:
        host = ""
    host = host.lower().removesuffix(".")
    if not _HOST.fullmatch(host) or ".." in host:
        _refuse("url", "the URL's host is not a name or an address")
    return host


def _within(address: Address, blocks: Sequence[Network]) -> bool:
    return any(address in block for block in blocks)


def _refuse(reason: str, sentence: str) -> NoReturn:
    raise FetchRefused(sentence, reason=reason)
