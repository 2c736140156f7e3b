"""The moment at which an account has fewer credits than it wanted to hear of.

The database announces the crossing when it commits; every process that asked to hear of it does,
once for each. `account_id` and `seq` name the event, so that who writes to customers writes once.
What happens while nobody is connected is not repeated: the balance can be asked for at any time.
"""

import logging
from collections.abc import Callable

import msgspec

from ledger.connection import Connector
from ledger.listening import listen

CHANNEL = "ephemera_balance"

_log = logging.getLogger(__name__)


class LowBalance(msgspec.Struct, frozen=True, kw_only=True):
    """An account fell below its threshold, with its entry `seq`."""

    account_id: int
    seq: int
    balance: int
    threshold: int


async def announce(connector: Connector, told: Callable[[LowBalance], None]) -> None:
    """Call `told` for every crossing, until cancelled. It must be quick, and must not raise."""

    def heard(payload: str) -> None:
        told(msgspec.json.decode(payload, type=LowBalance))

    def hearing(now: bool) -> None:
        _log.debug("listening for low balances: %s", now)

    await listen(connector, CHANNEL, heard=heard, hearing=hearing)
