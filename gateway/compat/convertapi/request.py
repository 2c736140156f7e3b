"""The five encodings in which ConvertAPI's clients send a conversion, decoded into one `Call`.

1. `application/x-www-form-urlencoded`: text only, files as ids or URLs (Python, Node, Ruby, Go).
2. `multipart/form-data`: text, and files as parts (PHP, Java, .NET, curl).
3. `application/json`: `{"Parameters": [...]}`, files as base64, ids or URLs (JavaScript).
4. A raw body with a Content-Disposition, parameters in the query.
5. Nothing but the query.

The query counts in all of them. A Content-Disposition of the request itself makes the body a file,
whatever its Content-Type says: a JSON document is converted like any other. Bytes of files are
gathered in memory that the request's `Wiper` wipes. Where a form carries the credentials, they have
to come before the first file: of somebody unknown no file is gathered, and no memory is kept for
what a form announces before it is there.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import aclosing
from urllib.parse import parse_qsl

import msgspec
from aiohttp import hdrs, web
from aiohttp.helpers import parse_mimetype

from engine.job import Buffer
from gateway import state, uploads
from gateway.compat.convertapi import names
from gateway.compat.convertapi.call import Call, Part, Value
from gateway.compat.convertapi.fields import FIELDS_MAX, Field, Fields, collected
from gateway.compat.convertapi.general import General, general_of
from gateway.errors import (
    MediaTypeUnsupported,
    RequestMalformed,
    SurfaceRefused,
    UploadPartsExceeded,
    UploadTooLarge,
)
from gateway.multipart import MultipartBroken, PartHead, Parts
from gateway.uploads import Hold, Memory
from gateway.wiping import Gathering, Wiper

URLENCODED = "application/x-www-form-urlencoded"
# Ids, URLs and numbers; the longest honest values are FDF documents and lists to redact.
TEXT_BYTES_MAX = 1024 * 1024
_PLAIN_ENCODINGS = frozenset({"binary", "identity", "8bit", "7bit"})
NO_DISPOSITION, BAD_JSON, NO_BASE64 = 4001, 4002, 4005

# Told of the fields so far before the first file is gathered; refuses who may not go on.
Identify = Callable[[Fields], Awaitable[None]]


class _FileValue(msgspec.Struct, frozen=True, rename="pascal"):
    name: str | None = None
    data: bytearray | None = None
    id: str | None = None
    url: str | None = None


class _Parameter(msgspec.Struct, frozen=True, rename="pascal"):
    name: str
    value: str | bool | int | float | None = None
    values: list[str | bool | int | float] = []
    file_value: _FileValue | None = None
    file_values: list[_FileValue] = []


class _Document(msgspec.Struct, frozen=True, rename="pascal"):
    parameters: list[_Parameter]


async def taken(
    request: web.Request, hold: Hold, wiper: Wiper, identify: Identify
) -> tuple[Call, General]:
    """Read and decode a request to convert.

    Raises ParametersInvalid, SurfaceRefused, what `identify` does, and the upload errors of
    `gateway.errors`.
    """
    given = [Field(name, value) for name, value in request.query.items()]
    given += await _sent(request, hold, wiper, given, identify)
    fields = collected(given)
    await identify(fields)
    general = general_of(fields)
    parts = [one for values in fields.values.values() for one in values if isinstance(one, Part)]
    most = request.app[state.SETTINGS].upload.files_max
    if len(parts) > most:
        raise _too_many(most)
    return (
        Call(
            source=request.match_info["source"].lower(),
            target=request.match_info["target"].lower(),
            converter=request.match_info.get("converter"),
            parameters=fields.values,
            spelled=fields.spelled,
        ),
        general,
    )


def carries_form(request: web.Request) -> bool:
    """Whether the body is one in which credentials may stand."""
    kind = uploads.media_type(request)
    is_form = kind in {URLENCODED, uploads.MULTIPART}
    return request.can_read_body and is_form and hdrs.CONTENT_DISPOSITION not in request.headers


def of_urlencoded(text: str) -> list[Field]:
    """The fields of a form's text. Raises RequestMalformed."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise RequestMalformed(f"a form has at most {FIELDS_MAX} fields") from error
    return [Field(name, value) for name, value in pairs]


