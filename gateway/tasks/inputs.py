"""A task's files into memory: from the store, a URL or its owner's storage, counted and wiped."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, aclosing

from engine.job import Buffer
from gateway.asked import SOURCE_FROM
from gateway.config import UploadConfig
from gateway.connections.desk import StorageDesk
from gateway.connections.places import place_of
from gateway.errors import UploadTooLarge
from gateway.outbound.client import Fetched, Outbound
from gateway.tasks.asked import PLACE_MARK
from gateway.uploads import Hold, Upload
from gateway.wiping import Gathering, Wiper
from ledger.files.files import Files

# A handle has none, so that a list of files may have both.
URL_MARK = "://"


class Inputs:
    """Where tasks' files come from."""

    def __init__(
        self, files: Files, outbound: Outbound, storage: StorageDesk, config: UploadConfig
    ) -> None:
        self._files = files
        self._outbound = outbound
        self._storage = storage
        self._config = config

    async def gathered(
        self,
        named: Sequence[str],
        account_id: int,
        hold: Hold,
        wiper: Wiper,
        *,
        owned: bool = True,
    ) -> list[Upload]:
        """All of them, in their order; the wiper has them.

        Files that are not `owned` may be another account's: who may convert them was decided when
        the task was taken.

        Raises FileUnknown, FetchOff, FetchError, ConnectionsOff, ConnectionUnknown, StorageError,
        UploadTooLarge, MemoryFull.
        """
        found: list[Upload] = []
        size = 0
        for one in named:
            if one.startswith(PLACE_MARK):
                place = place_of(SOURCE_FROM, one.removeprefix(PLACE_MARK))
                upload = await self._arrived(self._storage.take(account_id, place), hold, size)
            elif URL_MARK in one:
                asked = self._outbound.fetch(one, account_id=account_id)
                upload = await self._arrived(asked, hold, size)
            else:
                upload = await self._stored(one, account_id if owned else None, hold, size)
            wiper.add([upload.body])
            size += len(upload.body)
            found.append(upload)
        return found

    async def _stored(self, handle: str, account_id: int | None, hold: Hold, before: int) -> Upload:
        file = await self._files.open(handle, account_id)
        self._check(before + file.bytes)
        hold.grow_to(before + file.bytes)
        room = Gathering(file.bytes)
        try:
            async with aclosing(file.pieces()) as pieces:
                async for piece in pieces:
                    room.add(piece)
            return Upload(body=room.whole(), name=file.name)
        finally:
            room.wipe()

    async def _arrived(
        self, asked: AbstractAsyncContextManager[Fetched], hold: Hold, before: int
    ) -> Upload:
        async with asked as fetched:
            self._check(before + (fetched.announced or 0))
            room = Gathering(fetched.announced or 0)
            try:
                async with aclosing(fetched.pieces) as pieces:
                    async for piece in pieces:
                        self._grow(hold, before + len(room), piece)
                        room.add(piece)
                return Upload(body=room.whole(), name=fetched.name)
            finally:
                room.wipe()

    def _grow(self, hold: Hold, size: int, piece: Buffer) -> None:
        self._check(size + len(piece))
        hold.grow_to(size + len(piece))

    def _check(self, size: int) -> None:
        if size > self._config.bytes_max:
            raise UploadTooLarge(f"one task converts at most {self._config.bytes_max} bytes")
