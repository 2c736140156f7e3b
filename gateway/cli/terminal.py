"""How the command speaks: exit codes, error sentences, tables, and one event loop a command."""

import asyncio
import os
import sys
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import uvloop
from cyclopts import Parameter

from engine import errors as engine
from gateway import errors, logs
from gateway.config import Settings, load
from ledger import errors as ledger

Result = TypeVar("Result")


class Exit(IntEnum):
    """Exit codes, those of sysexits.h, so that scripts can tell what to do next."""

    OK = 0
    FAILED = 1  # nobody foresaw it
    USAGE = 64  # the command line is wrong
    REFUSED = 65  # this file or these options cannot be converted, or the books say no
    NO_INPUT = 66  # the input file cannot be read
    UNAVAILABLE = 69  # the sandbox, the database, the service or the port is not to be had
    NO_OUTPUT = 73  # the output file cannot be written
    RETRY = 75  # it failed, and the same again may succeed
    CONFIG = 78  # a setting is wrong


# The nearest ancestor decides.
EXITS: Mapping[type[BaseException], Exit] = {
    errors.ConfigError: Exit.CONFIG,
    errors.AddressInUse: Exit.UNAVAILABLE,
    errors.NobodyAnswers: Exit.UNAVAILABLE,
    errors.OrderRefused: Exit.REFUSED,
    errors.OrderUntimely: Exit.RETRY,
    errors.WhichOne: Exit.USAGE,
    errors.BillingOff: Exit.REFUSED,
    errors.ProviderFailed: Exit.RETRY,
    engine.IsolationUnavailable: Exit.UNAVAILABLE,
    engine.ConversionTimedOut: Exit.RETRY,
    engine.EngineUnavailable: Exit.RETRY,
    engine.EngineError: Exit.REFUSED,
    ledger.DatabaseRefused: Exit.CONFIG,
    ledger.EmbeddedUnavailable: Exit.UNAVAILABLE,
    ledger.SchemaBehind: Exit.UNAVAILABLE,
    ledger.SchemaNewer: Exit.UNAVAILABLE,
    ledger.SchemaChanged: Exit.UNAVAILABLE,
    ledger.LedgerUnavailable: Exit.UNAVAILABLE,
    ledger.LedgerError: Exit.REFUSED,
}


@Parameter(name="*")
@dataclass(frozen=True)
class Configured:
    """Where the settings come from; the same for every command."""

    config: Annotated[
        Path | None, Parameter(help="A TOML file with settings. Also: EPHEMERA_CONFIG.")
    ] = None

    def settings(self, **overrides: object) -> Settings:
        """Load everything, with `section__name` overrides on top, and set up the log."""
        settings = load(
            os.environ, self.config, {_setting(name): value for name, value in overrides.items()}
        )
        logs.configure(settings.log.level, settings.log.format)
        return settings


@Parameter(name="*")
@dataclass(frozen=True)
class Source(Configured):
    """The same for commands that need the ledger."""

    database_url: Annotated[
        str | None,
        Parameter(help="A PostgreSQL 15 or later, instead of the private one in EPHEMERA_HOME."),
    ] = None

    def settings(self, **overrides: object) -> Settings:
        """Load everything, with the named database."""
        return super().settings(ledger__dsn=self.database_url, **overrides)


CONFIGURED = Configured()
DEFAULTS = Source()


def run(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's coroutine on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def exit_for(error: BaseException) -> Exit:
    """The exit code of an error that has a sentence; FAILED for the others."""
    for ancestor in type(error).__mro__:
        if code := EXITS.get(ancestor):
            return code
    return Exit.FAILED


def complain(sentence: str) -> None:
    """One line on standard error."""
    print(f"ephemera: {sentence}", file=sys.stderr)


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Aligned columns on standard output; bare values where it is not a terminal's."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in cells:
            print("\t".join(row))
        return
    widths = [max(len(cell) for cell in column) for column in zip(head, *cells, strict=True)]
    for row in ([*head], *cells):
        print(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def _setting(name: str) -> tuple[str, str]:
    section, _, setting = name.partition("__")
    return section, setting
