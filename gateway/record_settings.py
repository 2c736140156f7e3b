"""What an operator decides of the records of requests."""

from typing import Literal

import msgspec


class RecordsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered of customers' requests (docs/requests.md)."""

    # Without records there is no list of requests, and no usage by operation and key.
    keep: bool = True
    # Where a request came from: cut to its /24 or /48, whole, or not at all.
    address: Literal["cut", "whole", "none"] = "cut"
