"""Accounts: an opaque id that owns credits, and the name people know it by."""

import secrets
from datetime import datetime
from typing import Literal
from uuid import UUID, uuid4

import asyncpg
import msgspec

from ledger.credits.operation import CREDITS_MAX, Kind, Operation, Outcome, Status
from ledger.credits.writer import Writer
from ledger.database import Database
from ledger.errors import (
    AccountFrozen,
    AccountUnknown,
    InsufficientCredits,
    LedgerError,
    NameTaken,
    ReferenceUsed,
    RefundRefused,
)

NAME_CHARS_MAX = 200
LIST_MAX = 1000

_COLUMNS = """
select a.id, p.name, a.status, a.balance, a.low_balance, a.created_at
  from credits.account a join accounts.profile p on p.account_id = a.id
"""
_BY_ID = f"{_COLUMNS} where a.id = $1"
_BY_NAME = f"{_COLUMNS} where p.name = $1"
_LIST = f"{_COLUMNS} order by p.name limit $1"
_OPEN = "insert into credits.account (id) values ($1)"
_NAME = "insert into accounts.profile (account_id, name) values ($1, $2)"
_SET_STATUS = """
update credits.account
   set status = $2, closed_at = case when $2 = 'closed' then now() end
 where id = $1 and status <> 'closed'
"""
_SET_LOW_BALANCE = "update credits.account set low_balance = $2 where id = $1"
# As credits.apply does: before the transaction has a snapshot.
_TAKE_TURN = "lock table credits.turn in share row exclusive mode"
_GOODWILL = "select outcome, balance_after from credits.goodwill($1, $2, $3, $4, $5)"
_ERASE = "select accounts.erase($1)"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """An account as it is now."""

    id: int
    name: str
    status: str
    balance: int
    # LowBalance is announced when the balance falls below this; None: never.
    low_balance: int | None
    created_at: datetime


