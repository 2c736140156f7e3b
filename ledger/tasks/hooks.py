"""Webhook endpoints: addresses of an account that hear of its tasks, and the secrets that sign.

Address and secret are sealed with the ledger's envelope: addresses carry tokens, and a signing
secret must be had again. During a rotation two secrets sign; the old one ends after a day.
"""

import base64
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg
import msgspec

from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import HooksExceeded, HookUnknown
from ledger.tasks.limits import TaskLimits

SECRET_PREFIX = "whsec_"  # noqa: S105 -- how such secrets begin (Standard Webhooks 1.0.0)
# The specification wants 24 to 64.
SECRET_BYTES = 32
# Whoever rotates has a day to bring the new secret to all receivers.
OLD_SECRET = timedelta(days=1)
_ID_CHARS = 16
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

_COLUMNS = "id, account_id, url, events, status, reason, failing_since, created_at"
# The lock makes two that come at once take turns at the limit.
_INSERT = f"""
with locked as materialized (select pg_advisory_xact_lock(hashtextextended('tasks.hook', $2))),
counted as (select count(*) as hooks from locked, tasks.hook where account_id = $2)
insert into tasks.hook (id, account_id, url, secret, events)
select $1, $2, $3, $4, $5 from counted where hooks < $6
returning {_COLUMNS}
"""  # noqa: S608 -- columns
_LIST = f"select {_COLUMNS} from tasks.hook where account_id = $1 order by created_at, id"  # noqa: S608 (columns)
_GET = f"select {_COLUMNS} from tasks.hook where account_id = $1 and id = $2"  # noqa: S608 (columns)
_DELETE = "delete from tasks.hook where account_id = $1 and id = $2"
_ROTATE = """
update tasks.hook
   set old_secret = $4, old_until = now() + $5, secret = $3
 where account_id = $1 and id = $2
"""
_SECRET = "select secret from tasks.hook where account_id = $1 and id = $2"  # noqa: S105 -- SQL
_ENABLE = f"""
update tasks.hook set status = 'active', reason = null, failing_since = null
 where account_id = $1 and id = $2 returning {_COLUMNS}
"""  # noqa: S608 -- columns


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as its owner sees it."""

    id: str
    account_id: int
    url: str
    events: tuple[str, ...]
    # active or disabled.
    status: str
    # Why it is disabled: gone (it answered 410), failing, backlog.
    reason: str | None
    # Since when no delivery succeeded, where one failed.
    failing_since: datetime | None
    created_at: datetime


class Hooks:
    """Endpoints of all accounts."""

    def __init__(self, database: Database, envelope: Envelope, limits: TaskLimits) -> None:
        self._database = database
        self._envelope = envelope
        self._limits = limits

    async def create(self, account_id: int, url: str, events: Sequence[str]) -> tuple[Hook, str]:
        """Make an endpoint; gives its secret as well, this once. Raises HooksExceeded."""
        hook_id = "".join(secrets.choice(_ALPHABET) for _ in range(_ID_CHARS))
        secret = new_secret()
        row = await self._database.row(
            *(_INSERT, hook_id, account_id),
            self._envelope.close(url.encode(), place("url", hook_id)),
            self._envelope.close(secret.encode(), place("secret", hook_id)),
            *(list(events), self._limits.account_hooks_max),
        )
        if row is None:
            raise HooksExceeded(
                f"an account has at most {self._limits.account_hooks_max} webhooks; delete one"
            )
        return self._hook(row), secret

    async def list(self, account_id: int) -> "list[Hook]":
        """Give the account's endpoints, the oldest first."""
        return [self._hook(row) for row in await self._database.rows(_LIST, account_id)]

    async def get(self, account_id: int, hook_id: str) -> Hook:
        """Give one. Raises HookUnknown."""
        row = await self._database.row(_GET, account_id, hook_id)
        if row is None:
            raise unknown()
        return self._hook(row)

    async def delete(self, account_id: int, hook_id: str) -> None:
        """Delete one with its deliveries. There being none is not an error."""
        async with self._database.session() as connection:
            await connection.execute(_DELETE, account_id, hook_id)

    async def rotate(self, account_id: int, hook_id: str) -> str:
        """Make a new secret; the old one signs as well for a day. Raises HookUnknown."""
        sealed = await self._database.value(_SECRET, account_id, hook_id)
        if sealed is None:
            raise unknown()
        # Sealed for its place, so that it has to be sealed anew for the other one.
        old = self._envelope.open(sealed, place("secret", hook_id))
        secret = new_secret()
        async with self._database.session() as connection:
            await connection.execute(
                *(_ROTATE, account_id, hook_id),
                self._envelope.close(secret.encode(), place("secret", hook_id)),
                self._envelope.close(old, place("old_secret", hook_id)),
                OLD_SECRET,
            )
        return secret

    async def enable(self, account_id: int, hook_id: str) -> Hook:
        """Make one active that was disabled. Raises HookUnknown."""
        row = await self._database.row(_ENABLE, account_id, hook_id)
        if row is None:
            raise unknown()
        return self._hook(row)

    def _hook(self, row: asyncpg.Record) -> Hook:
        url = self._envelope.open(row["url"], place("url", row["id"])).decode()
        return Hook(**{**row, "url": url, "events": tuple(row["events"])})


def new_secret() -> str:
    """Make a signing secret."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def place(column: str, hook_id: str) -> str:
    """Where a sealed field of an endpoint stands."""
    return f"tasks.hook.{column}|{hook_id}"


def unknown() -> HookUnknown:
    """Give the one sentence for an endpoint that is not there."""
    return HookUnknown("there is no such webhook of this account; see GET /v1/webhooks")
