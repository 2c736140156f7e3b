"""Whose rows they are: an owner, and the SQL that finds what is theirs in any table.

Every statement made here begins with the same `with owner as (…)`, so that it takes the same four
arguments whatever ways a table has of belonging to somebody.
"""

import msgspec

from ledger.privacy.inventory import Belonging, Inventory, Owner, Table

# As the first four parameters of a statement.
WITH_OWNER = """
with owner as (select $1::bigint as account_id, $2::bigint[] as persons,
                      $3::text[] as addresses, $4::bytea[] as mailboxes)
"""

_WAYS = {
    Owner.ACCOUNT: "{} = (select account_id from owner)",
    Owner.PERSON: "{} = any ((select persons from owner)::bigint[])",
    Owner.ADDRESS: "lower({}) = any ((select addresses from owner)::text[])",
    Owner.MAILBOX: "{} = any ((select mailboxes from owner)::bytea[])",
}


class Whose(msgspec.Struct, frozen=True, kw_only=True):
    """An account, people, or both. Addresses are in lower case."""

    account_id: int | None = None
    persons: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    mailboxes: tuple[bytes, ...] = ()

    def arguments(self) -> tuple[object, ...]:
        """The first four arguments of a statement."""
        return self.account_id, list(self.persons), list(self.addresses), list(self.mailboxes)

    def __repr__(self) -> str:
        return f"Whose(account_id={self.account_id}, persons={self.persons})"


def condition(inventory: Inventory, table: Table) -> str:
    """The rows of a table that belong to the owner; what belongs to nobody is none of theirs."""
    return " or ".join(_one(inventory, way) for way in table.of) or "false"


def in_order(inventory: Inventory) -> list[Table]:
    """All tables, each before those through which its owner is found."""
    left, made = dict(inventory.tables), []
    while left:
        needed = {way.table for table in left.values() for way in table.of}
        free = [table for name, table in left.items() if name not in needed]
        if not free:
            raise ValueError(f"these belong to each other's owners: {', '.join(left)}")
        made += free
        for table in free:
            del left[table.name]
    return made


def _one(inventory: Inventory, way: Belonging) -> str:
    if way.owner is Owner.ROW:
        through = condition(inventory, inventory.tables[way.table])
        return f"{way.column} in (select {way.target} from {way.table} where {through})"  # noqa: S608 (names of the inventory)
    return _WAYS[way.owner].format(way.column)
