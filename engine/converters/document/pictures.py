"""The pictures that a document brings along, found by the names that pandoc's tree has for them.

Only what is in the upload itself is ever a picture: a part of a package, a data address, an
attachment. Nothing else is fetched, from a network or a disk. What a picture is, its first bytes
say, whatever it is called.
"""

import base64
import binascii
import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

import msgspec
from lxml import etree
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from engine.job import Buffer
from sandbox.limits import MIB

# One picture, unpacked. They go through the tree as text, a third larger.
_PICTURE_BYTES_MAX = 32 * MIB
# All of a document's together: the tree has to hold them, and pandoc's heap twice.
PICTURES_BYTES_MAX = 64 * MIB
# What is decoded to be written as PNG: 4 bytes a pixel, in a worker of 1.5 GiB.
_PIXELS_MAX = 50_000_000

_MAGICS = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"\x01\x00\x00\x00", "emf"),
    (b"\xd7\xcd\xc6\x9a", "wmf"),
)
_MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "bmp": "image/bmp",
    "tiff": "image/tiff",
    "emf": "image/x-emf",
    "wmf": "image/x-wmf",
}
_PLUGINS = {
    "png": PngImagePlugin.PngImageFile.format,
    "jpeg": JpegImagePlugin.JpegImageFile.format,
    "gif": GifImagePlugin.GifImageFile.format,
    "webp": WebPImagePlugin.WebPImageFile.format,
    "bmp": BmpImagePlugin.BmpImageFile.format,
    "tiff": TiffImagePlugin.TiffImageFile.format,
}
# What Pillow lets through for a damaged file (`engine/converters/opening.py`).
_DAMAGE = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError,
    AssertionError, ArithmeticError, RuntimeError, zlib.error, Image.DecompressionBombError,
)  # fmt: skip
_DATA_ADDRESS = re.compile(
    r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w-]+=[^;,]*)*)(;base64)?,", re.IGNORECASE
)
_SVG = re.compile(
    rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)*(<!DOCTYPE[^>]*>\s*)?<(\w+:)?svg[\s>]", re.DOTALL
)
_RTF_BLIP = re.compile(rb"\\(?:png|jpeg)blip\b")
_RTF_BRACE = re.compile(rb"[{}]")
_HEX_DIGITS = b"0123456789abcdefABCDEF \t\r\n"
# Longer names are data addresses: kept by their hash.
_NAME_MAX = 255


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture: what it is, and its bytes."""

    kind: str
    content: bytes

    @property
    def address(self) -> str:
        """The picture as a data address."""
        return f"data:{_MEDIA_TYPES[self.kind]};base64,{base64.b64encode(self.content).decode()}"

    def size(self) -> tuple[float, float] | None:
        """Width and height in points at its own resolution, 96 dots an inch where it names none.

        None for what has no pixels, or is damaged.
        """
        if self.kind not in _PLUGINS:
            return None
        try:
            with Image.open(io.BytesIO(self.content), formats=(_PLUGINS[self.kind],)) as image:
                width, height = image.size
                dpi = image.info.get("dpi", (96, 96))
            if width * height > _PIXELS_MAX:
                return None
            across, down = (float(dots) if 10 <= float(dots) <= 2400 else 96.0 for dots in dpi)  # noqa: PLR2004  # else nobody meant it
        except _DAMAGE:
            return None
        return width * 72 / across, height * 72 / down

    def as_png(self) -> "Picture | None":
        """The same as PNG, or None where it cannot be decoded within the bounds."""
        if self.kind not in _PLUGINS:
            return None
        try:
            with Image.open(io.BytesIO(self.content), formats=(_PLUGINS[self.kind],)) as image:
                if image.width * image.height > _PIXELS_MAX:
                    return None
                mode = "RGBA" if image.has_transparency_data else "RGB"
                buffer = io.BytesIO()
                image.convert(mode).save(buffer, "PNG")
        except _DAMAGE:
            return None
        return Picture(kind="png", content=buffer.getvalue())

    def is_whole(self) -> bool:
        """Whether it can be decoded to its end."""
        return self.kind == "svg" or self.as_png() is not None


class Pictures:
    """Finds pictures by name. `brought` opens them only when they are asked for."""

    def __init__(self, brought: Mapping[str, Callable[[], bytes | None]]) -> None:
        self._brought = brought
        self._found: dict[str, Picture | None] = {}
        self._bytes = 0

    def find(self, name: str) -> Picture | None:
        """The picture of this name or data address; None where the upload has no such."""
        key = name if len(name) <= _NAME_MAX else _by_hash(name.encode())
        if key not in self._found:
            self._found[key] = self._open(name)
        return self._found[key]

    def _open(self, name: str) -> Picture | None:
        content = _from_address(name) if name[:5].lower() == "data:" else self._part(name)
        if content is None or len(content) > _PICTURE_BYTES_MAX:
            return None
        self._bytes += len(content)
        kind = kind_of(content)
        if kind is None or self._bytes > PICTURES_BYTES_MAX:
            return None
        return Picture(kind=kind, content=content)

    def _part(self, name: str) -> bytes | None:
        wanted = re.sub(r"^(\.\.?/)+", "", unquote(name.partition("#")[0]))
        for known in (name, wanted):
            if known in self._brought:
                return self._brought[known]()
        ending = f"/{wanted}"
        found = next((known for known in self._brought if known.endswith(ending)), None)
        return self._brought[found]() if wanted and found else None


def kind_of(content: bytes) -> str | None:
    """What a picture is by its first bytes."""
    for magic, kind in _MAGICS:
        if content.startswith(magic):
            return kind
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    return "svg" if _SVG.match(content[:4096]) else None


def brought_by(source: str, upload: Buffer) -> Pictures:
    """The pictures of an upload that pandoc reads."""
    content = bytes(upload)
    if source in {"docx", "odt", "epub", "pptx"}:
        return Pictures(_of_package(content))
    if source == "ipynb":
        return Pictures(_of_notebook(content))
    if source == "fb2":
        return Pictures(_of_fiction_book(content))
    if source == "rtf":
        return Pictures(_of_rtf(content))
    return Pictures({})


def _from_address(address: str) -> bytes | None:
    head = _DATA_ADDRESS.match(address)
    if head is None:
        return None
    body = address[head.end() :]
    if not head.group(3):
        return unquote_to_bytes(body)
    return _decoded(unquote(body))


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode("".join(text.split()) + "==")
    except (binascii.Error, ValueError):
        return None


def _of_package(content: bytes) -> dict[str, Callable[[], bytes | None]]:
    package = zipfile.ZipFile(io.BytesIO(content))

    def opener(part: zipfile.ZipInfo) -> Callable[[], bytes | None]:
        def open_part() -> bytes | None:
            if part.file_size > _PICTURE_BYTES_MAX:
                return None
            try:
                with package.open(part) as opened:
                    return opened.read(_PICTURE_BYTES_MAX + 1)
            except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError):
                return None

        return open_part

    return {part.filename: opener(part) for part in package.infolist()}


def _constant(content: bytes) -> Callable[[], bytes | None]:
    return lambda: content


def _by_hash(content: bytes) -> str:
    """The name that pandoc gives to a picture without one, up to its extension."""
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def _of_notebook(content: bytes) -> dict[str, Callable[[], bytes | None]]:
    found: dict[str, Callable[[], bytes | None]] = {}
    try:
        notebook = msgspec.json.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return found
    for name, kinds in _bundles(notebook):
        for media_type, written in kinds.items():
            text = "".join(written) if isinstance(written, list) else written
            if not media_type.startswith("image/") or not isinstance(text, str):
                continue
            picture = text.encode() if media_type == "image/svg+xml" else _decoded(text)
            if picture is not None:
                found[name or f"{_by_hash(picture)}.{_extension(media_type)}"] = _constant(picture)
    return found


def _bundles(notebook: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name or "", content by media type) of what the cells of a notebook hold."""
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    for cell in cells if isinstance(cells, list) else ():
        if not isinstance(cell, dict):
            continue
        attachments = cell.get("attachments")
        if isinstance(attachments, dict):
            yield from ((n, k) for n, k in attachments.items() if isinstance(k, dict))
        outputs = cell.get("outputs")
        for output in outputs if isinstance(outputs, list) else ():
            kinds = output.get("data") if isinstance(output, dict) else None
            if isinstance(kinds, dict):
                yield "", kinds


