"""What the ledger must be told: where PostgreSQL is, the pepper, and its limits."""

import hashlib

import msgspec

from ledger.files.limits import FileLimits
from ledger.mail.limits import MailLimits
from ledger.tasks.limits import TaskLimits

# Below this a pepper could be found by trying.
_PEPPER_BYTES_MIN = 16


class LedgerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Times in seconds. The defaults suit production; tests shorten the times."""

    # `postgresql://user@host/database`, or `…?host=/socket/directory`.
    dsn: str
    # Keys the hashes of API keys: 16 to 64 random bytes that are not in the database, so that a
    # stolen dump of it is no list of keys.
    pepper: bytes
    # Seal what must be read again (`envelope.py`): 32 bytes each, the last one seals. Without any,
    # nothing of the kind can be kept.
    keks: tuple[bytes, ...] = ()
    # Passwords are mixed with the last of these, and checked with any; without one, with a key that
    # is derived from the pepper.
    password_peppers: tuple[bytes, ...] = ()
    # pgbouncer in transaction mode stands between: no session state, no prepared statements.
    pooled: bool = False
    # One garbage collection or a busy machine must not cost the lease: three beats fit.
    lease_s: float = 15.0
    # Longer than the longest conversion with its wait and its download.
    debit_lifetime_s: float = 900.0
    # 512 operations take about 15 ms; more in a batch is latency without more throughput.
    batch_max: int = 512
    # About a quarter of a second of work at 16 batches; beyond it "busy" is the better answer.
    queue_max: int = 8192
    # Balances, entries and keys; credits move over one connection of their own.
    connections_max: int = 8
    # A statement that takes longer is a server that hangs: treat it as away.
    statement_timeout_s: float = 5.0
    connect_timeout_s: float = 3.0
    # How long a closing ledger waits for the settles and refunds that are still queued.
    close_timeout_s: float = 5.0
    # How long a verified API key is believed without asking again. A revocation does not wait for
    # this: it is announced.
    key_cache_s: float = 10.0
    key_cache_max: int = 10_000
    # What may be kept of files, where a customer asks for it.
    files: FileLimits = FileLimits()
    # How many tasks and webhooks there may be, and how long they live.
    tasks: TaskLimits = TaskLimits()
    # How many mails may wait, and how long anything of them is remembered.
    mail: MailLimits = MailLimits()

    def __post_init__(self) -> None:
        """Refuse a pepper that BLAKE2b cannot take or that could be guessed."""
        if not _PEPPER_BYTES_MIN <= len(self.pepper) <= hashlib.blake2b.MAX_KEY_SIZE:
            raise ValueError("the pepper must have 16 to 64 bytes")
