"""`ephemera tokens`: the keys that sign tokens, and tokens that must not count any more."""

from datetime import UTC, datetime
from typing import Annotated

from cyclopts import App, Parameter

from gateway.cli.accounts import Name, find
from gateway.cli.books import books, recorded
from gateway.cli.terminal import DEFAULTS, Source, run, table
from gateway.tokens.ring import make
from ledger.accounts.token_keys import TokenKey

app = App(name="tokens", help="Change the keys that sign tokens; revoke tokens.")


@app.command
def keys(*, source: Source = DEFAULTS) -> None:
    """List the keys that sign, will sign, and have signed tokens that may still live."""
    table(HEAD, [_row(key) for key in run(_keys(source))])


@app.command
def rotate(*, source: Source = DEFAULTS) -> None:
    """Let the next key sign from now on. A running service does it every `tokens.rotation_s`.

    Tokens of the key before stay good until they expire; `revoke-all` ends those of an account.
    """
    table(HEAD, [_row(key) for key in run(_rotate(source))])


@app.command
def revoke(
    account: Name,
    jti: Annotated[str, Parameter(help="The claim `jti` of the token.")],
    *,
    source: Source = DEFAULTS,
) -> None:
    """Revoke one token of an account. It is refused from this moment on, by every gateway."""
    run(_revoke(source, account, jti))
    print("revoked")


@app.command(name="revoke-all")
def revoke_all(account: Name, *, source: Source = DEFAULTS) -> None:
    """Revoke all tokens of an account that were issued or signed until now."""
    run(_revoke_all(source, account))
    print("revoked")


async def _keys(source: Source) -> list[TokenKey]:
    async with books(source) as ledger:
        return await ledger.tokens.keys.list()


async def _rotate(source: Source) -> list[TokenKey]:
    async with books(source) as ledger:
        async with recorded(ledger, "token-key-rotate"):
            if not await ledger.tokens.keys.rotate(make):
                await ledger.tokens.keys.begin(make)
        return await ledger.tokens.keys.list()


async def _revoke(source: Source, name: str, jti: str) -> None:
    async with books(source) as ledger:
        account = await find(ledger, name)
        async with recorded(ledger, "token-revoke", account_id=account.id, token=jti):
            await ledger.tokens.deny(account.id, jti)


async def _revoke_all(source: Source, name: str) -> None:
    async with books(source) as ledger:
        account = await find(ledger, name)
        async with recorded(ledger, "token-revoke-all", account_id=account.id):
            await ledger.tokens.deny_all(account.id, datetime.now(UTC))


HEAD = ("KEY", "STATE", "SINCE")


def _row(key: TokenKey) -> tuple[object, ...]:
    return (key.kid, key.state, key.since.isoformat(timespec="seconds"))
