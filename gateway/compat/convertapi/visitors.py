"""Uploads of those who do not say who they are: whose they are, and how much one address may store.

Ruby's client uploads without credentials, and so do others before they convert, so `/upload` cannot
ask for any. What comes so belongs to one account of the operator's, which is made at the first such
upload: it counts against the store's limits as any account does, so all visitors together can never
take more than one customer's room; it has no credits and no key; and freezing it turns such uploads
away. Its files are opened by whoever has their ids.

Who shows no key holds memory all the same while a file is sent or fetched. So only so many of them
are inside at once, and the rest of the memory is for customers.

How much one address has stored is counted here, in this process, and written down nowhere: an
address of a person is none of the ledger's business. Several gateways each allow as much; the
account's own limit holds for all of them together.
"""

import asyncio
import ipaddress
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import msgspec

from gateway.compat.convertapi import origins
from gateway.errors import VisitorQuotaExceeded, VisitorsCrowded
from ledger.accounts.accounts import Accounts
from ledger.errors import NameTaken
from ledger.files.limits import LIFETIME_S_MAX

ACCOUNT_NAME = "convertapi: uploads without a key"
# A provider gives a household a whole network of IPv6; counting single addresses counts nothing.
IPV6_PREFIX = 64
# A file of a few megabytes comes and goes in less.
CROWDED_S = 2.0
# Beyond so many addresses at one time the oldest are looked at for what has expired.
ADDRESSES_MAX = 10_000


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class ConvertApiConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What visitors may store, all within the limits of one account; and whose pages come."""

    # Of one address at one time. A customer of Ruby's client who converts by the thousand deletes
    # what is done, or raises this. 0: nothing is uploaded without a key.
    visitor_files_max: int = 200
    # Four of the largest files.
    visitor_bytes_max: int = 1024**3
    # Uploads, downloads and forms whose sender is not known yet: each holds 2 MiB, so all of them
    # a quarter of the memory (`upload.in_flight_bytes_max`).
    visitors_at_once_max: int = 128
    # Of one address: a program that fetches its hundred results together.
    visitor_at_once_max: int = 64
    # Origins of pages whose scripts may use this surface: `https://app.example`; `*` is every one.
    origins: tuple[str, ...] = ()
    # An upload is converted within minutes.
    visitor_lifetime_s: float = 3600.0

    def __post_init__(self) -> None:
        """Raise ValueError for what is no limit or no origin, or breaks the store's promise."""
        origins.check(self.origins)
        if min(self.visitor_files_max, self.visitor_bytes_max) < 0:
            raise ValueError("visitor_files_max and visitor_bytes_max are 0 or more")
        if not 1 <= self.visitor_at_once_max <= self.visitors_at_once_max:
            raise ValueError("visitor_at_once_max is 1 or more, and no more than of all together")
        if not 0 < self.visitor_lifetime_s <= LIFETIME_S_MAX:
            raise ValueError("visitor_lifetime_s is above 0, and at most 3 hours")


class Share:
    """What one upload takes of its address's quota, until it is deleted or expires."""

    def __init__(self, visitors: "Visitors", address: str) -> None:
        self.bytes = 0
        self.expires_s = float("inf")
        self.file_id = ""
        self.address = address
        self._visitors = visitors

    def grow(self, more: int) -> None:
        """Take so many bytes more. Raises VisitorQuotaExceeded."""
        self._visitors.check(self.address, more)
        self.bytes += more

    def keep(self, file_id: str, lifetime_s: float) -> None:
        """The upload is stored for so long."""
        self.file_id = file_id
        self.expires_s = time.monotonic() + lifetime_s


class Visitors:
    """The account of all visitors, and what each address has stored."""

    def __init__(self, config: ConvertApiConfig, accounts: Accounts) -> None:
        self.config = config
        self._accounts = accounts
        self._account_id: int | None = None
        self._making = asyncio.Lock()
        self._shares: dict[str, list[Share]] = {}
        self._inside: Counter[str] = Counter()

    async def find(self) -> int | None:
        """The account, None before the first upload of all."""
        if self._account_id is None:
            found = await self._accounts.find(ACCOUNT_NAME)
            self._account_id = found.id if found else None
        return self._account_id

    async def account_id(self) -> int:
        """The account; it is opened where there is none."""
        async with self._making:
            found = await self.find()
            while found is None:
                with suppress(NameTaken):  # another gateway was faster
                    self._account_id = (await self._accounts.create(ACCOUNT_NAME)).id
                found = await self.find()
            return found

    @contextmanager
    def enter(self, address: str) -> Iterator[None]:
        """Be inside for the block. Raises VisitorsCrowded."""
        crowded = self._inside.total() >= self.config.visitors_at_once_max
        if crowded or self._inside[address] >= self.config.visitor_at_once_max:
            raise VisitorsCrowded(
                "as many files come and go without a key as may at once; try again in a moment",
                retry_after_s=CROWDED_S,
            )
        self._inside[address] += 1
        try:
            yield
        finally:
            self._inside[address] -= 1
            if not self._inside[address]:
                del self._inside[address]

    @contextmanager
    def share(self, address: str) -> Iterator[Share]:
        """One upload's part of the quota; given back unless it is kept.

        Raises VisitorQuotaExceeded.
        """
        share = Share(self, address)
        self.check(address, 0, files=1)
        self._shares.setdefault(address, []).append(share)
        try:
            yield share
        finally:
            if not share.file_id:
                self._drop(share)

    def check(self, address: str, more: int, *, files: int = 0) -> None:
        """Raise VisitorQuotaExceeded where an address may store no more."""
        self._forget(address)
        shares = self._shares.get(address, [])
        stored = sum(one.bytes for one in shares)
        if (
            len(shares) + files > self.config.visitor_files_max
            or stored + more > self.config.visitor_bytes_max
        ):
            raise VisitorQuotaExceeded(
                "without a key one address stores at most "
                f"{self.config.visitor_files_max} files of together "
                f"{self.config.visitor_bytes_max} bytes: send your API key, or delete some",
                retry_after_s=self._wait_s(shares),
            )

    def deleted(self, file_id: str) -> None:
        """A file is gone, and its address may store another."""
        gone = (one for shares in self._shares.values() for one in shares)
        for share in [one for one in gone if one.file_id == file_id]:
            self._drop(share)

    def _forget(self, address: str) -> None:
        """Drop what has expired."""
        now = time.monotonic()
        some = [address]
        if len(self._shares) > ADDRESSES_MAX:
            some = list(self._shares)
        for one in some:
            left = [share for share in self._shares.get(one, ()) if share.expires_s > now]
            if left:
                self._shares[one] = left
            else:
                self._shares.pop(one, None)

    def _drop(self, share: Share) -> None:
        left = [one for one in self._shares.get(share.address, ()) if one is not share]
        if left:
            self._shares[share.address] = left
        else:
            self._shares.pop(share.address, None)

    def _wait_s(self, shares: list[Share]) -> float:
        """Until the next file of this address expires."""
        known = [one.expires_s for one in shares if one.file_id]
        longest = self.config.visitor_lifetime_s
        return max(1.0, min(known) - time.monotonic()) if known else longest


def network_of(address: Address | None) -> str:
    """Whom an upload is counted for: an address, or the network that one household has of IPv6."""
    if address is None:
        return ""
    if address.version == 4:  # noqa: PLR2004 -- of the protocol
        return str(address)
    return str(ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
