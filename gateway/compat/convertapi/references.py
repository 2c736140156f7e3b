"""What a file parameter stands for: bytes that came along, a stored file, or a URL.

An address of ours (`/d/ID`) is opened here and never fetched, under whichever name this service was
reached; any other URL goes through the one guarded client. A stored file is taken from its own
account or from those that were uploaded by nobody in particular; all others do not exist.
"""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from aiohttp import web

from gateway import fetching, state, storing
from gateway.compat.convertapi import errors
from gateway.compat.convertapi.call import Call, Part, Value
from gateway.errors import (
    ParametersInvalid,
    SurfaceRefused,
    UploadPartsExceeded,
    UploadTooLarge,
)
from gateway.uploads import Hold, Upload
from gateway.wiping import Wiper
from ledger.errors import FileUnknown
from ledger.files.files import StoredFile
from ledger.files.handle import parse_handle

_OWN = re.compile(r"/d/([a-z0-9]{32})(?:/[^/]*)?")
# What was meant to be an address, and is none that is taken: another scheme, or none at all.
_LINK = re.compile(r"[:/.]")
_URL = re.compile(r"https?://", re.IGNORECASE)


async def gathered(
    request: web.Request, call: Call, names: Sequence[str], hold: Hold, wiper: Wiper
) -> list[Upload]:
    """The files of these parameters, in memory and in their order.

    Raises ParametersInvalid where there is none, SurfaceRefused (5009, 50010), UploadTooLarge,
    UploadPartsExceeded, MemoryFull, FetchOff, FetchError.
    """
    files: list[Upload] = []
    for value in values_of(request, call, names):
        if isinstance(value, Part):
            files.append(Upload(body=value.body, name=value.name))
        else:
            files.append(await _of_text(request, value.strip(), files, hold, wiper))
    return files


def values_of(request: web.Request, call: Call, names: Sequence[str]) -> list[Value]:
    """What these parameters hold, in their order. Raises ParametersInvalid, UploadPartsExceeded."""
    values = [one for name in names for one in call.parameters.get(name, ()) if one != ""]
    if not values:
        wanted = call.spelled.get(names[0], names[0].capitalize()) if names else "File"
        raise ParametersInvalid({wanted: ["The field is required."]})
    most = request.app[state.SETTINGS].upload.files_max
    if len(values) > most:
        raise UploadPartsExceeded(f"one request converts at most {most} files")
    return values


def handle_of(text: str) -> str | None:
    """The handle in an id or in an address of ours; None where it is neither."""
    if parse_handle(text) is not None:
        return text
    if not _URL.match(text):
        return None
    try:
        match = _OWN.fullmatch(urlsplit(text).path)
    except ValueError:
        return None
    return match[1] if match else None


async def opened(request: web.Request, handle: str) -> StoredFile:
    """A stored file that this caller may convert. Raises FileUnknown."""
    files = request.app[state.LEDGER].files
    file = await files.open(handle)
    if file.account_id == request[state.CALLER].account_id:
        return file
    if file.account_id == await request.app[state.VISITORS].find():
        return file
    raise FileUnknown("there is no such file of this account")


async def stored_of(request: web.Request, text: str) -> StoredFile | None:
    """The stored file that an id or a URL stands for; None for a URL of somebody else's.

    Raises SurfaceRefused (5009, 50010).
    """
    handle, is_url = handle_of(text), _URL.match(text) is not None
    if handle is not None:
        try:
            return await opened(request, handle)
        except FileUnknown as error:
            if not is_url or _is_here(request, text):
                raise _bad_id() from error
    if is_url:
        return None
    if _LINK.search(text):
        raise SurfaceRefused(
            "the value is neither the id of a file nor an http(s) URL", code=errors.BAD_LINK
        )
    raise _bad_id()


async def _of_text(
    request: web.Request, text: str, before: Iterable[Upload], hold: Hold, wiper: Wiper
) -> Upload:
    file = await stored_of(request, text)
    if file is None:
        (fetched,) = await fetching.gathered(request, (text,), hold)
        wiper.add([fetched.body])
        return fetched
    room = request.app[state.SETTINGS].upload.bytes_max - sum(len(one.body) for one in before)
    return await _stored(file, room, hold, wiper)


async def _stored(file: StoredFile, room: int, hold: Hold, wiper: Wiper) -> Upload:
    if file.bytes > room:
        raise _too_large()
    hold.take(file.bytes)
    (upload,) = await storing.gathered([file])
    wiper.add([upload.body])
    return upload


def _is_here(request: web.Request, url: str) -> bool:
    """Whether a URL names this very service."""
    told = urlsplit(request.app[state.SETTINGS].server.public_url).netloc
    return urlsplit(url).netloc.lower() in {request.host.lower(), told.lower()} - {""}


def _bad_id() -> SurfaceRefused:
    return SurfaceRefused(
        "there is no file of this id: it never was, was deleted, or has expired; upload it again",
        code=errors.BAD_FILE_ID,
    )


def _too_large() -> UploadTooLarge:
    return UploadTooLarge("the files of one request are together larger than it may carry")
