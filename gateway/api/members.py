"""`/v1/account/members` and `/invitations`: who belongs to an account, and as what."""

import msgspec
from aiohttp import web

from gateway.api.answers import answer
from gateway.api.auth import desk_of
from gateway.api.keys import moment
from gateway.json_body import body_of
from gateway.limits.policies import INVITE
from gateway.people.sessions import account_of, person_of
from gateway.people.texts import Address, NameGiven, address_of, name_given
from ledger.people.person import Invitation, Member
from ledger.people.roles import Role

# The largest id has 16 digits (2^53).
_ID_DIGITS_MAX = 16


class MemberItem(msgspec.Struct, frozen=True, kw_only=True):
    """A member of the account."""

    person_id: int
    address: str
    name: str
    role: Role
    since: str
    # Whether a second factor is asked of this person.
    mfa: bool


class MembersPage(msgspec.Struct, frozen=True, kw_only=True):
    """All members, the first joined first."""

    members: tuple[MemberItem, ...]


class RoleGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the member is from now on."""

    role: Role


class InvitationWanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is to join, and as what."""

    address: Address
    role: Role


class InvitationItem(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that nobody has taken up yet."""

    id: str
    address: str
    role: Role
    created_at: str
    expires_at: str


class InvitationsPage(msgspec.Struct, frozen=True, kw_only=True):
    """All invitations that can still be taken up, the oldest first."""

    invitations: tuple[InvitationItem, ...]


class AccountName(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the account is called by its members."""

    name: NameGiven


async def list_members(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/members`."""
    members = await desk_of(request).people.members.list(account_of(request))
    return answer(MembersPage(members=tuple(_member(one) for one in members)))


async def set_role(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/members/{person_id}`."""
    asked, by = await body_of(request, RoleGiven), person_of(request).person_id
    await desk_of(request).people.members.set_role(
        account_of(request), _named(request), asked.role, by=by
    )
    return web.Response(status=204)


async def remove(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/account/members/{person_id}`."""
    by = person_of(request).person_id
    await desk_of(request).people.members.remove(account_of(request), _named(request), by=by)
    return web.Response(status=204)


async def list_invitations(request: web.Request) -> web.StreamResponse:
    """`GET /v1/account/invitations`."""
    found = await desk_of(request).people.members.invitations(account_of(request))
    return answer(InvitationsPage(invitations=tuple(_invitation(one) for one in found)))


async def invite(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/invitations`."""
    asked = await body_of(request, InvitationWanted)
    address, by = address_of(asked.address), person_of(request).person_id
    desk = desk_of(request)
    await desk.throttle.hit(INVITE, str(by))
    made = await desk.people.members.invite(
        account_of(request), address, asked.role, desk.new_link(), by=by
    )
    return answer(_invitation(made), 201)


async def withdraw(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/account/invitations/{id}`."""
    await desk_of(request).people.members.withdraw(account_of(request), request.match_info["id"])
    return web.Response(status=204)


async def rename_account(request: web.Request) -> web.StreamResponse:
    """`POST /v1/account/name`."""
    asked = await body_of(request, AccountName)
    await desk_of(request).people.persons.rename_account(
        account_of(request), name_given(asked.name)
    )
    return web.Response(status=204)


def _named(request: web.Request) -> int:
    """The person that the address names; 0, which is nobody, for what is no id."""
    text = request.match_info["person_id"]
    return int(text) if text.isdecimal() and len(text) <= _ID_DIGITS_MAX else 0


def _member(one: Member) -> MemberItem:
    return MemberItem(
        person_id=one.person_id,
        address=one.address,
        name=one.name,
        role=one.role,
        since=moment(one.since) or "",
        mfa=one.mfa,
    )


def _invitation(one: Invitation) -> InvitationItem:
    return InvitationItem(
        id=one.id,
        address=one.address,
        role=one.role,
        created_at=moment(one.created_at) or "",
        expires_at=moment(one.expires_at) or "",
    )