def of_json(body: Buffer) -> list[Field]:
    """The fields of a JSON document; files become parts, ids and URLs text.

    Raises SurfaceRefused: 4002 for what is no such document, 4005 for base64 that is none.
    """
    try:
        document = msgspec.json.decode(body, type=_Document)
    except msgspec.ValidationError as error:
        if "base64" in str(error).lower():
            raise _no_base64() from error
        raise _bad_json() from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad_json() from error
    return [Field(one.name, value) for one in document.parameters for value in _values(one)]


async def _sent(
    request: web.Request, hold: Hold, wiper: Wiper, query: Iterable[Field], identify: Identify
) -> list[Field]:
    """The fields of the body."""
    kind = uploads.media_type(request)
    if not request.can_read_body:
        return []
    if hdrs.CONTENT_DISPOSITION in request.headers:
        return [await _raw(request, hold, wiper)]
    if kind == uploads.MULTIPART:
        return await _parts(request, hold, wiper, query, identify)
    if kind == "application/json" or kind.endswith("+json"):
        body = await _whole(request, hold, wiper)
        fields = of_json(body)
        decoded = [one.value.body for one in fields if isinstance(one.value, Part)]
        wiper.add(decoded)
        hold.count(sum(len(one) for one in decoded))
        return fields
    if kind == URLENCODED:
        body = await _whole(request, hold, wiper, bytes_max=TEXT_BYTES_MAX)
        return of_urlencoded(_text(body))
    body = await _whole(request, hold, wiper)
    if not body:
        return []
    raise SurfaceRefused(
        "the body is a file without a name: send Content-Disposition: attachment; filename=...",
        code=NO_DISPOSITION,
    )


async def _raw(request: web.Request, hold: Hold, wiper: Wiper) -> Field:
    name = names.of_disposition(request.headers[hdrs.CONTENT_DISPOSITION])
    if name is None:
        raise SurfaceRefused(
            "the Content-Disposition names no file: write attachment; filename=...",
            code=NO_DISPOSITION,
        )
    return Field("File", Part(body=await _whole(request, hold, wiper), name=name))


async def _whole(
    request: web.Request, hold: Hold, wiper: Wiper, *, bytes_max: int | None = None
) -> bytearray:
    """All of the body. Raises the upload errors of `gateway.errors`."""
    config = request.app[state.SETTINGS].upload
    if bytes_max is not None and (request.content_length or 0) > bytes_max:
        raise _too_long(bytes_max)
    whole = Gathering(request.content_length or 0)
    try:
        async with aclosing(uploads.arriving(request, config, hold)) as arriving:
            async for piece in arriving:
                whole.add(piece)
                if bytes_max is not None and len(whole) > bytes_max:
                    raise _too_long(bytes_max)
        body = whole.whole()
    finally:
        whole.wipe()
    wiper.add([body])
    return body


async def _parts(
    request: web.Request, hold: Hold, wiper: Wiper, query: Iterable[Field], identify: Identify
) -> list[Field]:
    """Text and files of a form."""
    config = request.app[state.SETTINGS].upload
    boundary = parse_mimetype(request.headers[hdrs.CONTENT_TYPE]).parameters.get("boundary", "")
    form = _Form(hold, wiper, files_max=config.files_max)
    try:
        # Counted for its limit only; what is gathered is held part by part.
        with Memory(config.bytes_max).hold() as passing:
            async with aclosing(uploads.arriving(request, config, passing)) as body:
                with Parts(body, boundary) as parts:
                    async for head in _heads(parts):
                        if _is_file(head) and not form.files:
                            await identify(collected([*query, *form.fields]))
                        await form.add(head, parts)
    except MultipartBroken as error:
        raise RequestMalformed(f"the {uploads.MULTIPART} body is broken: {error}") from error
    return form.fields


