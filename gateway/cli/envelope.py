"""`ephemera envelope`: the keys that seal what must be read again, and how they are changed.

1. `new-key --keep`, or a new key in front of the others in `ledger.kek` of every gateway.
2. Restart; where there are several gateways, move the key to the end everywhere and restart again.
3. `reseal`; when `status` finds nothing left, take the old key out of the list.
"""

from typing import Annotated

from cyclopts import App, Parameter

from gateway import home
from gateway.cli.books import books, recorded
from gateway.cli.terminal import CONFIGURED, DEFAULTS, Configured, Exit, Source, run, table
from ledger.envelope import new_key
from ledger.resealing import Count

app = App(name="envelope", help="Change the keys that seal secrets in the database.")


@app.command(name="new-key")
def new(
    *,
    keep: Annotated[
        bool,
        Parameter(help="Add it to those in EPHEMERA_HOME, and do not print it.", negative=""),
    ] = False,
    source: Configured = CONFIGURED,
) -> None:
    """Make a key. The last one in the list seals from the next start of the service on."""
    if not keep:
        print(new_key())
        return
    settings = source.settings()
    home.prepare(settings.home)
    print(f"added to {home.add_kek(settings)}; restart the service, then: ephemera envelope reseal")


@app.command
def status(*, source: Source = DEFAULTS) -> int:
    """Count what is sealed with which key. Exits 65 when something is sealed with an old one."""
    counts = run(_counts(source))
    table(HEAD, [_row(one) for one in counts])
    return Exit.OK if all(one.current for one in counts) else Exit.REFUSED


@app.command
def reseal(*, source: Source = DEFAULTS) -> None:
    """Seal everything with the current key. May run beside the service, and again."""
    print(f"resealed {run(_reseal(source))}")


async def _counts(source: Source) -> list[Count]:
    async with books(source) as ledger:
        return await ledger.resealing.counts()


async def _reseal(source: Source) -> int:
    async with books(source) as ledger, recorded(ledger, "envelope-reseal"):
        return await ledger.resealing.reseal()


HEAD = ("COLUMN", "KEY", "COUNT", "STATE")


def _row(one: Count) -> tuple[object, ...]:
    return (one.column, one.key_id, one.count, "current" if one.current else "old")
