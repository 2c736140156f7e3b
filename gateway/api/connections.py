"""`/v1/connections`: customers' own storage, by credentials that are written and never shown."""

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from gateway import state
from gateway.api.answers import answer
from gateway.asked import DELIVER_TO, SOURCE_FROM
from gateway.connections.places import PATH_BYTES_MAX, place_of
from gateway.connections.refusals import finding
from gateway.connections.storages import S3, Http, WebDav
from gateway.errors import RequestMalformed
from gateway.json_body import body_of
from gateway.people.sessions import account_of
from gateway.storing import moment
from ledger.connections.connections import Connection

_Label = Annotated[str, Meta(min_length=1, max_length=100)]
_Path = Annotated[str, Meta(min_length=1, max_length=PATH_BYTES_MAX)]


class NewConnection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a connection is made of: all of it, also where one is replaced."""

    label: _Label
    storage: S3 | WebDav | Http

    def __repr__(self) -> str:
        """Nothing of the credentials."""
        return f"NewConnection({self.storage!r})"


class ConnectionItem(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, without what opens it: no address of this service ever shows that."""

    id: str
    # s3, webdav or http.
    kind: str
    label: str
    # Of the storage's address.
    host: str
    created_at: str
    # When its credentials were given.
    changed_at: str
    last_used_at: str | None
    checked_at: str | None
    # What the last check found; `ok`, or a word for what is wrong.
    found: str | None


class ConnectionsPage(msgspec.Struct, frozen=True, kw_only=True):
    """All connections of the account, the oldest first."""

    connections: tuple[ConnectionItem, ...]


class ConnectionCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a connection is tried; without either it is asked for a file that is not there."""

    # A file that is there.
    read: _Path | None = None
    # A file that is written, with one line of text, and stays.
    write: _Path | None = None


class CheckPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found."""

    ok: bool
    # One word, as the connection's `found` has it, and a sentence.
    found: str
    detail: str
    # What the storage answered, and its own code for an error.
    status: int | None
    code: str | None
    connection: ConnectionItem


async def create(request: web.Request) -> web.StreamResponse:
    """`POST /v1/connections`."""
    wanted = await body_of(request, NewConnection)
    new = request.app[state.STORAGE].new(_label(wanted), wanted.storage)
    made = await request.app[state.LEDGER].connections.create(account_of(request), new)
    response = answer(_item(made), web.HTTPCreated.status_code)
    response.headers["Location"] = f"/v1/connections/{made.id}"
    return response


async def list_connections(request: web.Request) -> web.StreamResponse:
    """`GET /v1/connections`."""
    found = await request.app[state.LEDGER].connections.list(account_of(request))
    return answer(ConnectionsPage(connections=tuple(_item(one) for one in found)))


async def show(request: web.Request) -> web.StreamResponse:
    """`GET /v1/connections/{id}`."""
    return answer(_item(await request.app[state.LEDGER].connections.get(*_named(request))))


async def replace(request: web.Request) -> web.StreamResponse:
    """`POST /v1/connections/{id}`: all of it anew, under the same id."""
    wanted = await body_of(request, NewConnection)
    new = request.app[state.STORAGE].new(_label(wanted), wanted.storage)
    return answer(_item(await request.app[state.LEDGER].connections.replace(*_named(request), new)))


async def delete(request: web.Request) -> web.StreamResponse:
    """`DELETE /v1/connections/{id}`."""
    await request.app[state.LEDGER].connections.delete(*_named(request))
    return web.Response(status=web.HTTPNoContent.status_code)


async def check(request: web.Request) -> web.StreamResponse:
    """`POST /v1/connections/{id}/check`: try it now."""
    wanted = await body_of(request, ConnectionCheck)
    if wanted.read is not None and wanted.write is not None:
        raise RequestMalformed("give read or write: a check tries one of them")
    account_id, connection_id = _named(request)
    connection, checked = await request.app[state.STORAGE].check(
        account_id,
        connection_id,
        read=_path(SOURCE_FROM, connection_id, wanted.read),
        write=_path(DELIVER_TO, connection_id, wanted.write),
    )
    return answer(
        CheckPage(
            ok=checked.found == "ok",
            found=checked.found,
            detail=finding(checked.found),
            status=checked.status,
            code=checked.code,
            connection=_item(connection),
        )
    )


def _named(request: web.Request) -> tuple[int, str]:
    return account_of(request), request.match_info["id"]


def _label(wanted: NewConnection) -> str:
    if not wanted.label.isprintable():
        raise RequestMalformed("label holds characters that cannot be shown")
    return wanted.label


def _path(parameter: str, connection_id: str, path: str | None) -> str | None:
    """The path of a check, read as that of a conversion is."""
    return None if path is None else place_of(parameter, f"{connection_id}/{path}").path


def _item(one: Connection) -> ConnectionItem:
    return ConnectionItem(
        id=one.id,
        kind=one.kind,
        label=one.label,
        host=one.host,
        created_at=moment(one.created_at),
        changed_at=moment(one.changed_at),
        last_used_at=moment(one.last_used_at) if one.last_used_at else None,
        checked_at=moment(one.checked_at) if one.checked_at else None,
        found=one.found,
    )
