"""`ephemera ledger`: are the books right, are the days sealed, and is that what was published."""

from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from gateway.cli.books import books
from gateway.cli.terminal import DEFAULTS, Exit, Source, complain, run, table
from ledger.credits.history import TrialBalance, Violation
from ledger.credits.upkeep import Seal
from ledger.ledger import Ledger

app = App(name="ledger", help="Audit the books; seal days, verify the seals, publish them.")

# A thousand years, of about 130 bytes a day.
DAYS_MAX = 366_000
PUBLISHED_BYTES_MAX = 64 * 1024 * 1024


class PublishedSeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of what `publish` prints. The digest covers the day and all days before it."""

    day: date
    entries: int
    total: int
    digest: str


@app.command
def audit(*, source: Source = DEFAULTS) -> int:
    """Look for everything that must never be, and print the trial balance.

    Reads every entry. Exits 0 when the books are right, 65 when they are not.
    """
    balance, violations = run(_audit(source))
    rows = msgspec.structs.asdict(balance)
    table(("CREDITS", "SUM"), [(name.replace("_", " "), rows[name]) for name in rows])
    for violation in violations:
        where = f"account {violation.account_id}" if violation.account_id else "all accounts"
        entry = f", entry {violation.seq}" if violation.seq is not None else ""
        complain(f"{violation.what}: {where}{entry}")
    return Exit.REFUSED if violations else Exit.OK


@app.command
def seal(*, source: Source = DEFAULTS) -> None:
    """Seal all days that are over, and print the last digest. A running service does it as well."""
    sealed, last = run(_seal(source))
    for one in sealed:
        print(f"sealed {one.day}: {one.entries} entries")
    print(f"{last.day} {last.digest.hex()}" if last else "no day with entries is over yet")


@app.command
def verify(
    *,
    published: Annotated[
        Path | None, Parameter(help="What `publish` printed earlier: is all of it still so?")
    ] = None,
    source: Source = DEFAULTS,
) -> int:
    """Make every seal again from the entries, and compare.

    Exits 0 when all agree, 65 when entries or seals were changed after they were sealed.
    """
    try:
        noted = _read(published) if published else []
    except (OSError, msgspec.MsgspecError) as error:
        complain(f"{published} cannot be read as what `ephemera ledger publish` prints: {error}")
        return Exit.NO_INPUT
    broken, seals = run(_verify(source))
    digests = {one.day: one for one in map(_published, seals)}
    for day in broken:
        complain(f"{day}: its entries, or its place in the chain, are not what was sealed")
    changed = [line.day for line in noted if digests.get(line.day) != line]
    for day in changed:
        complain(f"{day}: this is not the seal that was published")
    print(
        f"{len(seals)} seals, {len(broken)} broken, {len(noted)} compared with what was published"
    )
    return Exit.REFUSED if broken or changed else Exit.OK


@app.command
def publish(
    *,
    since: Annotated[date | None, Parameter(help="The first day to print.")] = None,
    source: Source = DEFAULTS,
) -> None:
    """Print the seals as JSON lines, the oldest first, to be kept where we cannot change them."""
    for one in reversed(run(_seals(source))):
        if since is None or one.day >= since:
            print(msgspec.json.encode(_published(one)).decode())


async def _audit(source: Source) -> tuple[TrialBalance, list[Violation]]:
    async with books(source) as ledger:
        return await ledger.trial_balance(), await ledger.audit()


async def _seal(source: Source) -> tuple[list[Seal], Seal | None]:
    async with books(source) as ledger:
        sealed = await ledger.upkeep.seal()
        last = await ledger.upkeep.seals(limit=1)
        return sealed, last[0] if last else None


async def _verify(source: Source) -> tuple[list[date], list[Seal]]:
    async with books(source) as ledger:
        return await ledger.upkeep.broken_seals(), await _all_seals(ledger)


async def _seals(source: Source) -> list[Seal]:
    async with books(source) as ledger:
        return await _all_seals(ledger)


async def _all_seals(ledger: Ledger) -> list[Seal]:
    return await ledger.upkeep.seals(limit=DAYS_MAX)


def _published(one: Seal) -> PublishedSeal:
    return PublishedSeal(day=one.day, entries=one.entries, total=one.total, digest=one.digest.hex())


def _read(path: Path) -> list[PublishedSeal]:
    with path.open("rb") as file:
        return msgspec.json.Decoder(PublishedSeal).decode_lines(file.read(PUBLISHED_BYTES_MAX))
