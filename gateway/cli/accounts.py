"""`ephemera accounts`: who owns credits. Whoever gives or takes some by hand is on record."""

import os
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from gateway.cli.books import books, recorded
from gateway.cli.terminal import DEFAULTS, Source, run, table
from gateway.operations import Order, Suspend, Unsuspend
from gateway.process import this_process
from ledger.accounts.accounts import Account
from ledger.errors import AccountUnknown
from ledger.ledger import Ledger
from ledger.limits.suspensions import Suspension

app = App(name="accounts", help="Make and list accounts, and give them credits.")

Name = Annotated[str, Parameter(help="The account's name, or its number.")]


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for, as the audit records have it. `credits` is signed."""

    account: str
    credits: int
    reason: str
    reference: str | None


@app.command
def create(
    name: Annotated[str, Parameter(help="A name that no other account has.")],
    *,
    amount: Annotated[int, Parameter(name="--credits", help="Credits to begin with.")] = 0,
    source: Source = DEFAULTS,
) -> None:
    """Make an account. It needs a key before it can convert: ephemera keys create NAME."""
    account = run(_create(source, name, amount))
    table(HEAD, [_row(account)])


@app.command(name="list")
def show(*, source: Source = DEFAULTS) -> None:
    """List all accounts with their balances."""
    table(HEAD, [_row(account) for account in run(_list(source))])


@app.command
def grant(
    account: Name,
    amount: Annotated[int, Parameter(name="CREDITS", help="Credits to add.")],
    *,
    reason: Annotated[str, Parameter(help="Stands in the account's entries.")] = "grant",
    reference: Annotated[
        str | None,
        Parameter(help="Makes a repeat harmless: the same reference is booked once."),
    ] = None,
    source: Source = DEFAULTS,
) -> None:
    """Give an account credits, on record: ephemera audit list."""
    grant = Grant(account=account, credits=amount, reason=reason, reference=reference)
    table(HEAD, [_row(run(_grant(source, grant)))])


@app.command
def take(
    account: Name,
    amount: Annotated[int, Parameter(name="CREDITS", help="Credits to take away.")],
    *,
    reason: Annotated[str, Parameter(help="Stands in the account's entries.")],
    reference: Annotated[
        str | None,
        Parameter(help="Makes a repeat harmless: the same reference is booked once."),
    ] = None,
    source: Source = DEFAULTS,
) -> None:
    """Take credits away, to correct a mistake, on record. Never more than there are."""
    grant = Grant(account=account, credits=-amount, reason=reason, reference=reference)
    table(HEAD, [_row(run(_grant(source, grant)))])


@app.command
def warn(
    account: Name,
    threshold: Annotated[
        int, Parameter(help="Announce a balance that falls below this; 0: never.")
    ],
    *,
    source: Source = DEFAULTS,
) -> None:
    """Say below which balance the account's owner wants to hear of it."""
    run(_warn(source, account, threshold))


@app.command
def suspend(
    account: Name,
    *,
    reason: Annotated[str, Parameter(help="Why; its owners are told by mail. No names.")],
    key: Annotated[
        str | None, Parameter(help="Only this API key of it: its id, or what is shown of it.")
    ] = None,
    source: Source = DEFAULTS,
) -> None:
    """Shut an account out within a second, on record: its keys are refused, its credits kept."""
    run(_suspend(source, account, key, reason))


@app.command
def unsuspend(
    account: Name,
    *,
    key: Annotated[str | None, Parameter(help="Only this API key of it.")] = None,
    source: Source = DEFAULTS,
) -> None:
    """Let an account, or an API key, in again, on record."""
    run(_suspend(source, account, key, None))


@app.command
def suspended(*, source: Source = DEFAULTS) -> None:
    """List who is shut out, and why."""
    rows = run(_suspended(source))
    table(
        ("ID", "KEY", "SINCE", "REASON"),
        [(one.account_id, one.key_id or "-", one.since, one.reason) for one in rows],
    )


async def find(ledger: Ledger, name: str) -> Account:
    """The account of this name or number. Raises AccountUnknown."""
    if name.isdigit():
        return await ledger.accounts.get(int(name))
    account = await ledger.accounts.find(name)
    if account is None:
        raise AccountUnknown(f"there is no account named {name!r}; see: ephemera accounts list")
    return account


async def _create(source: Source, name: str, amount: int) -> Account:
    async with books(source) as ledger:
        async with recorded(ledger, "account-create") as act:
            account = await ledger.accounts.create(name)
            act.detail = f"account {account.id}"
        if not amount:
            return account
        opening = Grant(account=name, credits=amount, reason="opening", reference="opening")
        return await _booked(ledger, account, opening)


async def _list(source: Source) -> list[Account]:
    async with books(source) as ledger:
        return await ledger.accounts.list()


async def _grant(source: Source, grant: Grant) -> Account:
    async with books(source) as ledger:
        return await _booked(ledger, await find(ledger, grant.account), grant)


async def _booked(ledger: Ledger, account: Account, grant: Grant) -> Account:
    """Book it, between the two audit records that say who did."""
    asked = msgspec.structs.replace(grant, account=str(account.id))
    async with ledger.actions.recorded(
        actor=f"uid:{os.getuid()}",
        gateway=this_process().label,
        action="grant" if grant.credits > 0 else "take",
        parameters=msgspec.json.encode(asked).decode(),
    ) as act:
        balance = await ledger.accounts.grant(
            account.id, grant.credits, grant.reason, grant.reference
        )
        act.detail = f"balance {balance}"
    return await ledger.accounts.get(account.id)


async def _suspend(source: Source, name: str, key: str | None, reason: str | None) -> None:
    """Shut out for a reason, or let in again where there is none."""
    async with books(source) as ledger:
        account = await find(ledger, name)
        order: Order = Unsuspend(account=account.id, key=key)
        if reason is not None:
            order = Suspend(account=account.id, key=key, reason=reason)
        async with ledger.actions.recorded(
            actor=f"uid:{os.getuid()}",
            gateway=this_process().label,
            action="unsuspend" if reason is None else "suspend",
            parameters=msgspec.json.encode(order).decode(),
        ):
            if reason is None:
                await ledger.suspensions.lift(account.id, key)
            else:
                await ledger.suspensions.suspend(account.id, reason, key)


async def _suspended(source: Source) -> list[Suspension]:
    async with books(source) as ledger:
        return await ledger.suspensions.list()


async def _warn(source: Source, name: str, threshold: int) -> None:
    async with books(source) as ledger:
        account = await find(ledger, name)
        async with recorded(ledger, "account-warn", account_id=account.id, below=threshold):
            await ledger.accounts.set_low_balance(account.id, threshold or None)


HEAD = ("ID", "NAME", "BALANCE")


def _row(account: Account) -> tuple[object, ...]:
    return (account.id, account.name, account.balance)
