"""The addresses of the contact form, of tickets, and of incidents."""

from typing import Annotated, Any

from msgspec import Meta

from gateway import errors as gateway
from gateway.api import pages, support, support_staff
from gateway.auth_routes import BODY_PROBLEMS, DONE, page
from gateway.endpoint import Access, Answer, Content, Endpoint, Handler, Parameter
from gateway.permissions import Permission
from gateway.proof_of_work import Challenge
from ledger import errors as ledger
from ledger.support import incidents, tickets

_ID = Parameter(name="id", place="path", description="Its id.")
_PAGED = (
    Parameter(
        name="limit",
        place="query",
        description="How many a page holds.",
        type=Annotated[int, Meta(ge=1, le=pages.LIMIT_MAX)],
    ),
    Parameter(name="cursor", place="query", description="`next` of the page before."),
)


_AWAY: tuple[type[Exception], ...] = (ledger.LedgerUnavailable,)


def _in_state(kind: Any) -> Parameter:
    return Parameter(name="state", place="query", description="Only these.", type=kind)


def _row(
    method: Any,
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    *,
    permission: Permission,
    access: Access = Access.PERSON,
    body: Any = None,
    answer: Answer = DONE,
    problems: tuple[type[Exception], ...] = (),
    parameters: tuple[Parameter, ...] = (),
    description: str = "",
) -> Endpoint:
    return Endpoint(
        method=method,
        path=path,
        handler=handler,
        access=access,
        permission=permission,
        name=name,
        tag="support",
        summary=summary,
        description=description,
        parameters=parameters,
        body=() if body is None else (Content(type=body),),
        answers=(answer,),
        problems=(*(BODY_PROBLEMS if body is not None else ()), *problems, *_AWAY),
    )


_TICKET: tuple[type[Exception], ...] = (ledger.TicketUnknown,)
_INCIDENT: tuple[type[Exception], ...] = (ledger.IncidentUnknown, ledger.IncidentRefused)

