"""Customers' own storage, asked: a file out of it, a result into it, and whether it can be reached.

Credentials are opened here for one request each, and go with it: into its headers, and nowhere
else. A result counts as delivered when the storage has said so, after it had the last byte; what
was not confirmed may be there all the same, and is not charged.
"""

import base64
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import msgspec

from gateway.connections import sigv4
from gateway.connections.places import Place
from gateway.connections.refusals import code_of, refusal, told
from gateway.connections.storages import S3, Http, Storage, WebDav
from gateway.downloads import Body, Kept
from gateway.errors import ConnectionsOff, FetchCrowded, FetchError
from gateway.outbound.client import CHECK, PUT, SUCCESS, TAKE, Fetched, Outbound
from gateway.outbound.guard import Target
from gateway.outbound.settings import ConnectionsConfig
from ledger.connections.connections import Connection, Connections, NewConnection

# What a check finds, beside the labels of `gateway.outbound.client.OUTCOMES`.
OK, DENIED, MISSING, REDIRECTED, UNEXPECTED = "ok", "denied", "missing", "redirected", "unexpected"
# A check that writes says what it is to whoever finds it.
PROBE = b"written by a check of this connection\n"
_REDIRECTION = range(300, 400)
_NO_BUCKET = frozenset({"NoSuchBucket", "InvalidBucketName"})
_TAG_CHARS_MAX = 256


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A file that a storage has confirmed."""

    place: Place
    bytes: int
    # As the storage names this version.
    etag: str | None


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found: its word for it, what the storage answered, and its own code."""

    found: str
    status: int | None = None
    code: str | None = None


