"""Second factors: the seed of one-time codes, and the codes for when its machine is lost.

The seed must be read again, so it stands in the envelope. A code counts once: the time step of the
last one is kept, and it only grows. Recovery codes are hashed and deleted when they are used.
"""

from collections.abc import Sequence

import asyncpg

from ledger.database import Database
from ledger.envelope import Envelope
from ledger.errors import FactorUnknown, FactorWanted
from ledger.people.peppers import Peppers
from ledger.people.person import Clock, Mailer
from ledger.people.persons import totp_place
from ledger.people.sessions import Sessions

_SET_NEXT = "update people.person set totp_next = $2 where id = $1"
_NEXT = "select totp_next from people.person where id = $1"
_CONFIRM = """
update people.person set totp = $2, totp_since = $4, totp_next = null, totp_step = $3
 where id = $1 and totp_next = $5 returning address
"""
_TAKE = "update people.person set totp_step = $2 where id = $1 and totp_step < $2 returning true"
_DROP = """
update people.person set totp = null, totp_since = null, totp_next = null
 where id = $1 and totp is not null returning address
"""
_IS_STAFF = "select exists (select from people.staff where person_id = $1)"
_FORGET_CODES = "delete from people.recovery_code where person_id = $1"
_KEEP_CODES = """
insert into people.recovery_code (person_id, hash, created_at)
select $1, unnest($2::bytea[]), $3
"""
_USE_CODE = """
delete from people.recovery_code where person_id = $1 and hash = $2 returning true
"""
_LEFT = "select count(*) from people.recovery_code where person_id = $1"
_ADDRESS = "select address from people.person where id = $1 and totp is not null"


class Factors:
    """The second factors of all people. Raises LedgerUnavailable everywhere."""

    def __init__(
        self,
        *,
        database: Database,
        envelope: Envelope,
        peppers: Peppers,
        sessions: Sessions,
        mailer: Mailer,
        clock: Clock,
    ) -> None:
        self._database = database
        self._envelope = envelope
        self._peppers = peppers
        self._sessions = sessions
        self._mailer = mailer
        self._clock = clock

    async def propose(self, person_id: int, seed: bytes) -> None:
        """Keep a seed that counts as soon as a code confirms it. The last proposal counts."""
        sealed = self._envelope.close(seed, _next_place(person_id))
        await self._database.value(_SET_NEXT, person_id, sealed)

    async def proposed(self, person_id: int) -> bytes:
        """Give the seed that waits for its first code. Raises FactorUnknown."""
        sealed = await self._database.value(_NEXT, person_id)
        if sealed is None:
            raise FactorUnknown("ask for a new seed first: POST /v1/auth/totp")
        return self._envelope.open(sealed, _next_place(person_id))

    async def confirm(
        self, person_id: int, seed: bytes, step: int, codes: Sequence[str], session_id: str
    ) -> None:
        """Ask for codes of this seed from now on; other sessions, begun without, are over.

        Raises FactorUnknown where it is no longer the one proposed.
        """
        sealed = self._envelope.close(seed, totp_place(person_id))
        async with self._database.session() as connection, connection.transaction():
            waiting = await connection.fetchval(_NEXT + " for update", person_id)
            if waiting is None or self._envelope.open(waiting, _next_place(person_id)) != seed:
                raise FactorUnknown("ask for a new seed first: POST /v1/auth/totp")
            address = await connection.fetchval(
                _CONFIRM, person_id, sealed, step, self._clock(), waiting
            )
            await self._keep_codes(connection, person_id, codes)
            await self._sessions.end_others(person_id, session_id, connection)
            await self._tell(connection, address, "on")

    async def take(self, person_id: int, step: int) -> bool:
        """Use the code of a time step; says whether it was not used before."""
        return bool(await self._database.value(_TAKE, person_id, step))

    async def use_recovery(self, person_id: int, code: str) -> bool:
        """Use a recovery code; says whether it was one. Its owner is told."""
        digest = self._peppers.recovery_hash(person_id, code)
        async with self._database.session() as connection, connection.transaction():
            if not await connection.fetchval(_USE_CODE, person_id, digest):
                return False
            address = await connection.fetchval(_ADDRESS, person_id)
            if address is not None:
                await self._tell(connection, address, "recovery code used")
            return True

    async def replace_codes(self, person_id: int, codes: Sequence[str]) -> None:
        """Let these be the recovery codes. Raises FactorUnknown without a second factor."""
        async with self._database.session() as connection, connection.transaction():
            address = await connection.fetchval(_ADDRESS, person_id)
            if address is None:
                raise FactorUnknown("there is no second factor; begin with POST /v1/auth/totp")
            await self._keep_codes(connection, person_id, codes)
            await self._tell(connection, address, "new recovery codes")

    async def codes_left(self, person_id: int) -> int:
        """Give the number of recovery codes that were not used."""
        return int(await self._database.value(_LEFT, person_id))

    async def drop(self, person_id: int, *, by_operator: bool = False) -> None:
        """Ask for no codes any more. Raises FactorUnknown, and FactorWanted for staff.

        An operator may do it for somebody who lost everything; staff then make a new one before
        they can do anything as staff.
        """
        async with self._database.session() as connection, connection.transaction():
            if not by_operator and await connection.fetchval(_IS_STAFF, person_id):
                raise FactorWanted("staff sign in with a second factor; it can only be replaced")
            address = await connection.fetchval(_DROP, person_id)
            if address is None:
                raise FactorUnknown("there is no second factor")
            await connection.execute(_FORGET_CODES, person_id)
            if by_operator:
                await self._sessions.end_others(person_id, None, connection)
            await self._tell(connection, address, "off")

    async def _keep_codes(
        self, connection: asyncpg.Connection, person_id: int, codes: Sequence[str]
    ) -> None:
        hashes = [self._peppers.recovery_hash(person_id, code) for code in codes]
        await connection.execute(_FORGET_CODES, person_id)
        await connection.execute(_KEEP_CODES, person_id, hashes, self._clock())

    async def _tell(self, connection: asyncpg.Connection, address: str, change: str) -> None:
        at = self._clock().isoformat(timespec="minutes")
        await self._mailer.queue(connection, "mfa_changed", address, {"change": change, "at": at})


def _next_place(person_id: int) -> str:
    return f"people.person.totp_next|{person_id}"
