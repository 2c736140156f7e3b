"""The text of a request, and what is read from an answer's head. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from aiohttp import content_disposition_filename, hdrs, parse_content_disposition

from gateway.errors import FetchRefused
from gateway.outbound.guard import Target

# What every request says, unless a caller says something else.
_SAID = {"User-Agent": "Ephemera", "Accept": "*/*"}
# What decides how the exchange goes; a caller's word on it would be a second truth.
_OURS = frozenset(
    {
        *("host", "connection", "keep-alive", "content-length", "transfer-encoding", "te"),
        *("trailer", "upgrade", "expect", "accept-encoding", "range"),
    }
)
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_VALUE = re.compile(r"[\t\x20-\x7e]{0,4096}")
NAME_CHARS_MAX = 255
# A receiver that wants to be left alone for longer is asked again after a day.
RETRY_AFTER_S_MAX = 86_400.0
_SECONDS = re.compile(r"[0-9]{1,9}")


def request_head(
    method: str, target: Target, headers: Mapping[str, str], body_bytes: int | None = None
) -> bytes:
    """One request's head. Raises FetchRefused for a header that may not be sent."""
    lines = {
        "Host": target.authority,
        **_SAID,
        # Nothing is unpacked here, so nothing packed is asked for.
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    if body_bytes is not None:
        lines["Content-Length"] = str(body_bytes)
    said = {name.lower(): name for name in lines}
    for name, value in headers.items():
        if not may_send(name, value):
            raise FetchRefused("a header for the URL's server may not be sent", reason="header")
        lines[said.get(name.lower(), name)] = value
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {target.path} HTTP/1.1\r\n{text}\r\n".encode("ascii")


def may_send(name: str, value: str) -> bool:
    """Whether a header can be sent that somebody else gave."""
    if name.lower() in _OURS:
        return False
    return bool(_TOKEN.fullmatch(name) and _VALUE.fullmatch(value))


def name_of(headers: Mapping[str, str], target: Target) -> str | None:
    """What the file is called: by its Content-Disposition, or by the path if that looks like one.

    A claim: without folders, otherwise as it came.
    """
    _, parameters = parse_content_disposition(headers.get(hdrs.CONTENT_DISPOSITION))
    name = content_disposition_filename(parameters)
    if not name:
        name = unquote(target.path.partition("?")[0].rpartition("/")[2])
        if "." not in name:
            return None
    return re.split(r"[/\\]", name)[-1][:NAME_CHARS_MAX] or None


def media_type_of(headers: Mapping[str, str]) -> str | None:
    """The Content-Type without its parameters."""
    return headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower() or None


def retry_after_s(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Retry-After in seconds, from either of its forms (RFC 9110, section 10.2.3)."""
    text = headers.get(hdrs.RETRY_AFTER, "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), RETRY_AFTER_S_MAX)
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    wait_s = (then.astimezone(UTC) - (now or datetime.now(UTC))).total_seconds()
    return min(max(wait_s, 0.0), RETRY_AFTER_S_MAX)
