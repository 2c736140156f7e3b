"""The matrix of permissions: printed, committed, and what its roles are called."""

from pathlib import Path

from gateway.endpoint import Access
from gateway.permissions import KEY_SCOPES, ROLE_PERMISSIONS, STAFF_PERMISSIONS, Permission
from gateway.permissions_page import SESSIONS, text
from gateway.routes import ROUTES
from ledger.people.roles import Role, StaffRole

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"


def test_the_committed_matrix_is_the_enforced_one() -> None:
    print(text())  # noqa: T201 -- the evidence of an access review: pytest -s
    assert PAGE.read_text() == text(), (
        "write it again: .venv/bin/python -m gateway.permissions_page > docs/permissions.md"
    )


def test_every_route_declares_a_permission_that_fits_who_may_ask() -> None:
    for row in ROUTES:
        public = row.access is Access.PUBLIC
        operators = row.access in {Access.OPERATOR, Access.ADMIN}
        assert public == (row.permission is Permission.NONE), row.name
        assert operators == (row.permission is Permission.OPERATE), row.name
        # An address for keys is for those that can have the scope,
        if row.access in {Access.CUSTOMER, Access.VISITOR, Access.MEMBER}:
            assert row.permission in KEY_SCOPES, row.name
        # and one for people is for somebody.
        if row.access in {Access.MEMBER, Access.PERSON}:
            assert any(row.permission in has for has in SESSIONS.values()), row.name


def test_the_roles_are_what_they_are_called() -> None:
    """Pinned here as well: who changes a row of the table means to."""
    member = {role: {str(one) for one in has} for role, has in ROLE_PERMISSIONS.items()}
    assert member[Role.OWNER] - member[Role.ADMIN] == {"account:delete"}
    assert member[Role.ADMIN] > member[Role.DEVELOPER] > member[Role.VIEWER]
    assert member[Role.ADMIN] > member[Role.BILLING]
    assert all(not one.endswith(":write") for one in member[Role.VIEWER] - {"support:write"})
    assert not {"keys:read", "keys:write", "convert"} & member[Role.BILLING]
    assert not {"billing:write", "members:write"} & member[Role.DEVELOPER]
    assert not any(one.startswith("staff:") for has in member.values() for one in has)
    staff = {role: {str(one) for one in has} for role, has in STAFF_PERMISSIONS.items()}
    assert all(one.startswith("staff:") for has in staff.values() for one in has)
    assert staff[StaffRole.AUDITOR] == {"staff:accounts:read", "staff:audit:read"}
    assert "staff:accounts:suspend" not in staff[StaffRole.SUPPORT] | staff[StaffRole.FINANCE]
