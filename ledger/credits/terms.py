"""On what terms somebody converts: paying as everybody does, up to a cap, or for nothing."""

import msgspec


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What `ledger.debit` has to know of who pays, besides the account."""

    # A test key: nothing is taken.
    free: bool = False
    # Whose spending the caps bound; None: no caps. Days and months are those of UTC.
    spender: str | None = None
    day_max: int | None = None
    month_max: int | None = None


PAYING = Terms()
