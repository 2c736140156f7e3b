"""On what terms somebody converts: what, how much of it, and paying how. A task keeps them."""

import msgspec


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of who pays, besides the account. The first two are the gateway's."""

    # Each list (of the key, of its token) has to allow a conversion; none: everything is allowed.
    operations: tuple[tuple[str, ...], ...] = ()
    # All files of one conversion together.
    bytes_max: int | None = None
    # A test key: nothing is taken.
    free: bool = False
    # Whose spending the caps bound; None: no caps. Days and months are those of UTC.
    spender: str | None = None
    day_max: int | None = None
    month_max: int | None = None


PAYING = Terms()