SUPPORT_ROUTES: tuple[Endpoint, ...] = (
    _row(
        *("GET", "/v1/contact/challenge", support.challenge, "getContactChallenge"),
        "What the sender of the contact form has to solve",
        permission=Permission.NONE,
        access=Access.PUBLIC,
        answer=page(Challenge, "A challenge, good for half an hour."),
        description="A proof of work in ALTCHA's protocol, in place of a captcha of somebody"
        " else's: find the `number` up to `maxnumber` for which SHA-256(`salt` + `number`) is"
        " `challenge`, and send base64 of the JSON `{algorithm, challenge, number, salt,"
        " signature}`.",
    ),
    _row(
        *("POST", "/v1/contact", support.contact, "contact"),
        "Write to us",
        permission=Permission.NONE,
        access=Access.PUBLIC,
        body=support.ContactForm,
        answer=page(support.TicketOpened, "It is kept, and read by a person.", 202),
        problems=(gateway.ProofRefused, gateway.TooManyTries, ledger.TicketsExceeded),
        description="Messages are deleted 24 months after the last one of their conversation.",
    ),
    _row(
        *("POST", "/v1/account/tickets", support.open_ticket, "openTicket"),
        "Write to us, as a member of the account",
        permission=Permission.SUPPORT_WRITE,
        body=support.TicketWanted,
        answer=page(support.TicketOpened, "It is kept, and read by a person.", 201),
        problems=(ledger.TicketsExceeded,),
    ),
    _row(
        *("GET", "/v1/account/tickets", support.list_tickets, "listTickets"),
        "What the account's members wrote to us",
        permission=Permission.SUPPORT_WRITE,
        answer=page(support.TicketsPage, "A page of tickets."),
        problems=(gateway.RequestMalformed,),
        parameters=_PAGED,
    ),
    _row(
        *("GET", "/v1/account/tickets/{id}", support.show_ticket, "getTicket"),
        "One ticket with its messages",
        permission=Permission.SUPPORT_WRITE,
        answer=page(support.TicketPage, "The ticket."),
        problems=_TICKET,
        parameters=(_ID,),
    ),
    _row(
        *("POST", "/v1/account/tickets/{id}/messages", support.add_message, "addTicketMessage"),
        "Go on with a ticket; it is open again",
        permission=Permission.SUPPORT_WRITE,
        body=support.MessageWanted,
        problems=(*_TICKET, ledger.TicketsExceeded),
        parameters=(_ID,),
    ),
    _row(
        *("POST", "/v1/account/tickets/{id}/close", support.close_ticket, "closeTicket"),
        "Say that nothing is left to be done",
        permission=Permission.SUPPORT_WRITE,
        problems=_TICKET,
        parameters=(_ID,),
    ),
    _row(
        *("GET", "/v1/staff/tickets", support_staff.list_tickets, "listStaffTickets"),
        "All tickets, for staff",
        permission=Permission.STAFF_SUPPORT,
        answer=page(support_staff.StaffTicketsPage, "A page of tickets."),
        problems=(gateway.RequestMalformed,),
        parameters=(_in_state(tickets.State), *_PAGED),
    ),
    _row(
        *("GET", "/v1/staff/tickets/{id}", support_staff.show_ticket, "getStaffTicket"),
        "One ticket with its messages, for staff",
        permission=Permission.STAFF_SUPPORT,
        answer=page(support_staff.StaffTicketPage, "The ticket."),
        problems=_TICKET,
        parameters=(_ID,),
    ),
    _row(
        *("POST", "/v1/staff/tickets/{id}/answer", support_staff.answer_ticket, "answerTicket"),
        "Answer a ticket by mail",
        permission=Permission.STAFF_SUPPORT,
        body=support_staff.AnswerWanted,
        problems=(*_TICKET, ledger.TicketsExceeded),
        parameters=(_ID,),
    ),
    _row(
        *("POST", "/v1/staff/tickets/{id}/close", support_staff.close_ticket, "closeStaffTicket"),
        "Note that nothing is left to be done",
        permission=Permission.STAFF_SUPPORT,
        problems=_TICKET,
        parameters=(_ID,),
    ),
    _row(
        *("GET", "/v1/staff/incidents", support_staff.list_incidents, "listIncidents"),
        "What went wrong, and until when who has to know",
        permission=Permission.STAFF_INCIDENTS,
        answer=page(support_staff.IncidentsPage, "A page of incidents."),
        problems=(gateway.RequestMalformed,),
        parameters=(_in_state(incidents.State), *_PAGED),
    ),
    _row(
        *("POST", "/v1/staff/incidents", support_staff.report_incident, "reportIncident"),
        "Put an incident on record: its clock runs from now on",
        permission=Permission.STAFF_INCIDENTS,
        body=support_staff.IncidentWanted,
        answer=page(support_staff.IncidentItem, "The incident.", 201),
        problems=(ledger.IncidentRefused,),
        description="Of `personal-data` the supervisory authority has to know within 72 hours"
        " after we did (`authority_by`), unless nobody is likely to be at risk.",
    ),
    _row(
        *("GET", "/v1/staff/incidents/{id}", support_staff.show_incident, "getIncident"),
        "One incident with its notes",
        permission=Permission.STAFF_INCIDENTS,
        answer=page(support_staff.IncidentPage, "The incident."),
        problems=(ledger.IncidentUnknown,),
        parameters=(_ID,),
    ),
    _row(
        *("POST", "/v1/staff/incidents/{id}", support_staff.change_incident, "changeIncident"),
        "Note what was found out, decided or done",
        permission=Permission.STAFF_INCIDENTS,
        body=support_staff.IncidentChange,
        answer=page(support_staff.IncidentItem, "The incident."),
        problems=_INCIDENT,
        parameters=(_ID,),
    ),
)
