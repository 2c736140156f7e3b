"""`ephemera keys`: what a client shows to be let in, and what it may do with it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from cyclopts import App, Parameter

from gateway.cli.accounts import Name, find
from gateway.cli.books import books, recorded
from gateway.cli.terminal import DEFAULTS, Source, run, table
from ledger.accounts.keys import ApiKey, NewKey
from ledger.accounts.rights import DEFAULT_SCOPES, KeyKind, Rights, Scope, network
from ledger.accounts.secret import key_id_of

app = App(name="keys", help="Make, list, replace and revoke API keys.")

Key = Annotated[str, Parameter(help="The key's prefix, as `keys list` shows it.")]


@app.command
def create(
    account: Name,
    *,
    label: Annotated[str, Parameter(help="What the key is for.")] = "made by hand",
    kind: Annotated[
        KeyKind,
        Parameter(help="`test` converts small files for nothing; `signing` signs tokens."),
    ] = KeyKind.LIVE,
    scope: Annotated[
        list[Scope] | None,
        Parameter(help="What it is let into; once each. Without any: all but keys.", negative=""),
    ] = None,
    operation: Annotated[
        list[str] | None,
        Parameter(help="SOURCE/TARGET or SOURCE/TARGET:OPERATION; once each.", negative=""),
    ] = None,
    address: Annotated[
        list[str] | None,
        Parameter(help="An address or a network it is taken from; once each.", negative=""),
    ] = None,
    day_max: Annotated[int | None, Parameter(help="Credits in a day (UTC).")] = None,
    month_max: Annotated[int | None, Parameter(help="Credits in a month (UTC).")] = None,
    days: Annotated[float | None, Parameter(help="For how many days it is good.")] = None,
    source: Source = DEFAULTS,
) -> None:
    """Make an API key for an account. The secret is printed once and kept nowhere."""
    rights = Rights(
        scopes=frozenset(scope) if scope else DEFAULT_SCOPES,
        operations=tuple(operation or ()),
        addresses=tuple(network(text) for text in address or ()),
        day_max=day_max,
        month_max=month_max,
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
    )
    print(run(_create(source, account, label, rights, kind)).secret)


@app.command(name="list")
def show(account: Name, *, source: Source = DEFAULTS) -> None:
    """List an account's keys: prefixes, never secrets."""
    table(HEAD, [_row(key) for key in run(_list(source, account))])


@app.command
def rotate(
    account: Name,
    key: Key,
    *,
    overlap_s: Annotated[
        int, Parameter(help="For how many seconds the old key goes on; 7 days at most.")
    ] = 86_400,
    source: Source = DEFAULTS,
) -> None:
    """Replace a key by one that may do the same. The new secret is printed once."""
    print(run(_rotate(source, account, key, timedelta(seconds=overlap_s))).secret)


@app.command
def revoke(key: Key, *, source: Source = DEFAULTS) -> None:
    """Revoke a key, and with it its tokens. It is refused from this moment on, by every gateway."""
    run(_revoke(source, key))
    print("revoked")


async def _create(source: Source, name: str, label: str, rights: Rights, kind: KeyKind) -> NewKey:
    async with books(source) as ledger:
        account = await find(ledger, name)
        async with recorded(ledger, "key-create", account_id=account.id, kind=kind):
            return await ledger.keys.create(account.id, label, rights, kind=kind)


async def _list(source: Source, name: str) -> list[ApiKey]:
    async with books(source) as ledger:
        return await ledger.keys.list((await find(ledger, name)).id)


async def _rotate(source: Source, name: str, key: str, overlap: timedelta) -> NewKey:
    async with books(source) as ledger:
        account = await find(ledger, name)
        async with recorded(ledger, "key-rotate", account_id=account.id, key=key_id_of(key)):
            return await ledger.keys.rotate(account.id, key, overlap)


async def _revoke(source: Source, key: str) -> None:
    async with books(source) as ledger, recorded(ledger, "key-revoke", key=key_id_of(key)):
        await ledger.keys.revoke(key)


HEAD = ("PREFIX", "LABEL", "SCOPES", "CREATED", "EXPIRES", "USED", "REVOKED")


def _row(key: ApiKey) -> tuple[object, ...]:
    times = (key.created_at, key.expires_at, key.last_used_at, key.revoked_at)
    return (key.prefix, key.label, ",".join(sorted(key.scopes)), *(_time(one) for one in times))


def _time(when: datetime | None) -> str:
    return when.isoformat(timespec="seconds") if when else "-"
