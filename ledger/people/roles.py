"""The roles: what a person is in an account, and what a person is for the service itself."""

from enum import StrEnum


class Role(StrEnum):
    """What a member is in an account; the table of what each may is `gateway/permissions.py`."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    BILLING = "billing"
    VIEWER = "viewer"


class StaffRole(StrEnum):
    """What a person is for the service. Given at the command line alone: `ephemera people staff`.

    A person may have several. None of them opens a customer's account.
    """

    SUPPORT = "support"
    OPS = "ops"
    FINANCE = "finance"
    AUDITOR = "auditor"
