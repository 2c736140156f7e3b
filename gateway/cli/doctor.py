"""`ephemera doctor`: what this machine gives, what is missing, and what to do about it."""

import os

import msgspec

from engine import doctor as machine
from engine.engine import Engine
from engine.errors import EngineError
from gateway import home
from gateway.app import ledger_settings
from gateway.cli.terminal import DEFAULTS, Exit, Source, run, table
from gateway.config import EngineSection, Settings
from gateway.errors import ConfigError
from ledger.errors import LedgerError, SchemaBehind
from ledger.ledger import Ledger
from ledger.postgres_binaries import find_binaries

# Only to be let into the ledger for a look: no key is made or checked with it.
NO_PEPPER = bytes(32)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at, in words; `blocks` where the service cannot start like this."""

    name: str
    says: str
    ok: bool = True
    blocks: bool = False
    # What to do about it; empty where `says` has it all.
    fix: str = ""

    @property
    def verdict(self) -> str:
        """One word for the first column."""
        if self.blocks:
            return "MISSING"
        return "ok" if self.ok else "note"


def doctor(*, source: Source = DEFAULTS) -> int:
    """Examine the kernel and the sandbox, the database, and the home.

    Exits 0 when the service can start here with these settings, 69 when it cannot.
    """
    findings = run(_examine(source.settings()))
    table(
        ("", "WHAT", "FOUND", "WHAT TO DO"),
        [(one.verdict, one.name, one.says, one.fix) for one in findings],
    )
    return Exit.UNAVAILABLE if any(one.blocks for one in findings) else Exit.OK


async def _examine(settings: Settings) -> list[Finding]:
    return [
        *_machine(settings),
        await _sandbox(settings),
        await _database(settings),
        _home(settings),
    ]


def _machine(settings: Settings) -> list[Finding]:
    """What the kernel offers. Only strict isolation needs all of it."""
    strict = settings.engine.isolation == "strict"
    return [
        Finding(
            name=one.name,
            says=one.detail,
            ok=one.ok,
            blocks=one.blocks and strict,
            fix=one.fix,
        )
        for one in machine.examine()
    ]


async def _sandbox(settings: Settings) -> Finding:
    """Start every family's zygote for a moment: each attacks its own sandbox first."""
    level = settings.engine.isolation
    try:
        engine = await Engine.start(EngineSection(slots=1, spares=1, isolation=level))
    except EngineError as error:
        return Finding(name="sandbox", says=str(error), blocks=True)
    families = ", ".join(family.name for family in engine.status().families)
    await engine.close()
    return Finding(name="sandbox", says=f"isolation {level} holds for the families {families}")


async def _database(settings: Settings) -> Finding:
    """Reach the operator's database, or find the programs of the private one."""
    if not settings.ledger.dsn:
        try:
            found = find_binaries(None)
        except LedgerError as error:
            return Finding(name="database", says=str(error), blocks=True)
        return Finding(name="database", says=f"a private PostgreSQL {found.version} can be started")
    given = ledger_settings(settings, dsn=settings.ledger.dsn, pepper=NO_PEPPER)
    try:
        async with Ledger.connect(given) as ledger:
            await ledger.ping()
    except SchemaBehind as error:
        return Finding(name="database", says=f"it answers, and serve will migrate it: {error}")
    except LedgerError as error:
        return Finding(name="database", says=str(error), blocks=True)
    return Finding(name="database", says="it answers, and its schema is this version's")


def _home(settings: Settings) -> Finding:
    try:
        home.prepare(settings.home)
    except ConfigError as error:
        return Finding(name="home", says=str(error), blocks=True)
    if not os.access(settings.home, os.W_OK | os.X_OK):
        return Finding(
            name="home", says=f"{settings.home} cannot be written; set EPHEMERA_HOME", blocks=True
        )
    return Finding(name="home", says=str(settings.home))
