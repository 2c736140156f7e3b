"""Who is affected when something got out: the list behind a notice of a breach (GDPR, article 33).

By a key that leaked, an address that somebody came from, a period, or several of them together:
accounts that all of them name, and what is kept of each, by the categories of the inventory.
"""

from collections import Counter
from datetime import datetime

import msgspec

from ledger.accounts.rights import Network
from ledger.accounts.secret import key_id_of
from ledger.database import AUDIT_TIMEOUT_S, Database
from ledger.errors import KeyUnknown
from ledger.privacy.inventory import Inventory
from ledger.privacy.owner import WITH_OWNER, Whose, condition

# A notice to more than these is one to all customers; the report says that it is cut.
ACCOUNTS_MAX = 1000

_KEY = "select account_id from accounts.api_key where id = $1"
_FROM_THERE = """
select distinct account_id from requests.record
 where address && $1::inet and ($2::timestamptz is null or at >= $2)
   and ($3::timestamptz is null or at <= $3)
union
select distinct m.account_id from people.session s join people.member m using (person_id)
 where s.network && $1::inet and ($2::timestamptz is null or s.seen_at >= $2)
   and ($3::timestamptz is null or s.created_at <= $3)
"""
_BOOKED = """
select distinct account_id from credits.entry
 where created_at >= coalesce($1, '-infinity'::timestamptz)
   and created_at <= coalesce($2, 'infinity'::timestamptz)
"""
_SEEN = """
select distinct account_id from requests.record
 where at >= coalesce($1, '-infinity'::timestamptz) and at <= coalesce($2, 'infinity'::timestamptz)
union
select distinct m.account_id from people.session s join people.member m using (person_id)
 where s.seen_at >= coalesce($1, '-infinity'::timestamptz)
   and s.created_at <= coalesce($2, 'infinity'::timestamptz)
"""
_MEMBERS = "select person_id from people.member where account_id = $1 order by person_id"


class Affected(msgspec.Struct, frozen=True, kw_only=True):
    """An account, and how much is kept of it."""

    account_id: int
    members: tuple[int, ...]
    # Rows by table, and by category of what their columns hold.
    tables: dict[str, int]
    categories: dict[str, int]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All of them; `accounts` says how many there are, also beyond those that are listed."""

    accounts: int
    affected: tuple[Affected, ...]


class Reach:
    """Looks. Raises LedgerUnavailable."""

    def __init__(self, database: Database, inventory: Inventory) -> None:
        self._database = database
        self._inventory = inventory

    async def look(
        self,
        *,
        key: str | None = None,
        address: Network | None = None,
        first: datetime | None = None,
        last: datetime | None = None,
    ) -> Report:
        """Find who all that was given names. Raises KeyUnknown, ValueError for nothing given."""
        found: list[set[int]] = []
        if key is not None:
            account = await self._database.value(_KEY, key_id_of(key) or key)
            if account is None:
                raise KeyUnknown("there is no such key; give its id or what it begins with")
            found.append({account})
        if address is not None:
            found.append(await self._accounts(_FROM_THERE, address, first, last))
        elif first is not None or last is not None:
            booked = await self._accounts(_BOOKED, first, last)
            found.append(booked | await self._accounts(_SEEN, first, last))
        if not found:
            raise ValueError("say what got out: --key, --address, or --from and --to")
        accounts = sorted(set.intersection(*found))
        listed = [await self._affected(one) for one in accounts[:ACCOUNTS_MAX]]
        return Report(accounts=len(accounts), affected=tuple(listed))

    async def _accounts(self, statement: str, *arguments: object) -> set[int]:
        rows = await self._database.rows(statement, *arguments, timeout_s=AUDIT_TIMEOUT_S)
        return {row["account_id"] for row in rows}

    async def _affected(self, account_id: int) -> Affected:
        rows = await self._database.rows(_MEMBERS, account_id)
        members = tuple(row["person_id"] for row in rows)
        whose = Whose(account_id=account_id, persons=members)
        counted = await self._database.rows(
            self._counts(), *whose.arguments(), timeout_s=AUDIT_TIMEOUT_S
        )
        tables = {row["name"]: row["rows"] for row in counted if row["rows"]}
        return Affected(
            account_id=account_id,
            members=members,
            tables=tables,
            categories=self._categories(tables),
        )

    def _counts(self) -> str:
        each = (
            f"select '{table.name}' as name, count(*) as rows from {table.name}"  # noqa: S608 (names of the inventory)
            f" where {condition(self._inventory, table)}"
            for table in self._inventory.tables.values()
            if table.of
        )
        return WITH_OWNER + " union all ".join(each)

    def _categories(self, tables: dict[str, int]) -> dict[str, int]:
        counts = Counter[str]()
        for name, rows in tables.items():
            for category in {str(one.category) for one in self._inventory.tables[name].columns}:
                counts[category] += rows
        return dict(sorted(counts.items()))