class StorageDesk:
    """Every use of every connection."""

    def __init__(
        self,
        connections: Connections,
        outbound: Outbound,
        config: ConnectionsConfig,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connections = connections
        self._outbound = outbound
        self._config = config
        self._clock = clock
        self._schemes = ("http", "https") if config.http else ("https",)

    def demand(self) -> None:
        """Raise ConnectionsOff where the operator lets no storage be used."""
        if not self._config.enabled:
            raise ConnectionsOff(
                "no storage is connected here: send the file, and take the result as the answer"
            )

    def new(self, label: str, storage: Storage) -> NewConnection:
        """What the ledger keeps. Raises ConnectionsOff, StorageRefused."""
        self.demand()
        with told():
            target = self._outbound.target_of(f"{storage.root}/", self._schemes)
        return NewConnection(
            kind=type(storage).__struct_config__.tag,  # type: ignore[arg-type]  # a string, here
            label=label,
            host=target.authority,
            document=msgspec.json.encode(storage),
        )

    async def known(self, account_id: int, place: Place) -> None:
        """Raise ConnectionUnknown where there is none, before there is a result for it."""
        await self._connections.get(account_id, place.connection_id)

    @asynccontextmanager
    async def take(self, account_id: int, place: Place) -> AsyncIterator[Fetched]:
        """A file on its way in; it arrives while its pieces are read.

        Raises ConnectionsOff, ConnectionUnknown, FetchTooLarge, FetchCrowded, StorageError.
        """
        self.demand()
        storage = await self._open(account_id, place.connection_id)
        with told():
            target = self._target(storage, place.encoded)
            headers = self._headers("GET", storage, target, {}, sigv4.EMPTY)
            async with self._outbound.arriving(
                *(TAKE, target.url, headers), account_id=account_id, schemes=self._schemes
            ) as fetched:
                yield fetched

    async def deliver(
        self, account_id: int, place: Place, body: Body, media_type: str
    ) -> Delivered:
        """Write a file, whole, in place of what is there; returns when the storage confirmed it.

        Raises ConnectionsOff, ConnectionUnknown, FetchCrowded, StorageError, and what the body
        raises.
        """
        self.demand()
        storage = await self._open(account_id, place.connection_id)
        with told():
            target = self._target(storage, place.encoded)
            headers, sent = self._putting(storage, target, body, media_type)
            answered = await self._outbound.ask(
                *(PUT, "PUT", target.url, headers, sent),
                account_id=account_id,
                schemes=self._schemes,
            )
        if answered.status not in SUCCESS:
            raise refusal(answered.status, code_of(answered))
        return Delivered(place=place, bytes=body.size, etag=_tag(answered.headers.get("ETag")))

    async def check(
        self, account_id: int, connection_id: str, *, read: str | None, write: str | None
    ) -> tuple[Connection, Checked]:
        """Try a connection: read this file, write that one, or ask for one that is not there.

        What is found is noted. Raises ConnectionsOff, ConnectionUnknown, FetchCrowded.
        """
        self.demand()
        storage = await self._open(account_id, connection_id, used=False)
        path = write or read or f".ephemera-check-{secrets.token_hex(8)}"
        body = Kept([PROBE]) if write else None
        try:
            target = self._target(storage, Place(connection_id, path).encoded)
            if body:
                headers, sent = self._putting(storage, target, body, "text/plain")
            else:
                headers, sent = self._headers("GET", storage, target, {}, sigv4.EMPTY), None
            answered = await self._outbound.ask(
                *(CHECK, "PUT" if body else "GET", target.url, headers, sent),
                account_id=account_id,
                schemes=self._schemes,
            )
        except FetchCrowded:
            raise
        except FetchError as error:
            checked = Checked(found=error.reason)
        else:
            code = code_of(answered)
            found = _found(answered.status, code, named=bool(read or write))
            checked = Checked(found=found, status=answered.status, code=code)
        return await self._connections.checked(account_id, connection_id, checked.found), checked

    async def _open(self, account_id: int, connection_id: str, *, used: bool = True) -> Storage:
        document = await self._connections.open(account_id, connection_id, used=used)
        storage: Storage = msgspec.json.decode(document, type=Storage)
        return storage

    def _target(self, storage: Storage, path: str) -> Target:
        return self._outbound.target_of(f"{storage.root}/{path}", self._schemes)

    def _putting(
        self, storage: Storage, target: Target, body: Body, media_type: str
    ) -> tuple[dict[str, str], Body]:
        """Headers of a PUT, and its body as it goes over the wire."""
        headers = {"Content-Type": media_type}
        if not isinstance(storage, S3) or target.scheme == "https":
            return self._headers("PUT", storage, target, headers, sigv4.UNSIGNED), body
        headers |= {
            "Content-Encoding": "aws-chunked",
            "X-Amz-Decoded-Content-Length": str(body.size),
        }
        signed = self._signed("PUT", storage, target, headers, sigv4.CHUNKED)
        return signed.headers, sigv4.Chunks(body, signed)

    def _headers(
        self,
        method: str,
        storage: Storage,
        target: Target,
        headers: dict[str, str],
        payload: str,
    ) -> dict[str, str]:
        """The same headers, and those that open the storage."""
        match storage:
            case S3():
                return self._signed(method, storage, target, headers, payload).headers
            case WebDav():
                pair = f"{storage.username}:{storage.password}".encode()
                return {**headers, "Authorization": f"Basic {base64.b64encode(pair).decode()}"}
            case Http():
                return {**headers, **storage.opening}

    def _signed(
        self, method: str, storage: S3, target: Target, headers: dict[str, str], payload: str
    ) -> sigv4.Signature:
        if storage.session_token is not None:
            headers = {**headers, "X-Amz-Security-Token": storage.session_token}
        return sigv4.Signature(
            *(storage.access_key_id, storage.secret_access_key, storage.region, self._clock()),
            (method, target.authority, target.path),
            headers,
            payload,
        )


def _found(status: int, code: str | None, *, named: bool) -> str:
    """What an answer means; nobody has a file of the name that is asked for without one."""
    if status in SUCCESS:
        return OK
    if status in {401, 403}:
        return DENIED
    if status in {404, 410} and (named or code in _NO_BUCKET):
        return MISSING
    if status in {404, 405, 410}:
        return OK
    return REDIRECTED if status in _REDIRECTION else UNEXPECTED


def _tag(text: str | None) -> str | None:
    """An ETag as it came, if it looks like one."""
    if text is None or len(text) > _TAG_CHARS_MAX or not (text.isascii() and text.isprintable()):
        return None
    return text
