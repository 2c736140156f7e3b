"""Incidents: what went wrong, what was done, and until when the authority has to know.

A breach of personal data is told to the supervisory authority within 72 hours after we became aware
of it, unless nobody is likely to be at risk; if the risk is high, the people themselves are told
without delay (GDPR Art. 33, 34). What was decided, and why, is documented in notes that nobody can
change (Art. 33 (5)).
"""

from datetime import datetime, timedelta
from typing import Literal

import asyncpg
import msgspec

from ledger.database import Database
from ledger.errors import IncidentRefused, IncidentUnknown
from ledger.mail.outbox import Outbox
from ledger.people.person import Clock
from ledger.support.tickets import new_id

Kind = Literal["availability", "security", "personal-data"]
Severity = Literal["low", "medium", "high", "critical"]
Risk = Literal["unknown", "none", "some", "high"]
State = Literal["open", "contained", "resolved", "closed"]

# Art. 33 (1).
NOTICE = timedelta(hours=72)
# How long before the end, and at the end, operators are reminded by mail.
REMINDERS = tuple(timedelta(hours=hours) for hours in (48, 24, 6, 0))
TITLE_CHARS_MAX = 150
TEXT_CHARS_MAX = 10_000
NOTES_MAX = 1000
PAGE_MAX = 200
# A clock that is a little ahead of ours reports nothing from the future.
_SKEW = timedelta(minutes=5)

_COLUMNS = """id, kind, severity, risk, state, title, began_at, aware_at, authority_at, people_at,
       closed_at, created_at"""
_INSERT = """
insert into support.incident (id, kind, severity, risk, title, began_at, aware_at, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8)
"""
_NOTE = """
insert into support.incident_note (incident_id, seq, at, actor, text)
select $1, 1 + coalesce(max(seq), 0), $2, $3, $4 from support.incident_note where incident_id = $1
returning seq
"""
_LIST = f"""
select {_COLUMNS} from support.incident
 where ($1::text is null or state = $1)
   and ($2::timestamptz is null or (created_at, id) < ($2, $3))
 order by created_at desc, id desc limit $4
"""  # noqa: S608 -- columns
_GET = f"select {_COLUMNS} from support.incident where id = $1"  # noqa: S608 -- columns
_NOTES = (
    "select seq, at, actor, text from support.incident_note where incident_id = $1 order by seq"
)
_SET = """
update support.incident
   set kind = $2, severity = $3, risk = $4, state = $5, authority_at = $6, people_at = $7,
       closed_at = $8
 where id = $1
"""
_RUNNING = f"""
select {_COLUMNS} from support.incident
 where kind = 'personal-data' and authority_at is null and risk <> 'none' and state <> 'closed'
"""  # noqa: S608 -- columns
_OPERATORS = """
select p.id, p.address from people.staff s join people.person p on p.id = s.person_id
 where s.role = 'ops' and p.suspended_at is null
"""


