"""Who may do what: one list of permissions, and a row of them for every role.

Every route declares one permission (`Endpoint.permission`). Whoever asks has a set of them: an API
key or a token by its scopes, a member by the role in the account, staff by their roles, an operator
by being one. The middleware compares; docs/permissions.md is the same printed route by route.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from ledger.accounts.rights import Scope
from ledger.people.roles import Role, StaffRole


class Permission(StrEnum):
    """What a route asks for. Those that a key can have are named as the key's scopes are."""

    # Nobody has to be anybody.
    NONE = "none"
    # With an API key, a token, or as a member of an account.
    CONVERT = "convert"
    FILES = "files"
    TASKS = "tasks"
    HOOKS = "hooks"
    ACCOUNT_READ = "account:read"
    KEYS_READ = "keys:read"
    KEYS_WRITE = "keys:write"
    TOKENS = "tokens"
    REQUESTS_READ = "requests:read"
    BILLING_READ = "billing:read"
    CONNECTIONS_READ = "connections:read"
    CONNECTIONS_WRITE = "connections:write"
    # As a member of an account.
    ACCOUNT_WRITE = "account:write"
    ACCOUNT_EXPORT = "account:export"
    ACCOUNT_DELETE = "account:delete"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    BILLING_WRITE = "billing:write"
    SUPPORT_WRITE = "support:write"
    # As whoever is signed in, about nobody else.
    SELF = "self"
    # As staff.
    STAFF_ACCOUNTS_READ = "staff:accounts:read"
    STAFF_ACCOUNTS_SUSPEND = "staff:accounts:suspend"
    STAFF_ACCESS = "staff:access"
    STAFF_SUPPORT = "staff:support"
    STAFF_INCIDENTS = "staff:incidents"
    STAFF_BILLING = "staff:billing"
    STAFF_AUDIT_READ = "staff:audit:read"
    STAFF_PRIVACY = "staff:privacy"
    STAFF_OPERATIONS = "staff:operations"
    # As an operator: from this machine, or with the operator's token.
    OPERATE = "operate"


P = Permission

# Which scope of a key means it. What is not here is for people.
KEY_SCOPES: Mapping[Permission, Scope] = {
    P.CONVERT: Scope.CONVERT,
    P.FILES: Scope.FILES,
    P.TASKS: Scope.TASKS,
    P.HOOKS: Scope.HOOKS,
    P.ACCOUNT_READ: Scope.ACCOUNT_READ,
    P.KEYS_READ: Scope.KEYS_READ,
    P.KEYS_WRITE: Scope.KEYS_WRITE,
    P.TOKENS: Scope.TOKENS,
    P.CONNECTIONS_READ: Scope.CONNECTIONS_READ,
    P.CONNECTIONS_WRITE: Scope.CONNECTIONS_WRITE,
    # Figures of the same account, and no more telling than its entries.
    P.REQUESTS_READ: Scope.ACCOUNT_READ,
    P.BILLING_READ: Scope.ACCOUNT_READ,
}

_VIEWER = frozenset(
    {
        *(P.ACCOUNT_READ, P.KEYS_READ, P.REQUESTS_READ, P.CONNECTIONS_READ),
        *(P.MEMBERS_READ, P.SUPPORT_WRITE),
    }
)
_DEVELOPER = _VIEWER | {
    *(P.CONVERT, P.FILES, P.TASKS, P.HOOKS, P.KEYS_WRITE, P.TOKENS, P.CONNECTIONS_WRITE),
}
_BILLING = frozenset(
    {
        *(P.ACCOUNT_READ, P.MEMBERS_READ, P.SUPPORT_WRITE),
        *(P.BILLING_READ, P.BILLING_WRITE),
    }
)
_ADMIN = _DEVELOPER | _BILLING | {P.ACCOUNT_WRITE, P.ACCOUNT_EXPORT, P.MEMBERS_WRITE}

ROLE_PERMISSIONS: Mapping[Role, frozenset[Permission]] = {
    Role.OWNER: _ADMIN | {P.ACCOUNT_DELETE},
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _DEVELOPER,
    Role.BILLING: _BILLING,
    Role.VIEWER: _VIEWER,
}

STAFF_PERMISSIONS: Mapping[StaffRole, frozenset[Permission]] = {
    StaffRole.SUPPORT: frozenset({P.STAFF_ACCOUNTS_READ, P.STAFF_ACCESS, P.STAFF_SUPPORT}),
    StaffRole.OPS: frozenset(
        {
            *(P.STAFF_ACCOUNTS_READ, P.STAFF_ACCOUNTS_SUSPEND, P.STAFF_ACCESS),
            *(P.STAFF_INCIDENTS, P.STAFF_OPERATIONS, P.STAFF_PRIVACY),
        }
    ),
    StaffRole.FINANCE: frozenset({P.STAFF_ACCOUNTS_READ, P.STAFF_BILLING}),
    # Sees what the others did, and changes nothing.
    StaffRole.AUDITOR: frozenset({P.STAFF_ACCOUNTS_READ, P.STAFF_AUDIT_READ}),
}


def of_member(role: Role | None) -> frozenset[Permission]:
    """What a member may do in the account; nothing for somebody who is none."""
    return frozenset() if role is None else ROLE_PERMISSIONS[role]


def of_staff(roles: Iterable[StaffRole]) -> frozenset[Permission]:
    """What staff may do, all of their roles together."""
    return frozenset[Permission]().union(*(STAFF_PERMISSIONS[role] for role in roles))


def scopes_of(permissions: frozenset[Permission]) -> frozenset[Scope]:
    """The scopes of a key that could do as much."""
    return frozenset(scope for scope in Scope if Permission(scope.value) in permissions)
