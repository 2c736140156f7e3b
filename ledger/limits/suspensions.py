"""Accounts and keys that are shut out until further notice, and why.

A suspended account can spend nothing (its status is `frozen`), and none of its keys is let in; a
suspended key alone is not let in. Both are announced, as every change of a key is, so every gateway
knows at once; one that hears no announcements believes a key for half a second. The account's
owners and admins are written to, in the same transaction.
"""

from datetime import datetime

import asyncpg
import msgspec

from ledger.accounts.secret import key_id_of
from ledger.database import Database
from ledger.errors import AccountUnknown, KeyUnknown, SuspensionKnown, SuspensionUnknown
from ledger.mail.outbox import Outbox

REASON_CHARS_MAX = 500
LIST_MAX = 1000
_SUSPEND = """
insert into accounts.suspension (account_id, key_id, reason, was_active)
select a.id, $2, $3, a.status = 'active' from credits.account a
 where a.id = $1 and a.status <> 'closed'
on conflict do nothing returning true
"""
_FREEZE = "update credits.account set status = 'frozen' where id = $1 and status = 'active'"
_LIFT = """
delete from accounts.suspension where account_id = $1 and key_id is not distinct from $2
returning was_active
"""
_THAW = "update credits.account set status = 'active' where id = $1 and status = 'frozen'"
_KEY = "select true from accounts.api_key where id = $1 and account_id = $2"
_KNOWN = "select true from credits.account where id = $1 and status <> 'closed'"
_NOW = "select now()"
_MEMBERS = """
select p.address, a.name
  from people.member m
  join people.person p on p.id = m.person_id
  join people.account a on a.account_id = m.account_id
 where m.account_id = $1 and m.role in ('owner', 'admin') and p.suspended_at is null
 order by p.id
"""
_LIST = """
select account_id, key_id, reason, since from accounts.suspension
 where $1::bigint is null or account_id = $1 order by since desc, account_id, key_id limit $2
"""


class Suspension(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who is shut out."""

    account_id: int
    # None: the whole account.
    key_id: str | None
    reason: str
    since: datetime


class Suspensions:
    """Shuts accounts and keys out, and lets them in again."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def suspend(self, account_id: int, reason: str, key: str | None = None) -> None:
        """Shut out an account, or one of its keys (its id or visible prefix).

        Raises AccountUnknown (closed ones too), KeyUnknown, SuspensionKnown, ValueError.
        """
        if not 1 <= len(reason.strip()) <= REASON_CHARS_MAX or "\x00" in reason:
            raise ValueError(f"a reason has 1 to {REASON_CHARS_MAX} characters")

        async def change(connection: asyncpg.Connection) -> None:
            key_id = await _demand(connection, account_id, key)
            if not await connection.fetchval(_SUSPEND, account_id, key_id, reason.strip()):
                raise SuspensionKnown("it is suspended already; lift that first")
            if key_id is None:
                await connection.execute(_FREEZE, account_id)
            await self._tell(connection, account_id, key_id, reason.strip())

        await self._database.serializable(change)

    async def lift(self, account_id: int, key: str | None = None) -> None:
        """Let in again. Raises AccountUnknown, KeyUnknown, SuspensionUnknown."""

        async def change(connection: asyncpg.Connection) -> None:
            key_id = await _demand(connection, account_id, key)
            was_active = await connection.fetchval(_LIFT, account_id, key_id)
            if was_active is None:
                raise SuspensionUnknown("it is not suspended")
            # What was frozen before for another reason stays so.
            if key_id is None and was_active:
                await connection.execute(_THAW, account_id)

        await self._database.serializable(change)

    async def list(self, account_id: int | None = None) -> "list[Suspension]":
        """Give who is shut out now, the last first; all, or one account's."""
        return [Suspension(**row) for row in await self._database.rows(_LIST, account_id, LIST_MAX)]

    async def _tell(
        self, connection: asyncpg.Connection, account_id: int, key_id: str | None, reason: str
    ) -> None:
        at = (await connection.fetchval(_NOW)).isoformat()
        for row in await connection.fetch(_MEMBERS, account_id):
            name = row["name"] if key_id is None else f"{row['name']} (API key {key_id})"
            fields = {"account": name, "reason": reason, "at": at}
            await self._outbox.queue(connection, "suspended", row["address"], fields)


async def _demand(connection: asyncpg.Connection, account_id: int, key: str | None) -> str | None:
    """The key's id, None where the whole account is meant. Raises AccountUnknown, KeyUnknown."""
    if not await connection.fetchval(_KNOWN, account_id):
        raise AccountUnknown(f"there is no open account {account_id}")
    if key is None:
        return None
    key_id = key_id_of(key)
    if not await connection.fetchval(_KEY, key_id, account_id):
        raise KeyUnknown(f"the account has no key {key_id[:40]!r}")
    return key_id
