"""What staff do: answer tickets, and keep the record of incidents.

Each request is an audit record (`gateway/privacy/staff.py`) that names the ticket or the incident
and who acted, and repeats nothing of what was written.
"""

from datetime import datetime
from typing import Annotated, Any, get_args

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway import state
from gateway.api.answers import answer
from gateway.api.keys import moment
from gateway.api.pages import before_of, limit_of, next_of
from gateway.api.support import TicketItem, item_of, ticket_place
from gateway.errors import RequestMalformed
from gateway.json_body import body_of
from gateway.people.sessions import person_of
from gateway.support_texts import Text, line_of, text_of
from ledger.support.incidents import (
    TITLE_CHARS_MAX,
    Change,
    Incident,
    Kind,
    Note,
    Reported,
    Risk,
    Severity,
    State,
)
from ledger.support.tickets import Message, Ticket
from ledger.support.tickets import State as TicketState

Title = Annotated[str, Meta(min_length=1, max_length=TITLE_CHARS_MAX)]
# A time without its zone is nobody's.
Moment = Annotated[datetime, Meta(tz=True)]


class StaffTicketItem(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket as staff see it."""

    ticket: TicketItem
    # null: it came through the contact form, and nobody has shown who they are.
    account_id: int | None
    address: str
    name: str


class StaffTicketsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Tickets, the last changed first."""

    tickets: tuple[StaffTicketItem, ...]
    next: str | None


class StaffMessageItem(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    author: str
    person_id: int | None
    text: str
    at: str


class StaffTicketPage(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket with its messages, the first one first."""

    ticket: StaffTicketItem
    messages: tuple[StaffMessageItem, ...]


class AnswerWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is answered: it is sent by mail."""

    message: Text


class IncidentWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An incident to be put on record. It names nobody: an id is enough."""

    kind: Kind
    severity: Severity
    title: Title
    # What is known so far.
    text: Text
    # For the people whose data it is.
    risk: Risk = "unknown"
    # When it began, as far as is known.
    began_at: Moment | None = None
    # When we knew of it, from which the 72 hours count; now, without it.
    aware_at: Moment | None = None


class IncidentChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found out, decided or done; what is left out stays as it is."""

    # The note that says what, and why.
    text: Text
    kind: Kind | None = None
    severity: Severity | None = None
    risk: Risk | None = None
    state: State | None = None
    # When the supervisory authority, and when the people concerned, were told.
    authority_at: Moment | None = None
    people_at: Moment | None = None


class IncidentItem(msgspec.Struct, frozen=True, kw_only=True):
    """An incident without its notes."""

    id: str
    kind: Kind
    severity: Severity
    risk: Risk
    state: State
    title: str
    began_at: str | None
    aware_at: str
    # Until when the authority has to know; null where it need not, or knows.
    authority_by: str | None
    authority_at: str | None
    # The people concerned have to be told, and were not.
    people_owed: bool
    people_at: str | None
    closed_at: str | None
    created_at: str


class IncidentsPage(msgspec.Struct, frozen=True, kw_only=True):
    """Incidents, the newest first."""

    incidents: tuple[IncidentItem, ...]
    next: str | None


class NoteItem(msgspec.Struct, frozen=True, kw_only=True):
    """A note; they are only ever added."""

    at: str
    # `person:` and the person's number.
    actor: str
    text: str


class IncidentPage(msgspec.Struct, frozen=True, kw_only=True):
    """An incident with its notes, the first one first."""

    incident: IncidentItem
    notes: tuple[NoteItem, ...]


async def list_tickets(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/tickets`."""
    limit = limit_of(request)
    found = await request.app[state.LEDGER].support.tickets.page(
        state=_state(request, TicketState), before=before_of(request), limit=limit + 1
    )
    page = tuple(_ticket(one) for one in found[:limit])
    return answer(StaffTicketsPage(tickets=page, next=next_of(found, limit, ticket_place)))


async def show_ticket(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/tickets/{id}`."""
    ticket, messages = await request.app[state.LEDGER].support.tickets.get(_named(request))
    shown = tuple(_message(one) for one in messages)
    return answer(StaffTicketPage(ticket=_ticket(ticket), messages=shown))


async def answer_ticket(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/tickets/{id}/answer`."""
    text = text_of((await body_of(request, AnswerWanted)).message, "message")
    await request.app[state.LEDGER].support.tickets.answer(
        _named(request), text, by=person_of(request).person_id
    )
    return web.Response(status=204)


async def close_ticket(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/tickets/{id}/close`."""
    await request.app[state.LEDGER].support.tickets.close(_named(request))
    return web.Response(status=204)


async def list_incidents(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/incidents`."""
    limit = limit_of(request)
    found = await request.app[state.LEDGER].support.incidents.page(
        state=_state(request, State), before=before_of(request), limit=limit + 1
    )
    page = tuple(_incident(one) for one in found[:limit])
    following = next_of(found, limit, lambda one: (one.created_at, one.id))
    return answer(IncidentsPage(incidents=page, next=following))


async def report_incident(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/incidents`."""
    wanted = await body_of(request, IncidentWanted)
    reported = Reported(
        kind=wanted.kind,
        severity=wanted.severity,
        title=line_of(wanted.title, "title"),
        text=text_of(wanted.text, "text"),
        risk=wanted.risk,
        began_at=wanted.began_at,
        aware_at=wanted.aware_at,
    )
    incident = await request.app[state.LEDGER].support.incidents.report(
        reported, actor=_actor(request)
    )
    return answer(_incident(incident), 201)


async def show_incident(request: web.Request) -> web.StreamResponse:
    """`GET /v1/staff/incidents/{id}`."""
    incident, notes = await request.app[state.LEDGER].support.incidents.get(_named(request))
    return answer(IncidentPage(incident=_incident(incident), notes=tuple(map(_note, notes))))


async def change_incident(request: web.Request) -> web.StreamResponse:
    """`POST /v1/staff/incidents/{id}`."""
    wanted = await body_of(request, IncidentChange)
    change = Change(**{**msgspec.structs.asdict(wanted), "text": text_of(wanted.text, "text")})
    incident = await request.app[state.LEDGER].support.incidents.change(
        _named(request), change, actor=_actor(request)
    )
    return answer(_incident(incident))


def _actor(request: web.Request) -> str:
    return f"person:{person_of(request).person_id}"


def _named(request: web.Request) -> str:
    return request.match_info["id"]


def _state(request: web.Request, kind: Any) -> Any:
    """One of the words of a Literal. Raises RequestMalformed."""
    text = request.query.get("state")
    if text is not None and text not in get_args(kind):
        raise RequestMalformed(f"state is one of: {', '.join(get_args(kind))}")
    return text


def _ticket(ticket: Ticket) -> StaffTicketItem:
    return StaffTicketItem(
        ticket=item_of(ticket),
        account_id=ticket.account_id,
        address=ticket.address,
        name=ticket.name,
    )


def _message(message: Message) -> StaffMessageItem:
    return StaffMessageItem(
        author=message.author,
        person_id=message.person_id,
        text=message.text,
        at=moment(message.at) or "",
    )


def _incident(incident: Incident) -> IncidentItem:
    return IncidentItem(
        id=incident.id,
        kind=incident.kind,
        severity=incident.severity,
        risk=incident.risk,
        state=incident.state,
        title=incident.title,
        began_at=moment(incident.began_at),
        aware_at=moment(incident.aware_at) or "",
        authority_by=moment(incident.authority_by),
        authority_at=moment(incident.authority_at),
        people_owed=incident.people_owed,
        people_at=moment(incident.people_at),
        closed_at=moment(incident.closed_at),
        created_at=moment(incident.created_at) or "",
    )


def _note(note: Note) -> NoteItem:
    return NoteItem(at=moment(note.at) or "", actor=note.actor, text=note.text)
