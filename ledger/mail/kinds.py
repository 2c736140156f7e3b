"""Every kind of mail there is: what it has to be told, how long it is worth sending, who causes it.

A kind is a row here and a template of the same name in `gateway/mail/templates/`; a test looks for
both. Fields are text; those in `MULTILINE` keep their line ends.
"""

from collections.abc import Mapping
from datetime import timedelta

import msgspec

# Of one field; a message of the contact form is the longest honest one.
FIELD_CHARS_MAX = 10_000
# Written by people for people, in paragraphs.
MULTILINE = frozenset({"message"})


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What one kind of mail is made of."""

    # Each of them is given, though it may be empty; and no other but the optional ones.
    fields: frozenset[str]
    optional: frozenset[str] = frozenset()
    # After this it is of no use: its link is over. None: as long as delivery is tried.
    lifetime: timedelta | None = None
    # Anybody can have it sent to any address, so few an hour go to one.
    anybody: bool = False

    def check(self, name: str, fields: Mapping[str, str]) -> None:
        """Raise ValueError for fields that are missing, unknown or too long."""
        missing = self.fields - fields.keys()
        unknown = fields.keys() - self.fields - self.optional
        if missing or unknown:
            raise ValueError(
                f"a mail of the kind {name} takes {', '.join(sorted(self.fields))};"
                f" missing: {', '.join(sorted(missing)) or 'none'};"
                f" unknown: {', '.join(sorted(unknown)) or 'none'}"
            )
        for field, text in fields.items():
            if len(text) > FIELD_CHARS_MAX:
                raise ValueError(f"the field {field} of a mail has at most {FIELD_CHARS_MAX}")


def _kind(
    *fields: str, optional: tuple[str, ...] = (), hours: float | None = None, anybody: bool = False
) -> Kind:
    return Kind(
        fields=frozenset(fields),
        optional=frozenset(optional),
        lifetime=None if hours is None else timedelta(hours=hours),
        anybody=anybody,
    )


KINDS: Mapping[str, Kind] = {
    # Of people; the lifetimes are those of their links.
    "verify": _kind("link", hours=24, anybody=True),
    "reset": _kind("link", hours=0.5, anybody=True),
    "confirm_address": _kind("link", hours=24, anybody=True),
    "already_have_account": _kind("link", hours=24, anybody=True),
    "email_changed": _kind("at"),
    "invitation": _kind("link", "account", "by", "role"),
    "new_sign_in": _kind("at", "network", "client"),
    "password_changed": _kind("at"),
    "mfa_changed": _kind("change", "at"),
    # Of accounts.
    "key_created": _kind("account", "label", "prefix", "at", optional=("by",)),
    "low_balance": _kind("account", "balance", "threshold"),
    "receipt": _kind("account", "reference", "credits", "amount", "at", optional=("link",)),
    "suspended": _kind("account", "reason", "at"),
    # Of privacy.
    "export_ready": _kind("account", "expires_at", optional=("link",)),
    "erasure_scheduled": _kind("account", "at", optional=("link",)),
    "erasure_done": _kind("account", "at"),
    "staff_access": _kind("account", "role", "reason", "at", "until"),
    # Of support.
    "contact_received": _kind("ticket", anybody=True),
    "contact_message": _kind("ticket", "subject", "message", optional=("link",)),
    "ticket_answered": _kind("ticket", "subject", "message"),
    # Of operations.
    "incident_due": _kind("incident", "due"),
    # An operator wants to see whether mails go out at all.
    "test": _kind("at"),
}
