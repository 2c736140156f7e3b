"""What one row of the route table says: address, handler, who may ask, and its OpenAPI facts."""

from collections.abc import Awaitable, Callable, Iterable
from enum import StrEnum
from typing import Any, Literal, Protocol

import msgspec
from aiohttp import web

from gateway.permissions import KEY_SCOPES, Permission
from ledger.accounts.keys import Caller
from ledger.accounts.rights import Scope

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Access(StrEnum):
    """Who may ask."""

    PUBLIC = "public"
    CUSTOMER = "customer"  # an API key, or a token that speaks for one
    VISITOR = "visitor"  # an API key counts, and none is needed
    MEMBER = "member"  # an API key, or the session of somebody who is a member of an account
    PERSON = "person"  # the session of somebody who has signed in
    OPERATOR = "operator"  # this machine, or the operator's token
    ADMIN = "admin"  # on the operators' own listener: the socket's file mode, or the token


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """A path, query or header parameter. `type` is any type that msgspec can make a schema of."""

    name: str
    place: Literal["path", "query", "header"]
    description: str
    type: Any = str
    required: bool = False
    # A free set of names instead of one: the converters' options.
    exploded: bool = False


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """A body: JSON of a type, or bytes of a media type."""

    media_type: str = "application/json"
    type: Any = None
    schema: dict[str, Any] | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that is not a problem."""

    status: int
    description: str
    content: tuple[Content, ...] = ()
    # Header name to what it says.
    headers: tuple[tuple[str, str], ...] = ()


class Dialect(Protocol):
    """How the addresses of a compatible surface find their callers and tell their errors."""

    # Of the body of every error.
    media_type: str
    document: Any

    async def caller(self, asked: web.Request, access: Access) -> Caller | None:
        """Who asks; None where nobody has to, or where the handler finds it in the body."""

    def response_to(self, asked: web.Request, error: BaseException) -> web.Response:
        """The answer to an error."""

    def mark(self, asked: web.Request, response: web.StreamResponse) -> None:
        """Headers that every answer at these addresses has."""

    def refusals(self, raised: Iterable[type[Exception]]) -> dict[int, list[str]]:
        """Codes by HTTP status, of these errors."""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One address and method."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Handler
    access: Access
    # What whoever asks must be allowed; addresses for everybody say NONE.
    permission: Permission
    name: str  # OpenAPI's operationId
    tag: str
    summary: str
    description: str = ""
    # The handler reads a file from the body: checked before the first byte, and drained on a stop.
    uploads: bool = False
    # Refuses what the head alone gives away.
    check: Callable[[web.Request], None] | None = None
    parameters: tuple[Parameter, ...] = ()
    body: tuple[Content, ...] = ()
    # The body may be left out.
    bodyless: bool = False
    # A session that asks this has shown who it is within the last minutes.
    step_up: bool = False
    answers: tuple[Answer, ...] = ()
    # None: ours. Callers by `Authorization: Bearer`, errors as problem documents.
    dialect: Dialect | None = None
    # Errors of its own; those of its access and of uploads are added.
    problems: tuple[type[Exception], ...] = ()

    @property
    def scope(self) -> Scope | None:
        """What a key must have for it; None where no key is asked for, or none is enough."""
        return KEY_SCOPES.get(self.permission)
