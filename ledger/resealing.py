"""Everything that stands sealed in the database: with which key it is, and sealing it anew.

Whoever adds a sealed column adds a row to `SEALED`; a test looks for columns that are not in it.
"""

from collections import Counter
from collections.abc import Sequence

import msgspec

from ledger.database import Database
from ledger.envelope import Envelope


class Sealed(msgspec.Struct, frozen=True):
    """A column, what names its row, and the columns that make its place (`table.column|…`)."""

    table: str
    key: str
    column: str
    named_by: tuple[str, ...]
    # Where the place says another table or column than this one.
    stands_for: str | None = None

    def place(self, names: Sequence[object]) -> str:
        """Where it stands, for the envelope."""
        where = self.stands_for or f"{self.table}.{self.column}"
        return "|".join([where, *(str(name) for name in names)])


SEALED = (
    Sealed("accounts.api_key", "id", "sealed", ("id",)),
    Sealed("accounts.token_key", "kid", "sealed", ("kid",)),
    Sealed("connections.connection", "id", "sealed", ("account_id", "id")),
    Sealed("mail.letter", "id", "content", ("id",)),
    Sealed("people.person", "id", "totp", ("id",)),
    Sealed("people.person", "id", "totp_next", ("id",)),
    Sealed("tasks.hook", "id", "url", ("id",)),
    Sealed("tasks.hook", "id", "secret", ("id",)),
    Sealed("tasks.hook", "id", "old_secret", ("id",)),
    Sealed("tasks.task", "seq", "request", ("account_id", "id")),
    Sealed("tasks.task", "seq", "callback", ("account_id", "id")),
    Sealed("tasks.task", "seq", "outcome", ("account_id", "id")),
    Sealed(
        *("tasks.delivery", "seq", "callback", ("account_id", "task_id")), "tasks.task.callback"
    ),
)


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """How many of one column are sealed with one key."""

    column: str
    key_id: str
    count: int
    current: bool


class Resealing:
    """Looks through all that is sealed. For an operator; a service never needs it."""

    def __init__(self, database: Database, envelope: Envelope) -> None:
        self._database = database
        self._envelope = envelope

    async def counts(self) -> list[Count]:
        """Say what is sealed with which key. Raises DamagedEnvelope."""
        current = self._envelope.key_ids()[-1:]
        counts = []
        for one in SEALED:
            sealed = await self._database.rows(
                # Names of our own tables.
                f"select {one.column} from {one.table} where {one.column} is not null"  # noqa: S608 (names of ours)
            )
            by_key = Counter(self._envelope.sealed_with(row[0]) for row in sealed)
            counts += [
                Count(
                    column=f"{one.table}.{one.column}",
                    key_id=key_id,
                    count=count,
                    current=(key_id,) == current,
                )
                for key_id, count in sorted(by_key.items())
            ]
        return counts

    async def reseal(self) -> int:
        """Seal with the current key what is sealed with another; gives the number.

        What changes meanwhile is left alone: whoever changed it sealed it. Raises DamagedEnvelope,
        EnvelopeMissing.
        """
        return sum([await self._column(one) for one in SEALED])

    async def _column(self, one: Sealed) -> int:
        names = ", ".join(f"{name}::text" for name in one.named_by)
        # Names of our own tables.
        found = await self._database.rows(
            f"select {one.key}, {one.column}, {names} from {one.table}"  # noqa: S608 (names of ours)
            f" where {one.column} is not null"
        )
        replace = (
            f"update {one.table} set {one.column} = $3"  # noqa: S608 (names of ours)
            f" where {one.key} = $1 and {one.column} = $2 returning 1"
        )
        done = 0
        for key, sealed, *place in found:
            if self._envelope.needs_resealing(sealed):
                anew = self._envelope.reseal(sealed, one.place(place))
                done += bool(await self._database.value(replace, key, sealed, anew))
        return done