class Incident(msgspec.Struct, frozen=True, kw_only=True):
    """An incident as it stands."""

    id: str
    kind: Kind
    severity: Severity
    # For the people whose data it is.
    risk: Risk
    state: State
    title: str
    began_at: datetime | None
    aware_at: datetime
    # When they were told.
    authority_at: datetime | None
    people_at: datetime | None
    closed_at: datetime | None
    created_at: datetime

    @property
    def authority_by(self) -> datetime | None:
        """Until when the authority has to know; None where it need not, or does."""
        if self.kind != "personal-data" or self.risk == "none" or self.authority_at is not None:
            return None
        return self.aware_at + NOTICE

    @property
    def people_owed(self) -> bool:
        """Whether people have to be told, and were not."""
        return self.kind == "personal-data" and self.risk == "high" and self.people_at is None


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out, decided or done."""

    seq: int
    at: datetime
    actor: str
    text: str


class Reported(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that somebody reports."""

    kind: Kind
    severity: Severity
    title: str
    # What is known so far: the first note.
    text: str
    risk: Risk = "unknown"
    began_at: datetime | None = None
    # When we knew of it; now, if nothing is said.
    aware_at: datetime | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What changes of an incident; None stays as it is."""

    # What was found out or decided, and why: the note to the change.
    text: str
    kind: Kind | None = None
    severity: Severity | None = None
    risk: Risk | None = None
    state: State | None = None
    authority_at: datetime | None = None
    people_at: datetime | None = None


class Incidents:
    """All incidents. Raises LedgerUnavailable everywhere."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._clock = clock

    async def report(self, reported: Reported, *, actor: str) -> Incident:
        """Put an incident on record: from now on its clock runs. Raises IncidentRefused."""
        now = self._clock()
        aware_at = reported.aware_at or now
        self._check_past(aware_at, reported.began_at)
        incident_id = new_id("I")
        async with self._database.session() as connection, connection.transaction():
            await connection.execute(
                *(_INSERT, incident_id, reported.kind, reported.severity, reported.risk),
                *(reported.title, reported.began_at, aware_at, now),
            )
            await connection.fetchval(_NOTE, incident_id, now, actor, reported.text)
            return await self._get(connection, incident_id)

    async def change(self, incident_id: str, change: Change, *, actor: str) -> Incident:
        """Note what was found out, decided or done. Raises IncidentUnknown, IncidentRefused."""
        now = self._clock()
        self._check_past(change.authority_at, change.people_at)
        async with self._database.session() as connection, connection.transaction():
            before = await self._get(connection, incident_id, lock=True)
            given = {
                name: value
                for name in ("kind", "severity", "risk", "state", "authority_at", "people_at")
                if (value := getattr(change, name)) is not None
            }
            after = msgspec.structs.replace(before, **given)
            closed_at = (before.closed_at or now) if after.state == "closed" else None
            if after.state == "closed":
                _check_done(after)
            await connection.execute(
                *(_SET, incident_id, after.kind, after.severity, after.risk, after.state),
                *(after.authority_at, after.people_at, closed_at),
            )
            seq = await connection.fetchval(_NOTE, incident_id, now, actor, change.text)
            if seq > NOTES_MAX:
                raise IncidentRefused(f"an incident has at most {NOTES_MAX} notes")
            return await self._get(connection, incident_id)

    async def page(
        self,
        *,
        state: State | None = None,
        before: tuple[datetime, str] | None = None,
        limit: int = 50,
    ) -> list[Incident]:
        """Give a page, the newest first; `before`: time and id of the last one seen."""
        moment, incident_id = before or (None, None)
        count = max(1, min(limit, PAGE_MAX))
        rows = await self._database.rows(_LIST, state, moment, incident_id, count)
        return [Incident(**row) for row in rows]

    async def get(self, incident_id: str) -> tuple[Incident, list[Note]]:
        """Give one with its notes, the first one first. Raises IncidentUnknown."""
        async with self._database.session() as connection:
            incident = await self._get(connection, incident_id)
            rows = await connection.fetch(_NOTES, incident_id)
        return incident, [Note(**row) for row in rows]

    async def running(self) -> list[Incident]:
        """Give those of which the authority has to know and does not."""
        return [Incident(**row) for row in await self._database.rows(_RUNNING)]

    async def remind(self) -> int:
        """Queue the mails to operators of clocks that run out; each once. Gives their number."""
        now, queued = self._clock(), 0
        for incident in await self.running():
            due = incident.aware_at + NOTICE
            passed = [before for before in REMINDERS if now >= due - before]
            if not passed:
                continue
            mark = f"{passed[-1] // timedelta(hours=1)}h"
            for row in await self._database.rows(_OPERATORS):
                fields = {"incident": incident.id, "due": due.isoformat(timespec="minutes")}
                once = f"incident:{incident.id}:{mark}:{row['id']}"
                letter = await self._outbox.queue(
                    None, "incident_due", row["address"], fields, once=once
                )
                queued += letter is not None
        return queued

    async def _get(
        self, connection: asyncpg.Connection, incident_id: str, *, lock: bool = False
    ) -> Incident:
        row = await connection.fetchrow(_GET + (" for update" if lock else ""), incident_id)
        if row is None:
            raise IncidentUnknown("there is no such incident")
        return Incident(**row)

    def _check_past(self, *moments: datetime | None) -> None:
        latest = self._clock() + _SKEW
        if any(moment is not None and moment > latest for moment in moments):
            raise IncidentRefused("what is put on record has happened: give times of the past")


def _check_done(incident: Incident) -> None:
    """Raise IncidentRefused for an incident that may not be closed yet."""
    if incident.kind != "personal-data":
        return
    if incident.risk == "unknown":
        raise IncidentRefused("decide about the risk for people before it is closed")
    if incident.authority_by is not None:
        raise IncidentRefused(
            "note when the authority was told, or decide with a reason that nobody is at risk"
        )
    if incident.people_owed:
        raise IncidentRefused("the risk is high: note when the people were told")
