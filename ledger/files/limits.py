"""What may be stored: how much in all, how much for one account, and for how long."""

import msgspec

# The promise to customers; the schema's own check is an hour above it, for clocks and long writes.
LIFETIME_S_MAX = 3 * 3600.0


class FileLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes and files count from the moment that room is made until they are purged."""

    # A tenth of a small machine's disk. 0: nothing is stored at all.
    bytes_max: int = 4 * 1024**3
    # Room is made under a lock that reads one short row a file: about 2 ms at this many.
    files_max: int = 10_000
    # One customer must not fill the store for all others; four of the largest results fit.
    account_bytes_max: int = 1024**3
    account_files_max: int = 1000
    # An upload, a look at the result and another conversion are minutes apart.
    lifetime_s: float = 3600.0
    lifetime_s_max: float = LIFETIME_S_MAX

    def __post_init__(self) -> None:
        """Refuse lifetimes that break the promise, and rooms that are none."""
        rooms = (
            *(self.bytes_max, self.files_max),
            *(self.account_bytes_max, self.account_files_max),
        )
        if min(rooms) < 0:
            raise ValueError("the store's limits are 0 or more")
        if not 0 < self.lifetime_s <= self.lifetime_s_max <= LIFETIME_S_MAX:
            raise ValueError("a stored file lives at most 3 hours, and no longer than its maximum")