class Accounts:
    """Opens, finds, credits, freezes and closes accounts."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def create(
        self,
        name: str,
        credits: int = 0,
        reference: str | None = None,
    ) -> Account:
        """Open an account, with credits to begin with if any. Raises NameTaken."""
        if not 1 <= len(name) <= NAME_CHARS_MAX:
            raise ValueError(f"an account's name has 1 to {NAME_CHARS_MAX} characters")
        # Random, so that an id tells neither the number of customers nor their order; 53 bits, so
        # that it survives a JSON reader that knows only doubles.
        account_id = secrets.randbelow(2**53 - 1) + 1
        try:
            async with self._database.session() as connection, connection.transaction():
                await connection.execute(_OPEN, account_id)
                await connection.execute(_NAME, account_id, name)
        except asyncpg.UniqueViolationError as error:
            raise NameTaken(f"there is already an account named {name!r}") from error
        if credits:
            await self.grant(account_id, credits, "opening credits", reference)
        return await self.get(account_id)

    async def get(self, account_id: int) -> Account:
        """Give the account. Raises AccountUnknown."""
        row = await self._database.row(_BY_ID, account_id)
        if row is None:
            raise AccountUnknown(f"there is no account {account_id}")
        return Account(**row)

    async def find(self, name: str) -> Account | None:
        """Give the account of this name, None where there is none."""
        row = await self._database.row(_BY_NAME, name)
        return None if row is None else Account(**row)

    async def list(self, limit: int = LIST_MAX) -> "list[Account]":
        """Give the accounts by name, at most LIST_MAX."""
        return [Account(**row) for row in await self._database.rows(_LIST, min(limit, LIST_MAX))]

    async def grant(
        self,
        account_id: int,
        credits: int,
        reason: str,
        reference: str | None = None,
    ) -> int:
        """Book an adjustment (negative: take away) and give the balance after it.

        A reference is booked once for ever: with the same one and the same credits again, nothing
        is written; without one, every call books. Raises AccountUnknown, AccountFrozen (closed),
        InsufficientCredits (nothing is taken below zero), ReferenceUsed.
        """
        return await self._book(
            Operation(
                kind=Kind.ADJUSTMENT,
                account_id=account_id,
                credits=credits,
                reference=reference or f"grant:{uuid4()}",
                reason=reason,
            )
        )

    async def purchase(
        self,
        account_id: int,
        credits: int,
        reference: str,
    ) -> int:
        """Book paid credits and give the balance after it; once a reference, as `grant`."""
        return await self._book(
            Operation(
                kind=Kind.PURCHASE, account_id=account_id, credits=credits, reference=reference
            )
        )

    async def goodwill(
        self,
        account_id: int,
        conversion_id: UUID,
        credits: int,
        reason: str,
        reference: str,
    ) -> int:
        """Give back up to the cost of a settled conversion, once; gives the balance after it.

        Raises AccountUnknown, AccountFrozen (closed), ReferenceUsed, and RefundRefused where there
        is nothing to refund or not that much.
        """
        checked = Operation(
            kind=Kind.PURCHASE,  # the checks of its texts and of its size are the same
            account_id=account_id,
            credits=credits,
            reference=reference,
            reason=reason,
        )

        async def book(connection: asyncpg.Connection) -> asyncpg.Record:
            await connection.execute(_TAKE_TURN)
            return await connection.fetchrow(
                _GOODWILL, account_id, conversion_id, credits, reference, reason
            )

        try:
            row = await self._database.serializable(book)
        except asyncpg.UniqueViolationError as error:
            raise ReferenceUsed(f"the reference {reference!r} was booked before") from error
        if row["outcome"] == Status.LAPSED:
            raise RefundRefused(
                "there is nothing to refund: the conversion was not debited, still runs, was"
                " refunded before, or did not cost that much"
            )
        return self._booked(checked, Outcome(Status(row["outcome"]), row["balance_after"] or 0))

    async def erase(self, account_id: int) -> None:
        """Remove what names the owner of a closed account; its entries stay under the bare id."""
        if not await self._database.value(_ERASE, account_id):
            raise AccountUnknown(f"there is no closed account {account_id}")

    async def set_status(
        self, account_id: int, status: Literal["active", "frozen", "closed"]
    ) -> None:
        """Freeze an account, make it active again, or close it for good."""

        async def change(connection: asyncpg.Connection) -> None:
            if await connection.execute(_SET_STATUS, account_id, status) == "UPDATE 0":
                raise AccountUnknown(f"there is no open account {account_id}")

        await self._database.serializable(change)

    async def set_low_balance(self, account_id: int, threshold: int | None) -> None:
        """Say below which balance a LowBalance is announced; None: never again."""
        if threshold is not None and not 0 < threshold <= CREDITS_MAX:
            raise ValueError("a threshold is a positive number of credits")

        async def change(connection: asyncpg.Connection) -> None:
            if await connection.execute(_SET_LOW_BALANCE, account_id, threshold) == "UPDATE 0":
                raise AccountUnknown(f"there is no account {account_id}")

        await self._database.serializable(change)

    async def _book(self, operation: Operation) -> int:
        return self._booked(operation, await self._writer.submit(operation).answer)

    @staticmethod
    def _booked(operation: Operation, outcome: Outcome) -> int:
        match outcome.status:
            case Status.DONE | Status.REPEAT:
                return outcome.balance
            case Status.INSUFFICIENT:
                raise InsufficientCredits(cost=-operation.credits, balance=outcome.balance)
            case Status.REFERENCE_USED:
                raise ReferenceUsed(
                    f"the reference {operation.reference!r} was booked with another amount"
                )
            case Status.ACCOUNT_UNKNOWN:
                raise AccountUnknown(f"there is no account {operation.account_id}")
            case Status.ACCOUNT_CLOSED:
                raise AccountFrozen("the account is closed")
            case other:
                raise LedgerError(f"unforeseen outcome of a booking: {other}")
