"""`ephemera keys`: what a client shows to be let in."""

from typing import Annotated

from cyclopts import App, Parameter

from gateway.cli.accounts import Name, find
from gateway.cli.books import books
from gateway.cli.terminal import DEFAULTS, Source, run, table
from ledger.accounts.keys import ApiKey, NewKey

app = App(name="keys", help="Make, list and revoke API keys.")


@app.command
def create(
    account: Name,
    *,
    label: Annotated[str, Parameter(help="What the key is for.")] = "made by hand",
    source: Source = DEFAULTS,
) -> None:
    """Make an API key for an account. The secret is printed once and kept nowhere."""
    print(run(_create(source, account, label)).secret)


@app.command(name="list")
def show(account: Name, *, source: Source = DEFAULTS) -> None:
    """List an account's keys: prefixes, never secrets."""
    table(HEAD, [_row(key) for key in run(_list(source, account))])


@app.command
def revoke(
    key: Annotated[str, Parameter(help="The key's prefix, as `keys list` shows it.")],
    *,
    source: Source = DEFAULTS,
) -> None:
    """Revoke a key. It is refused from this moment on, by every gateway."""
    run(_revoke(source, key))
    print("revoked")


async def _create(source: Source, name: str, label: str) -> NewKey:
    async with books(source) as ledger:
        return await ledger.keys.create((await find(ledger, name)).id, label)


async def _list(source: Source, name: str) -> list[ApiKey]:
    async with books(source) as ledger:
        return await ledger.keys.list((await find(ledger, name)).id)


async def _revoke(source: Source, key: str) -> None:
    async with books(source) as ledger:
        await ledger.keys.revoke(key)


HEAD = ("PREFIX", "LABEL", "CREATED", "REVOKED")


def _row(key: ApiKey) -> tuple[object, ...]:
    revoked = key.revoked_at.isoformat(timespec="seconds") if key.revoked_at else "-"
    return (key.prefix, key.label, key.created_at.isoformat(timespec="seconds"), revoked)
