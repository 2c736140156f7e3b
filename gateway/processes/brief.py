"""What a gateway process is told by its parent at its start: one packet of JSON.

The settings were read and checked once, by the parent, so that a file that changes meanwhile cannot
make two gateways of one service differ.
"""

from pathlib import Path
from typing import Any

import msgspec

from gateway.config import Settings

# Settings are a few KB; a list of networks or quotas may be long. A packet has to hold it.
BYTES_MAX = 128 * 1024


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """Who a gateway is one of, and its share of what there is."""

    # The same for all gateways of one service, and for no others.
    group: str
    # How often at least the parent wants to hear that all is well.
    watchdog_s: float
    settings: Settings


def encode(brief: Brief) -> bytes:
    """As a packet."""
    return msgspec.json.encode(brief, enc_hook=str)


def decode(packet: bytes) -> Brief:
    """What `encode` made."""
    return msgspec.json.decode(packet, type=Brief, dec_hook=_path)


def _path(kind: type, text: Any) -> Path:
    assert kind is Path, kind  # noqa: S101 -- the one type here that JSON has no word for
    return Path(text)
