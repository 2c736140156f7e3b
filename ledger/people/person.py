"""What is known of a person, as the rest of the service is handed it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import asyncpg
import msgspec

from ledger.accounts.rights import Network
from ledger.people.roles import Role, StaffRole
from ledger.people.secret import Shown

Clock = Callable[[], datetime]

NAME_CHARS_MAX = 100
ADDRESS_CHARS_MAX = 254


class Mailer(Protocol):
    """The part of `ledger.mail` that is used here."""

    async def queue(
        self,
        connection: asyncpg.Connection | None,
        kind: str,
        to: str,
        fields: Mapping[str, str],
    ) -> object:
        """Put a mail into the outbox, in the caller's transaction."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person, without anything secret."""

    id: int
    address: str
    name: str
    created_at: datetime
    suspended_at: datetime | None
    # Since when a second factor is asked for; None: none is.
    totp_since: datetime | None

    def __repr__(self) -> str:
        return f"Person(id={self.id})"


class Credentials(msgspec.Struct, frozen=True, kw_only=True):
    """What a sign-in is checked against."""

    person: Person
    # As argon2 writes it, and which pepper was mixed in.
    password: str
    pepper_id: str
    # The seed of one-time codes, opened.
    totp: bytes | None

    def __repr__(self) -> str:
        return f"Credentials(person={self.person!r})"


class Hashed(msgspec.Struct, frozen=True):
    """A password as it is stored."""

    text: str
    pepper_id: str

    def __repr__(self) -> str:
        return "Hashed(…)"


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """Where a session begins."""

    network: Network | None
    # What the program calls itself.
    name: str


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A link that a mail will carry: the secret in it, and the whole of it."""

    shown: Shown
    url: str

    def __repr__(self) -> str:
        return "Link(…)"


class FoundLink(msgspec.Struct, frozen=True, kw_only=True):
    """What a link is for: `sign_up`, `reset`, `address` or `invitation`."""

    purpose: str
    address: str
    expires_at: datetime


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """An account that a person is a member of."""

    account_id: int
    name: str
    role: Role
    status: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A member of an account, as the others see one."""

    person_id: int
    address: str
    name: str
    role: Role
    since: datetime
    # Whether a second factor is asked of this person.
    mfa: bool


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """An invitation that nobody has taken up yet."""

    id: str
    address: str
    role: Role
    created_at: datetime
    expires_at: datetime


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks, as one request of a session is told."""

    id: str
    person_id: int
    address: str
    name: str
    # The account the session acts for, and None for the role of somebody who is no member of it.
    account_id: int | None
    role: Role | None
    staff: frozenset[StaffRole]
    # It began with a second factor, or has shown one since.
    mfa: bool
    # The person has a second factor.
    totp: bool
    created_at: datetime
    seen_at: datetime
    stepped_up_at: datetime

    def __repr__(self) -> str:
        return f"Session(id={self.id!r}, person_id={self.person_id})"


class SessionItem(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its person sees it in a list."""

    id: str
    created_at: datetime
    seen_at: datetime
    network: Network | None
    client: str
    mfa: bool


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A session that has just begun: its secret is known this once."""

    session_id: str
    secret: str
    person_id: int
    account_id: int | None
    created_at: datetime
    seen_at: datetime

    def __repr__(self) -> str:
        return f"Begun(session_id={self.session_id!r})"
