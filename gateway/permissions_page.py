"""docs/permissions.md: every route against every role, printed from the tables that are enforced.

`python -m gateway.permissions_page > docs/permissions.md`; a test compares the two, and another
asks every route as every role.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence

from gateway.admin import ADMIN_ROUTES
from gateway.endpoint import Access, Endpoint
from gateway.permissions import (
    KEY_SCOPES,
    ROLE_PERMISSIONS,
    STAFF_PERMISSIONS,
    Permission,
)
from gateway.routes import ROUTES

YES, NO = "●", ""
# Whoever has no session and no key; an API key that has the scope; members by role; somebody who
# has signed in and is a member of nothing; staff by role; operators.
COLUMNS: tuple[str, ...] = (
    "nobody",
    "key",
    *(str(role) for role in ROLE_PERMISSIONS),
    "person",
    *(str(role) for role in STAFF_PERMISSIONS),
    "operator",
)
_MEMBERS: dict[str, frozenset[Permission]] = {
    str(role): has | {Permission.SELF} for role, has in ROLE_PERMISSIONS.items()
}
_STAFF: dict[str, frozenset[Permission]] = {
    str(role): has | {Permission.SELF} for role, has in STAFF_PERMISSIONS.items()
}
SESSIONS: Mapping[str, frozenset[Permission]] = (
    _MEMBERS | {"person": frozenset({Permission.SELF})} | _STAFF
)


def may(endpoint: Endpoint, column: str) -> bool:
    """Whether somebody of this column may ask for it."""
    access = endpoint.access
    if access in {Access.OPERATOR, Access.ADMIN}:
        return column == "operator"
    if access is Access.PUBLIC:
        return True
    if column == "nobody":
        return access is Access.VISITOR
    if column == "operator":
        return False
    if column == "key":
        return access is not Access.PERSON and endpoint.permission in KEY_SCOPES
    by_session = access in {Access.MEMBER, Access.PERSON}
    return by_session and endpoint.permission in SESSIONS[column]


def text(routes: Sequence[Endpoint] = (*ROUTES, *ADMIN_ROUTES)) -> str:
    """The whole page."""
    return "\n".join(_lines(routes)) + "\n"


def _lines(routes: Sequence[Endpoint]) -> Iterator[str]:
    yield from (
        "# Who may ask what",
        "",
        "Printed from the tables that are enforced (`gateway/permissions.py` and the routes):",
        "`python -m gateway.permissions_page`. `nobody` shows nothing; `key` is an API key or a",
        "token with the scope; owner to viewer are members of the account, by their session;",
        "`person` has signed in and is a member of no account; support to auditor are staff, who",
        "have shown a second factor and have no account of a customer. † asks for a password that",
        "was shown within ten minutes, where a session asks.",
        "",
        "## Routes",
        "",
    )
    yield from _table(
        ("route", "permission", *COLUMNS),
        (
            (
                f"`{row.method} {row.path}`{' †' if row.step_up else ''}",
                str(row.permission),
                *(YES if may(row, column) else NO for column in COLUMNS),
            )
            for row in routes
        ),
    )
    yield from ("", "## Permissions", "")
    yield from _table(
        ("permission", "scope of a key", *SESSIONS),
        (
            (
                f"`{one}`",
                str(KEY_SCOPES.get(one, "")),
                *(YES if one in has else NO for has in SESSIONS.values()),
            )
            for one in Permission
            if one not in {Permission.NONE, Permission.OPERATE}
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield _row(head)
    yield _row(["---"] * len(head))
    yield from (_row(row) for row in rows)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.stdout.write(text())
