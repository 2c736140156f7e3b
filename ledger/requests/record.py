"""One request as it is remembered, and what can be asked of all of them. Plain values."""

from datetime import datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Literal
from uuid import UUID

import msgspec

Network = IPv4Network | IPv6Network

# So long anything of a request is kept; days end with the day on which they are that old.
DAYS = 90
PAGE_MAX = 1000

By = Literal["day", "operation", "key"]


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A request. Its path is the pattern of a route; nothing here was written by a customer."""

    at: datetime
    request_id: UUID
    account_id: int
    # None: somebody who had signed in.
    key_id: str | None
    method: str
    path: str
    # source/target:operation; empty where nothing was converted.
    operation: str
    status: int
    bytes_in: int
    milliseconds: int
    credits: int
    # A network, also where it is one address.
    address: Network | None


class Cursor(msgspec.Struct, frozen=True):
    """The last record of a page: the next one begins behind it."""

    at: datetime
    request_id: UUID


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which records of an account."""

    first: datetime | None = None
    # Not included.
    last: datetime | None = None
    # 2 for 200 to 299.
    status_class: int | None = None
    operation: str | None = None
    key_id: str | None = None


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of one day, one operation or one key."""

    # A day as 2026-11-20, an operation, or a key's id; empty: none.
    of: str
    requests: int
    # With a status of 400 or more.
    failed: int
    bytes_in: int
    milliseconds: int
    credits: int
