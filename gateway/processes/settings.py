"""How many gateway processes serve one address."""

from typing import Annotated

import msgspec
from msgspec import Meta


class GatewayConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The gateway processes of this machine, which share what the other sections allow."""

    # A gateway is one thread: about 2.5 ms of it an icon. One is enough for four cores of icons and
    # some forty of longer conversions; where it is the bottleneck, more of them share the address
    # (docs/scaling.md). Each has zygotes of its own: 30 to 150 MB a family.
    processes: Annotated[int, Meta(ge=1, le=64)] = 1
