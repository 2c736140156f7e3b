"""The addresses of connections: credentials for customers' own storage, written and tried."""

import msgspec

from gateway import errors as gateway
from gateway.api import connections
from gateway.asked import DELIVER_TO, SOURCE_FROM
from gateway.connections.delivering import DeliveredAnswer
from gateway.endpoint import Access, Answer, Content, Endpoint, Parameter
from gateway.permissions import Permission
from ledger import errors as ledger

_ID = Parameter(name="id", place="path", description="The connection's `id`.")
_BODY: tuple[type[Exception], ...] = (
    *(gateway.RequestMalformed, gateway.UploadTooLarge, gateway.UploadTooSlow),
    gateway.MediaTypeUnsupported,
)
_WRITTEN: tuple[type[Exception], ...] = (
    *_BODY,
    *(gateway.ConnectionsOff, gateway.StorageRefused),
    ledger.LedgerUnavailable,
)
_ITEM = Answer(status=200, description="It.", content=(Content(type=connections.ConnectionItem),))

# What conversions say of them; `gateway/conversion_routes.py` has them in its rows.
PLACES_PARAMETER = Parameter(
    name=SOURCE_FROM,
    place="query",
    description="`CONNECTION/path`: a file in storage of your own that is converted; then there is "
    "no body. Several, in their order, where the converter takes several files.",
    type=list[str],
)
DELIVER_PARAMETER = Parameter(
    name=DELIVER_TO,
    place="query",
    description="`CONNECTION/path`: where in storage of your own the result is written; in a path "
    "that ends in `/`, under its own name. Charged when the storage has confirmed it.",
)
CONNECTION_PROBLEMS: tuple[type[Exception], ...] = (
    gateway.ConnectionsOff,
    gateway.ScopeMissing,
    gateway.StorageRefused,
    gateway.StorageFailed,
    gateway.StorageTooSlow,
    ledger.ConnectionUnknown,
)
# In the answer's place: a stored result, or one in storage of the customer's own.
KEPT_ELSEWHERE = {
    "anyOf": [
        {"$ref": "#/components/schemas/StoredAnswer"},
        msgspec.json.schema_components([DeliveredAnswer])[1]["DeliveredAnswer"],
    ]
}

CONNECTION_ROUTES: tuple[Endpoint, ...] = (
    Endpoint(
        method="POST",
        path="/v1/connections",
        handler=connections.create,
        access=Access.MEMBER,
        permission=Permission.CONNECTIONS_WRITE,
        name="createConnection",
        tag="connections",
        summary="Credentials for storage of your own",
        description="An S3 bucket, a WebDAV folder, or a server that takes GET and PUT with a "
        "header that opens it. What opens it is sealed, used for your conversions, and shown to "
        "nobody again. Off where the operator did not turn it on.",
        body=(Content(type=connections.NewConnection),),
        answers=(
            Answer(
                status=201,
                description="The connection, without its credentials.",
                content=(Content(type=connections.ConnectionItem),),
                headers=(("Location", "The connection."),),
            ),
        ),
        problems=(*_WRITTEN, ledger.ConnectionsExceeded),
    ),
    Endpoint(
        method="GET",
        path="/v1/connections",
        handler=connections.list_connections,
        access=Access.MEMBER,
        permission=Permission.CONNECTIONS_READ,
        name="listConnections",
        tag="connections",
        summary="The account's connections",
        answers=(
            Answer(
                status=200,
                description="All.",
                content=(Content(type=connections.ConnectionsPage),),
            ),
        ),
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="GET",
        path="/v1/connections/{id}",
        handler=connections.show,
        access=Access.MEMBER,
        permission=Permission.CONNECTIONS_READ,
        name="getConnection",
        tag="connections",
        summary="One connection",
        parameters=(_ID,),
        answers=(_ITEM,),
        problems=(ledger.ConnectionUnknown, ledger.LedgerUnavailable),
    ),
    Endpoint(
        method="POST",
        path="/v1/connections/{id}",
        handler=connections.replace,
        access=Access.MEMBER,
        permission=Permission.CONNECTIONS_WRITE,
        name="replaceConnection",
        tag="connections",
        summary="Write a connection anew, under its id",
        description="All of it: credentials that were given for one address are never sent to "
        "another. For a key that is rotated, for instance.",
        parameters=(_ID,),
        body=(Content(type=connections.NewConnection),),
        answers=(_ITEM,),
        problems=(*_WRITTEN, ledger.ConnectionUnknown),
    ),
    Endpoint(
        method="DELETE",
        path="/v1/connections/{id}",
        handler=connections.delete,
        access=Access.MEMBER,
        permission=Permission.CONNECTIONS_WRITE,
        name="deleteConnection",
        tag="connections",
        summary="Delete a connection and destroy its credentials",
        parameters=(_ID,),
        answers=(Answer(status=204, description="There is no such connection of this account."),),
        problems=(ledger.LedgerUnavailable,),
    ),
    Endpoint(
        method="POST",
        path="/v1/connections/{id}/check",
        handler=connections.check,
        access=Access.MEMBER,
        permission=Permission.CONNECTIONS_WRITE,
        name="checkConnection",
        tag="connections",
        summary="Try a connection now",
        description="Without a body it is asked for a file that is not there, which changes "
        "nothing and tells whether the address and the credentials are right. `read` names a file "
        "that is there; `write` one that is written, with a line of text.",
        parameters=(_ID,),
        body=(Content(type=connections.ConnectionCheck),),
        bodyless=True,
        answers=(
            Answer(
                status=200,
                description="What was found, good or bad.",
                content=(Content(type=connections.CheckPage),),
            ),
        ),
        problems=(
            *_BODY,
            gateway.ConnectionsOff,
            gateway.FetchCrowded,
            ledger.ConnectionUnknown,
            ledger.LedgerUnavailable,
        ),
    ),
)
