"""A conversion's result into its customer's own storage, in place of the answer.

The result goes from its worker straight out, one chunk of it in this process. The debit is settled
when the storage has confirmed the file, and before the short answer that says so: a client that
hangs up then has its result. Whatever fails earlier refunds: a storage that refuses, breaks off or
hangs, a client that hangs up, a drain. What such a storage has taken already is its owner's.

Connections are used with keys that have the scope `connections:read`, which none has unasked, and
never with tokens: those live in browsers, and a whole bucket is more than a conversion.
"""

import msgspec
from aiohttp import hdrs, web

from gateway import downloads, state
from gateway.api.answers import answer
from gateway.connections.places import Place
from gateway.errors import RequestMalformed, ScopeMissing, UploadPartsExceeded
from gateway.stages import Stage
from ledger.accounts.caller import Caller
from ledger.accounts.rights import Scope
from ledger.credits.debit import Debit

# They come one after the other, as files by URL do.
PLACES_MAX = 20
# What only a result that is the answer has.
_OF_A_FILE = frozenset({hdrs.CONTENT_TYPE, hdrs.CONTENT_DISPOSITION})


class DeliveredAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A result that was written to a storage and confirmed by it."""

    # CONNECTION/path, with the file's name where the path was a folder's.
    delivered_to: str
    bytes: int
    media_type: str
    # The storage's name for this version of the file.
    etag: str | None


def check(request: web.Request) -> None:
    """Refuse what the head of a conversion gives away.

    Raises ConnectionsOff, ScopeMissing, RequestMalformed, UploadPartsExceeded.
    """
    asked = request[state.ASKED]
    if not asked.places and asked.deliver_to is None:
        return
    check_caller(request[state.CALLER])
    request.app[state.STORAGE].demand()
    if asked.places and (asked.urls or asked.files):
        raise RequestMalformed("source_from=, url= and file= do not go together")
    if asked.places and request.can_read_body:
        raise RequestMalformed("source_from= says where the file is: send no body with it")
    if len(asked.places) > PLACES_MAX:
        raise UploadPartsExceeded(f"one request takes at most {PLACES_MAX} files from storage")
    if asked.deliver_to is not None and asked.stored_s is not None:
        raise RequestMalformed("store= and deliver_to= do not go together: one keeps the result")


def check_caller(caller: Caller) -> None:
    """Raise ScopeMissing for who may not use connections."""
    if caller.token or Scope.CONNECTIONS_READ not in caller.scopes:
        raise ScopeMissing(
            f"connections are used with an API key that has the scope {Scope.CONNECTIONS_READ}, and"
            " not with tokens"
        )


async def known(request: web.Request) -> None:
    """Raise ConnectionUnknown before there is a result for a connection that is not there."""
    place = request[state.ASKED].deliver_to
    if place is not None:
        await request.app[state.STORAGE].known(request[state.CALLER].account_id, place)


async def send(
    request: web.Request,
    response: web.StreamResponse,
    body: downloads.Body,
    place: Place,
    debit: Debit,
) -> web.StreamResponse:
    """Write the result, settle, and give the answer; `response` is what the result would have had.

    Raises StorageError, ConnectionUnknown, FetchCrowded, DebitLapsed.
    """
    trail = request[state.TRAIL]
    media_type = response.headers[hdrs.CONTENT_TYPE]
    trail.reached(Stage.RESPONDING)
    delivered = await request.app[state.STORAGE].deliver(
        request[state.CALLER].account_id, place, body, media_type
    )
    told = answer(
        DeliveredAnswer(
            delivered_to=str(delivered.place),
            bytes=delivered.bytes,
            media_type=media_type,
            etag=delivered.etag,
        ),
        web.HTTPCreated.status_code,
    )
    told.headers.update(
        {header: value for header, value in response.headers.items() if header not in _OF_A_FILE}
    )
    request[state.RESPONSE] = told
    trail.reached(Stage.DELIVERED)
    await debit.settle()
    trail.reached(Stage.SETTLED)
    return told
