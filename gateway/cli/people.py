"""`ephemera people`: who may sign in, who is staff, and who lost what they sign in with. On record.

The audit records name people by their numbers: addresses are theirs, and are erased with them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import msgspec
from cyclopts import App, Parameter

from gateway.cli.accounts import Name, find
from gateway.cli.books import books
from gateway.cli.terminal import DEFAULTS, Source, run, table
from gateway.errors import RequestMalformed
from gateway.people import links
from gateway.people.texts import address_of
from gateway.process import this_process
from ledger.errors import PersonUnknown
from ledger.ledger import Ledger
from ledger.people.person import Person
from ledger.people.roles import Role, StaffRole

app = App(name="people", help="Invite people, make staff, and help who cannot sign in.")

Address = Annotated[str, Parameter(help="The address that the person signs in with.")]
Reason = Annotated[str, Parameter(help="Why; it stands in the audit records.")]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to a person, as the audit records have it."""

    person_id: int
    role: str | None = None
    reason: str = ""


@app.command(name="list")
def show(*, source: Source = DEFAULTS) -> None:
    """List everybody who can sign in, with their staff roles."""
    table(HEAD, run(_list(source)))


@app.command
def invite(
    address: Annotated[str, Parameter(help="Who is to join; known here or not.")],
    *,
    account: Name,
    role: Annotated[Role, Parameter(help="What the person will be in the account.")] = Role.OWNER,
    source: Source = DEFAULTS,
) -> None:
    """Invite somebody to an account. The link is mailed, and printed here as well.

    Make the account first if there is none: ephemera accounts create NAME.
    """
    print(run(_invite(source, _checked(address), account, role)))


@app.command
def staff(
    address: Address,
    role: Annotated[StaffRole, Parameter(help="What the person is to be for the service.")],
    *,
    reason: Reason,
    take: Annotated[bool, Parameter(help="Take the role away.", negative="")] = False,
    source: Source = DEFAULTS,
) -> None:
    """Give somebody a staff role, or take it away; it counts from the next request on.

    As staff nobody can do anything without a second factor.
    """
    run(_staff(source, address, role, reason, take=take))
    print("taken" if take else "given")


@app.command
def suspend(
    address: Address,
    *,
    reason: Reason,
    undo: Annotated[bool, Parameter(help="Let the person in again.", negative="")] = False,
    source: Source = DEFAULTS,
) -> None:
    """Let somebody in no more, from the next request on; accounts and keys go on."""
    run(_suspend(source, address, reason, undo=undo))
    print("let in again" if undo else "suspended")


@app.command
def sign_out(address: Address, *, reason: Reason, source: Source = DEFAULTS) -> None:
    """End all sessions of somebody."""
    run(_sign_out(source, address, reason))
    print("signed out everywhere")


@app.command
def drop_factor(address: Address, *, reason: Reason, source: Source = DEFAULTS) -> None:
    """Take the second factor away from somebody who lost it and all recovery codes.

    Be sure who asks: with the password alone they are in then. They are told by mail.
    """
    run(_drop_factor(source, address, reason))
    print("dropped, and signed out everywhere")


async def _list(source: Source) -> list[tuple[object, ...]]:
    async with books(source) as ledger:
        staff = await ledger.people.staff.list()
        return [
            (
                *(one.id, one.address, one.name or "-"),
                ",".join(sorted(staff.get(one.id, ()))) or "-",
                "yes" if one.totp_since else "no",
                "suspended" if one.suspended_at else "active",
            )
            for one in await ledger.people.persons.list()
        ]


async def _invite(source: Source, address: str, name: str, role: Role) -> str:
    async with books(source) as ledger:
        account = await find(ledger, name)
        link = links.made(source.settings())
        parameters = msgspec.json.encode({"account_id": account.id, "role": role}).decode()
        async with _recorded(ledger, "invite", parameters):
            await ledger.people.members.invite(account.id, address, role, link, by=None)
        return link.url


async def _staff(source: Source, address: str, role: StaffRole, reason: str, *, take: bool) -> None:
    async with books(source) as ledger:
        person = await _person(ledger, address)
        change = Change(person_id=person.id, role=role, reason=reason)
        action = "staff-take" if take else "staff-give"
        async with _recorded(ledger, action, _json(change)):
            if take:
                await ledger.people.staff.take(person.id, role)
            else:
                await ledger.people.staff.give(person.id, role)


async def _suspend(source: Source, address: str, reason: str, *, undo: bool) -> None:
    async with books(source) as ledger:
        person = await _person(ledger, address)
        change = Change(person_id=person.id, reason=reason)
        async with _recorded(ledger, "person-restore" if undo else "person-suspend", _json(change)):
            await ledger.people.persons.suspend(person.id, suspended=not undo)


async def _sign_out(source: Source, address: str, reason: str) -> None:
    async with books(source) as ledger:
        person = await _person(ledger, address)
        change = Change(person_id=person.id, reason=reason)
        async with _recorded(ledger, "person-sign-out", _json(change)):
            await ledger.people.sessions.end_others(person.id)


async def _drop_factor(source: Source, address: str, reason: str) -> None:
    async with books(source) as ledger:
        person = await _person(ledger, address)
        change = Change(person_id=person.id, reason=reason)
        async with _recorded(ledger, "factor-drop", _json(change)):
            await ledger.people.factors.drop(person.id, by_operator=True)


async def _person(ledger: Ledger, address: str) -> Person:
    found = await ledger.people.persons.credentials(_checked(address))
    if found is None:
        raise PersonUnknown("nobody signs in with this address; see: ephemera people list")
    return found.person


def _checked(address: str) -> str:
    """An address as it is stored. Raises ValueError, as the command line has it."""
    try:
        return address_of(address)
    except RequestMalformed as error:
        raise ValueError(str(error)) from error


@asynccontextmanager
async def _recorded(ledger: Ledger, action: str, parameters: str) -> AsyncIterator[None]:
    """Between the two audit records that say who did it."""
    async with ledger.actions.recorded(
        actor=f"uid:{os.getuid()}",
        gateway=this_process().label,
        action=action,
        parameters=parameters,
    ):
        yield


def _json(change: Change) -> str:
    return msgspec.json.encode(change).decode()


HEAD = ("ID", "ADDRESS", "NAME", "STAFF", "FACTOR", "STATUS")
