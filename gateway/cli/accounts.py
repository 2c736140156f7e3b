"""`ephemera accounts`: who owns credits."""

from typing import Annotated

from cyclopts import App, Parameter

from gateway.cli.books import books
from gateway.cli.terminal import DEFAULTS, Source, run, table
from ledger.accounts.accounts import Account
from ledger.errors import AccountUnknown
from ledger.ledger import Ledger

app = App(name="accounts", help="Make and list accounts, and give them credits.")

Name = Annotated[str, Parameter(help="The account's name, or its number.")]


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
    """Give an account credits."""
    table(HEAD, [_row(run(_grant(source, account, amount, reason, reference)))])


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
        return await ledger.accounts.create(name, credits=amount, reference="opening")


async def _list(source: Source) -> list[Account]:
    async with books(source) as ledger:
        return await ledger.accounts.list()


async def _grant(
    source: Source, name: str, amount: int, reason: str, reference: str | None
) -> Account:
    async with books(source) as ledger:
        account = await find(ledger, name)
        await ledger.accounts.grant(account.id, amount, reason, reference)
        return await ledger.accounts.get(account.id)


HEAD = ("ID", "NAME", "BALANCE")


def _row(account: Account) -> tuple[object, ...]:
    return (account.id, account.name, account.balance)
