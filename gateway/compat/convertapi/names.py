"""File names as ConvertAPI's clients claim them, and the names of what they get back.

Clients write a name in four ways: `?filename=` (Go, Java, browsers), RFC 8187's `filename*`
(Python, Node, PHP, .NET), the same through CGI's escapes, where a blank is a plus (Ruby), and
`filename`, quoted or not (curl, the command line). Pure.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote, unquote_plus

from aiohttp import hdrs

from engine import formats
from engine.errors import FormatUnknown
from gateway import downloads

_EXTENDED = re.compile(r"filename\*\s*=\s*\"?([\w-]+)'[^']*'([^;\"]+)", re.IGNORECASE)
_QUOTED = re.compile(r"filename\s*=\s*\"((?:[^\"\\]|\\.)*)\"", re.IGNORECASE)
_BARE = re.compile(r"filename\s*=\s*([^;\"]+)", re.IGNORECASE)
_SUFFIX = re.compile(r"\.([A-Za-z0-9]{1,10})$")
_CHARSETS = frozenset({"utf-8", "iso-8859-1", "us-ascii"})


def claimed(query: Mapping[str, str], headers: Mapping[str, str]) -> str | None:
    """What a client calls the raw body that it sends: the query wins over the header."""
    for name, value in query.items():
        if name.lower() == "filename" and value.strip():
            return value
    return of_disposition(headers.get(hdrs.CONTENT_DISPOSITION, ""))


def of_disposition(header: str) -> str | None:
    """The file name of a Content-Disposition, however its client wrote it; None without one."""
    if (match := _EXTENDED.search(header)) and match[1].lower() in _CHARSETS:
        text = match[2].strip()
        # Ruby's client writes a blank as a plus here too; whoever writes it as %20 means a plus.
        decode = unquote if "%20" in text else unquote_plus
        return decode(text, encoding=match[1], errors="replace") or None
    match = _QUOTED.search(header) or _BARE.search(header)
    if match is None:
        return None
    plain = re.sub(r"\\(.)", r"\1", match[1]).strip()
    return unquote_plus(_readable(plain)) or None


def safe(name: str | None) -> str:
    """A claimed name without path and tricks, its extension kept; there always is one."""
    base = downloads.stem(name)
    suffix = _SUFFIX.search(name or "")
    # `.htaccess` is all stem.
    hidden = re.fullmatch(r"(?:.*[/\\])?\.[^./\\]*", name or "", re.DOTALL)
    return base if suffix is None or hidden else f"{base}.{suffix[1]}"


def extension_of(name: str) -> str:
    """A name's extension without its dot, empty where it has none."""
    suffix = _SUFFIX.search(name)
    return suffix[1] if suffix else ""


def result_extension(wanted: str, target: str) -> str:
    """The extension of a result: the address's own word where that is one (`tiff`, not `tif`)."""
    try:
        row = formats.find(wanted)
    except FormatUnknown:
        row = None  # an operation, such as `merge`
    if row is not None and row.name == target and wanted in row.extensions:
        return wanted
    return formats.find(target).extensions[0]


def results(base: str, extension: str, count: int) -> list[str]:
    """Names of all results of one conversion; several are counted from 0."""
    if count == 1:
        return [f"{base}.{extension}"]
    return [f"{base}_{number}.{extension}" for number in range(count)]


def base_of(wanted: str | None, source: str | None, extension: str) -> str:
    """The stem of a result's name: what `FileName` asks for, or the first file's own."""
    if wanted is None:
        return downloads.stem(source)
    # Whole names are given as well as bare ones; a dot in a bare one is no extension.
    bare = wanted[: -len(extension) - 1] if wanted.lower().endswith(f".{extension}") else wanted
    return downloads.stem(f"{bare}.{extension}")


def _readable(text: str) -> str:
    """A header's text, whose bytes are UTF-8 or else Latin-1 where they are not ASCII."""
    raw = text.encode("utf-8", "surrogateescape")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
