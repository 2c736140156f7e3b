"""`ephemera migrate`: bring the database to this version's schema."""

from gateway import server
from gateway.cli.terminal import DEFAULTS, Source, run
from ledger.migrate import migrate as bring_up_to_date


def migrate(*, source: Source = DEFAULTS) -> None:
    """Apply the migrations that are missing. Safe to run at any time, and by several at once."""
    applied = run(_migrate(source))
    print("\n".join(applied) if applied else "the schema is up to date")


async def _migrate(source: Source) -> list[str]:
    async with server.database(source.settings()) as found:
        return await bring_up_to_date(found.owner_dsn)
