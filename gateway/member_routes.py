"""The addresses of an account's members, invitations and name."""

from typing import Any

from gateway import errors as gateway
from gateway.api import members
from gateway.auth_routes import BODY_PROBLEMS, DONE, page
from gateway.endpoint import Access, Answer, Content, Endpoint, Handler, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger

_PERSON = Parameter(name="person_id", place="path", description="The member's `person_id`.")
_CHANGED: tuple[type[Exception], ...] = (
    *(ledger.MemberUnknown, ledger.RoleExceeded, ledger.OwnerWanted),
)


def _row(
    method: Any,
    path: str,
    handler: Handler,
    name: str,
    summary: str,
    *,
    permission: Permission,
    body: Any = None,
    answer: Answer = DONE,
    problems: tuple[type[Exception], ...] = (),
    parameters: tuple[Parameter, ...] = (),
) -> Endpoint:
    return Endpoint(
        method=method,
        path=path,
        handler=handler,
        access=Access.PERSON,
        permission=permission,
        name=name,
        tag="members",
        summary=summary,
        parameters=parameters,
        body=() if body is None else (Content(type=body),),
        answers=(answer,),
        problems=(
            *(BODY_PROBLEMS if body is not None else ()),
            *problems,
            ledger.LedgerUnavailable,
        ),
    )


MEMBER_ROUTES: tuple[Endpoint, ...] = (
    _row(
        *("GET", "/v1/account/members", members.list_members, "listMembers"),
        "Who belongs to the account, and as what",
        permission=Permission.MEMBERS_READ,
        answer=page(members.MembersPage, "All members."),
    ),
    _row(
        *("POST", "/v1/account/members/{person_id}", members.set_role, "setMemberRole"),
        "Give a member another role",
        permission=Permission.MEMBERS_WRITE,
        body=members.RoleGiven,
        problems=_CHANGED,
        parameters=(_PERSON,),
    ),
    _row(
        *("DELETE", "/v1/account/members/{person_id}", members.remove, "removeMember"),
        "Let somebody be no member any more, from the next request on",
        permission=Permission.MEMBERS_WRITE,
        problems=_CHANGED,
        parameters=(_PERSON,),
    ),
    _row(
        *("GET", "/v1/account/invitations", members.list_invitations, "listInvitations"),
        "Who is invited, and has not come yet",
        permission=Permission.MEMBERS_READ,
        answer=page(members.InvitationsPage, "The invitations."),
    ),
    _row(
        *("POST", "/v1/account/invitations", members.invite, "invite"),
        "Invite somebody by mail",
        permission=Permission.MEMBERS_WRITE,
        body=members.InvitationWanted,
        answer=page(members.InvitationItem, "Sent. It is good for a week.", 201),
        problems=(
            *(ledger.RoleExceeded, ledger.MemberKnown, ledger.MembersExceeded),
            *(gateway.TooManyTries, ledger.OutboxFull),
        ),
    ),
    _row(
        *("DELETE", "/v1/account/invitations/{id}", members.withdraw, "withdrawInvitation"),
        "Take an invitation back",
        permission=Permission.MEMBERS_WRITE,
        problems=(ledger.InvitationUnknown,),
        parameters=(Parameter(name="id", place="path", description="The invitation's id."),),
    ),
    _row(
        *("POST", "/v1/account/name", members.rename_account, "renameAccount"),
        "Change what the account is called",
        permission=Permission.ACCOUNT_WRITE,
        body=members.AccountName,
    ),
)