class _Form:
    """What has come of a form."""

    def __init__(self, hold: Hold, wiper: Wiper, *, files_max: int) -> None:
        self.fields: list[Field] = []
        self.files = 0
        self._text_bytes = 0
        self._hold = hold
        self._wiper = wiper
        self._files_max = files_max

    async def add(self, head: PartHead, parts: Parts) -> None:
        """Take one part in. Raises UploadTooLarge, UploadPartsExceeded, RequestMalformed."""
        if len(self.fields) >= FIELDS_MAX:
            raise RequestMalformed(f"a form has at most {FIELDS_MAX} fields")
        if _is_file(head):
            self.files += 1
            if self.files > self._files_max:
                raise _too_many(self._files_max)
            value: Value = Part(body=await self._whole(parts), name=_part_name(head))
        else:
            whole = await self._whole(parts, TEXT_BYTES_MAX - self._text_bytes)
            self._text_bytes += len(whole)
            value = _text(whole)
        self.fields.append(Field(head.name or "", value))

    async def _whole(self, parts: Parts, bytes_max: int | None = None) -> bytearray:
        whole = Gathering(0)
        try:
            while chunk := await parts.chunk():
                self._hold.take(len(chunk))
                whole.add(chunk)
                if bytes_max is not None and len(whole) > bytes_max:
                    raise _too_long(TEXT_BYTES_MAX)
            body = whole.whole()
        finally:
            whole.wipe()
        self._wiper.add([body])
        return body


async def _heads(parts: Parts) -> AsyncGenerator[PartHead, None]:
    while (head := await parts.next()) is not None:
        for header in (hdrs.CONTENT_ENCODING, hdrs.CONTENT_TRANSFER_ENCODING):
            encoding = head.headers.get(header.lower(), "binary").strip().lower()
            if encoding not in _PLAIN_ENCODINGS:
                raise MediaTypeUnsupported(f"a part's {header} is not taken: send the plain bytes")
        yield head


def _is_file(head: PartHead) -> bool:
    octets = head.headers.get("content-type", "").lower().startswith("application/octet-stream")
    return head.filename is not None or octets


def _part_name(head: PartHead) -> str | None:
    return names.of_disposition(head.headers.get("content-disposition", ""))


def _values(parameter: _Parameter) -> list[Value]:
    files = [*parameter.file_values]
    if parameter.file_value is not None:
        files.insert(0, parameter.file_value)
    texts = [*parameter.values]
    if parameter.value is not None:
        texts.insert(0, parameter.value)
    return [*(_plain(one) for one in texts), *(_file(one) for one in files)]


def _plain(value: str | bool | float) -> str:
    """A JSON value as a form would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _file(value: _FileValue) -> Value:
    if value.data is not None:
        return Part(body=value.data, name=value.name)
    text = value.id or value.url
    if text is None:
        raise _no_base64()
    return text


def _text(body: bytearray) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestMalformed("the form's text is not UTF-8") from error


def _bad_json() -> SurfaceRefused:
    return SurfaceRefused(
        'the body is not the JSON it claims to be: {"Parameters": [{"Name": ..., "Value": ...}]}',
        code=BAD_JSON,
    )


def _no_base64() -> SurfaceRefused:
    return SurfaceRefused(
        "a FileValue holds no file: it has Data in base64 with Name, or Id, or Url", code=NO_BASE64
    )


def _too_long(bytes_max: int) -> UploadTooLarge:
    return UploadTooLarge(f"a form's text has at most {bytes_max} bytes; send files as parts")


def _too_many(most: int) -> UploadPartsExceeded:
    return UploadPartsExceeded(f"one request converts at most {most} files")
