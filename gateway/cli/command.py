"""The command line put together: subcommands, and what every error becomes."""

import sys
from importlib.metadata import version

from cyclopts import App, CycloptsError

from engine.errors import EngineError
from gateway.cli import (
    accounts,
    audit,
    billing,
    convert,
    doctor,
    envelope,
    keys,
    ledger,
    mail,
    migrate,
    ops,
    people,
    privacy,
    receipt,
    serve,
    tokens,
)
from gateway.cli.terminal import Exit, complain, exit_for
from gateway.errors import GatewayError
from ledger.errors import LedgerError

app = App(
    name="ephemera",
    help="A self-hosted file-conversion service: a file in, a file out, nothing of it remains.",
    version=version("ephemera"),
)
app.command(serve.serve)
app.command(migrate.migrate)
app.command(convert.convert)
app.command(doctor.doctor)
app.command(accounts.app)
app.command(billing.app)
app.command(keys.app)
app.command(tokens.app)
app.command(people.app)
app.command(envelope.app)
app.command(mail.app)
app.command(ops.app)
app.command(audit.app)
app.command(privacy.app)
app.command(ledger.app)
app.command(receipt.app)


def main(arguments: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        sys.exit(Exit.USAGE)
    except (EngineError, GatewayError, LedgerError) as error:
        complain(str(error))
        sys.exit(exit_for(error))
    except ValueError as error:  # a name or a label that cannot be
        complain(str(error))
        sys.exit(Exit.USAGE)
    except BrokenPipeError:
        sys.exit(Exit.NO_OUTPUT)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else Exit.OK)
