"""The contact form, and the tickets of members: what people ask us.

The form is open to everybody, so it is guarded by what a person does not notice: a proof of work
(`GET /v1/contact/challenge`), a time that nobody is below, a field that only programs fill in, and
a few messages an hour of one network.
"""

from datetime import datetime

import msgspec
from aiohttp import web

from gateway import state
from gateway.api.answers import answer
from gateway.api.auth import client_of
from gateway.api.keys import moment
from gateway.api.pages import before_of, limit_of, next_of
from gateway.errors import TooManyTries
from gateway.json_body import body_of
from gateway.limits.policies import CONTACT_NETWORK
from gateway.people.sessions import account_of, person_of
from gateway.people.texts import Address, Name, address_of, name_of
from gateway.proof_of_work import PROOF_CHARS_MAX
from gateway.support_texts import Subject, Text, line_of, text_of
from ledger.support.tickets import Asked, Message, Ticket, new_id

# What a challenge of the form is good for, and nothing else.
CONTACT = "contact"


class ContactForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to us, of anybody."""

    address: Address
    name: Name = ""
    subject: Subject
    message: Text
    # The solved challenge, as base64.
    proof: str
    # Stays empty: the form hides it, and programs fill it in.
    website: str = ""


class TicketOpened(msgspec.Struct, frozen=True, kw_only=True):
    """The message is kept; a person reads it."""

    ticket: str


class TicketWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A message to us, of a member."""

    subject: Subject
    message: Text


class MessageWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is added to a ticket."""

    message: Text


class TicketItem(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket without its messages."""

    id: str
    subject: str
    # open, answered or closed.
    state: str
    created_at: str
    # Of the last message; 24 months later the ticket is deleted.
    updated_at: str


class TicketsPage(msgspec.Struct, frozen=True, kw_only=True):
    """The account's tickets, the last changed first."""

    tickets: tuple[TicketItem, ...]
    # The `cursor` of the next page; null at the end.
    next: str | None


class MessageItem(msgspec.Struct, frozen=True, kw_only=True):
    """One message."""

    # customer or staff.
    author: str
    # Who of the account's members wrote it; null for staff and for who is gone.
    person_id: int | None
    text: str
    at: str


class TicketPage(msgspec.Struct, frozen=True, kw_only=True):
    """A ticket with its messages, the first one first."""

    ticket: TicketItem
    messages: tuple[MessageItem, ...]


async def challenge(request: web.Request) -> web.StreamResponse:
    """`GET /v1/contact/challenge`: what the form's sender has to solve."""
    return answer(request.app[state.PROOF_OF_WORK].challenge(CONTACT))


async def contact(request: web.Request) -> web.StreamResponse:
    """`POST /v1/contact`."""
    form = await body_of(request, ContactForm)
    address, name = address_of(form.address), name_of(form.name)
    subject, text = line_of(form.subject, "subject"), text_of(form.message, "message")
    if form.website:
        # Whoever does not see that it failed does not try what would work.
        return answer(TicketOpened(ticket=new_id("T")), 202)
    await request.app[state.PROOF_OF_WORK].check(form.proof[: PROOF_CHARS_MAX + 1], CONTACT)
    await _count(request)
    asked = Asked(address=address, name=name, subject=subject, text=text)
    return answer(TicketOpened(ticket=await _open(request, asked)), 202)


async def open_ticket(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/tickets`."""
    wanted, person = await body_of(request, TicketWanted), person_of(request)
    asked = Asked(
        address=person.address,
        name=person.name,
        subject=line_of(wanted.subject, "subject"),
        text=text_of(wanted.message, "message"),
        account_id=account_of(request),
        person_id=person.person_id,
    )
    return answer(TicketOpened(ticket=await _open(request, asked)), 201)


async def list_tickets(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/tickets`."""
    limit = limit_of(request)
    found = await request.app[state.LEDGER].support.tickets.page(
        account_id=account_of(request), before=before_of(request), limit=limit + 1
    )
    page = tuple(item_of(one) for one in found[:limit])
    return answer(TicketsPage(tickets=page, next=next_of(found, limit, ticket_place)))


async def show_ticket(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/tickets/{id}`."""
    ticket, messages = await request.app[state.LEDGER].support.tickets.get(
        request.match_info["id"], account_of(request)
    )
    shown = tuple(_message(one) for one in messages)
    return answer(TicketPage(ticket=item_of(ticket), messages=shown))


async def add_message(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/tickets/{id}/messages`."""
    wanted, person = await body_of(request, MessageWanted), person_of(request)
    await request.app[state.LEDGER].support.tickets.add(
        account_of(request),
        request.match_info["id"],
        text_of(wanted.message, "message"),
        by=person.person_id,
        staff=request.app[state.SETTINGS].mail.support,
    )
    return web.Response(status=204)


async def close_ticket(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/tickets/{id}/close`."""
    await request.app[state.LEDGER].support.tickets.close(
        request.match_info["id"], account_of(request)
    )
    return web.Response(status=204)


def item_of(ticket: Ticket) -> TicketItem:
    """A ticket as its writer sees it."""
    return TicketItem(
        id=ticket.id,
        subject=ticket.subject,
        state=ticket.state,
        created_at=moment(ticket.created_at) or "",
        updated_at=moment(ticket.updated_at) or "",
    )


def ticket_place(ticket: Ticket) -> tuple[datetime, str]:
    """What a page goes on from."""
    return ticket.updated_at, ticket.id


async def _open(request: web.Request, asked: Asked) -> str:
    staff = request.app[state.SETTINGS].mail.support
    return await request.app[state.LEDGER].support.tickets.open(asked, staff=staff)


async def _count(request: web.Request) -> None:
    network = client_of(request).network
    # This machine itself is no network: behind a proxy that is not trusted it would be everybody.
    if network is None or network.is_loopback:
        return
    verdict = await request.app[state.LIMITS].hit(CONTACT_NETWORK, str(network))
    if not verdict.allowed:
        raise TooManyTries(
            "too many messages from your network; sign in to write, or try again later",
            retry_after_s=verdict.retry_after_s,
        )


def _message(message: Message) -> MessageItem:
    return MessageItem(
        author=message.author,
        # Which of us answered is on our record, and not the customer's business.
        person_id=message.person_id if message.author == "customer" else None,
        text=message.text,
        at=moment(message.at) or "",
    )
