"""How the service connects: which role it works as, and what a session is told.

The service works as `ephemera_app`, which may do what `grants.sql` says. With the embedded server
it logs in as that role; with a DSN of the database's owner it takes the role on when it connects
(a start-up parameter, so that `RESET ROLE` leads back to it). Where the role could not be created
it works as the owner, and says so: the triggers and constraints still hold.
"""

import logging
from typing import Any

import asyncpg

from ledger.availability import AWAY
from ledger.errors import DatabaseRefused, LedgerError, LedgerUnavailable
from ledger.settings import LedgerSettings

APP_ROLE = "ephemera_app"
# PostgreSQL, or asyncpg before it, says no: waiting does not help, another DSN does.
REFUSALS = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.exceptions.ClientConfigurationError,
)
NO_CONNECTION = (*REFUSALS, *AWAY)

_log = logging.getLogger(__name__)


class Connector:
    """Opens sessions that are all alike."""

    def __init__(self, settings: LedgerSettings) -> None:
        self._settings = settings
        self._role: str | None = APP_ROLE

    async def probe(self) -> None:
        """Find out, once, whether the role exists and may be taken on."""
        try:
            connection = await self.connect()
        except (asyncpg.InvalidParameterValueError, asyncpg.InsufficientPrivilegeError) as error:
            _log.warning(
                "the ledger works with all the rights of its login, because the role %s cannot be"
                " used (%s); as a superuser, create it and grant it to the login, then run"
                " `ephemera migrate`",
                APP_ROLE,
                error,
            )
            self._role = None
            connection = await self.connect()
        await connection.close()

    async def connect(self) -> asyncpg.Connection:
        """Open one session. Raises what asyncpg raises."""
        return await asyncpg.connect(**self.options())

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments of asyncpg's connect and create_pool."""
        options: dict[str, Any] = {
            "dsn": self._settings.dsn,
            "timeout": self._settings.connect_timeout_s,
            "command_timeout": self._settings.statement_timeout_s,
        }
        if self._settings.pooled:
            return options | {"statement_cache_size": 0}
        session = {
            "application_name": "ephemera",
            "jit": "off",
            "idle_in_transaction_session_timeout": "30s",
        }
        if self._role is not None:
            session["role"] = self._role
        return options | {"server_settings": session}


def no_connection(error: BaseException) -> LedgerError:
    """Give the sentence for one of NO_CONNECTION, raised by the first connection."""
    if isinstance(error, REFUSALS):
        return DatabaseRefused(
            f"PostgreSQL does not let us in: {error}; correct the user, password or database in"
            " ledger.dsn (--database-url), or create what is missing"
        )
    # What the system says is in `strerror`; a timeout says nothing at all.
    said = getattr(error, "strerror", None) or str(error) or "it did not answer in time"
    return LedgerUnavailable(
        f"PostgreSQL cannot be reached: {said}; is it running, and is ledger.dsn"
        " (--database-url) right?"
    )
