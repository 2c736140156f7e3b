"""`ephemera privacy`: who is affected when something got out, and how the rules are kept."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from gateway.cli.books import books, recorded
from gateway.cli.terminal import DEFAULTS, Exit, Source, complain, run, table
from gateway.errors import ReceiptInvalid
from gateway.privacy.export import Manifest, checked
from gateway.receipt_keys import ReceiptKeys
from gateway.receipts import KeySet, PublicKey
from ledger.accounts.rights import Network, network
from ledger.privacy.erasure import Erasure
from ledger.privacy.reach import Report
from ledger.privacy.retention import Run

app = App(name="privacy", help="Breaches, retention, erasures and exports.")

HEAD = ("ACCOUNT", "MEMBERS", "KEPT OF IT")
ERASURES = ("ID", "ACCOUNT", "STATE", "ASKED FOR", "FINISH BY", "ROWS")
RUNS = ("TIME", "TABLE", "OLDER THAN", "ROWS", "COMPLETE")
_KEYS_BYTES_MAX = 1024 * 1024


@app.command(name="blast-radius")
def blast_radius(
    *,
    key: Annotated[
        str | None, Parameter(help="A key that got out: its id, or what it begins with.")
    ] = None,
    address: Annotated[
        str | None, Parameter(help="An address or a network that somebody came from.")
    ] = None,
    first: Annotated[
        datetime | None, Parameter(name="--from", help="When it began (UTC, 2027-03-01T09:00).")
    ] = None,
    last: Annotated[datetime | None, Parameter(name="--to", help="When it ended.")] = None,
    as_json: Annotated[bool, Parameter(name="--json", help="For a program.", negative="")] = False,
    source: Source = DEFAULTS,
) -> None:
    """List the accounts that all of these name, and what is kept of each. On record.

    For the notice that is due within 72 hours (GDPR, article 33): how many, who, and which kinds
    of data. Networks are kept without their last part, so neighbours are listed with them.
    """
    where = network(address) if address else None
    report = run(_look(source, key, where, first, last))
    if as_json:
        print(msgspec.json.encode(report).decode())
        return
    print(f"{report.accounts} accounts")
    table(HEAD, [_row(one.account_id, one.members, one.categories) for one in report.affected])


@app.command
def erasures(*, limit: int = 50, source: Source = DEFAULTS) -> None:
    """List erasures with their deadlines, the newest first."""
    rows = run(_erasures(source, limit))
    table(
        ERASURES,
        [
            (
                *(one.id, one.account_id or "-", one.state, _time(one.requested_at)),
                *(_time(one.finish_by), one.rows),
            )
            for one in rows
        ],
    )


@app.command
def retention(
    *,
    now: Annotated[bool, Parameter(help="Do first what is due.", negative="")] = False,
    limit: int = 50,
    source: Source = DEFAULTS,
) -> None:
    """List what retention deleted, the newest first. A running service does it every day."""
    rows = run(_retention(source, limit, now=now))
    table(
        RUNS,
        [(_time(one.at), one.table, _time(one.cutoff), one.rows, one.complete) for one in rows],
    )


@app.command
def check(
    file: Annotated[Path, Parameter(help="An export.")],
    *,
    keys: Annotated[
        Path | None,
        Parameter(help="What /.well-known/ephemera-receipts.json answered; else those of here."),
    ] = None,
    source: Source = DEFAULTS,
) -> int:
    """Check an export: its files against its manifest, and that against the published keys.

    Exits 0 when all of it is as it was made, 65 when it is not.
    """
    try:
        published = _published(keys, source)
        with file.open("rb") as opened:
            said = checked(opened, published)
    except (OSError, msgspec.MsgspecError) as error:
        complain(f"cannot be read: {error}")
        return Exit.NO_INPUT
    except ReceiptInvalid as error:
        complain(str(error))
        return Exit.REFUSED
    print(_said(said))
    return Exit.OK


async def _look(
    source: Source,
    key: str | None,
    address: Network | None,
    first: datetime | None,
    last: datetime | None,
) -> Report:
    async with books(source) as ledger, recorded(ledger, "blast-radius"):
        return await ledger.privacy.reach.look(
            key=key,
            address=address,
            first=_utc(first),
            last=_utc(last),
        )


async def _erasures(source: Source, limit: int) -> list[Erasure]:
    async with books(source) as ledger:
        return await ledger.privacy.erasures.list(limit)


async def _retention(source: Source, limit: int, *, now: bool) -> list[Run]:
    async with books(source) as ledger:
        if now:
            async with recorded(ledger, "retention"):
                await ledger.privacy.retention.sweep()
        return await ledger.privacy.retention.list(limit)


def _published(keys: Path | None, source: Source) -> tuple[PublicKey, ...]:
    if keys is None:
        return ReceiptKeys(source.settings().home).published()
    with keys.open("rb") as file:
        return msgspec.json.decode(file.read(_KEYS_BYTES_MAX), type=KeySet).keys


def _said(manifest: Manifest) -> str:
    whose = f"account {manifest.account_id}" if manifest.account_id else "no account"
    return (
        f"{len(manifest.files)} files of {whose}, person {manifest.person_id},"
        f" made at {manifest.made_at} by {manifest.service}"
    )


def _row(account: int, members: tuple[int, ...], kept: dict[str, int]) -> tuple[object, ...]:
    said = ", ".join(f"{category} {rows}" for category, rows in kept.items())
    return (account, " ".join(map(str, members)) or "-", said)


def _utc(when: datetime | None) -> datetime | None:
    return when.replace(tzinfo=UTC) if when is not None and when.tzinfo is None else when


def _time(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="minutes")