def _extension(media_type: str) -> str:
    return {"image/jpeg": "jpg", "image/svg+xml": "svg"}.get(media_type, media_type[6:])


def _of_fiction_book(content: bytes) -> dict[str, Callable[[], bytes | None]]:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError):
        return {}
    found: dict[str, Callable[[], bytes | None]] = {}
    for binary in root.iter("{*}binary") if root is not None else ():
        picture = _decoded(binary.text or "")
        if picture is not None:
            found[binary.get("id", "")] = _constant(picture)
    return found


def _of_rtf(content: bytes) -> dict[str, Callable[[], bytes | None]]:
    found: dict[str, Callable[[], bytes | None]] = {}
    for match in _RTF_BLIP.finditer(content):
        digits = _hex_run(content[match.end() : _end_of_group(content, match.end())])
        picture = binascii.unhexlify(digits[: len(digits) // 2 * 2])
        kind = kind_of(picture)
        if kind in {"png", "jpeg"}:
            extension = "jpg" if kind == "jpeg" else "png"
            found[f"{_by_hash(picture)}.{extension}"] = _constant(picture)
    return found


def _end_of_group(content: bytes, at: int) -> int:
    depth = 0
    for brace in _RTF_BRACE.finditer(content, at):
        depth += 1 if brace.group() == b"{" else -1
        if depth < 0:
            return brace.start()
    return len(content)


def _hex_run(group: bytes) -> bytes:
    """The digits at the end of a group, behind its last control word."""
    run = group[len(group.rstrip(_HEX_DIGITS)) :]
    if not run[:1].isspace():
        # The number of a control word: \picscaley100.
        run = run[len(run.split(maxsplit=1)[0]) :] if run.split() else b""
    return b"".join(run.split())
