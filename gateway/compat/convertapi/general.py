"""What every conversion understands, whatever its formats: time, names, and where the result goes.

These are taken out of the parameters before the maps see them.
"""

from typing import Literal

import msgspec

from gateway.compat.convertapi.fields import Fields
from gateway.errors import ParametersInvalid

# ConvertAPI's own range and default.
TIMEOUT_S_MIN, TIMEOUT_S_MAX, TIMEOUT_S = 10, 1200, 900.0
FILE_NAME_CHARS_MAX = 255
JSON, OCTETS, PARTS = "application/json", "application/octet-stream", "multipart/mixed"
PLAIN = "text/plain"

_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})
# Who asks; read by `auth.py` before.
CREDENTIALS = ("secret", "token", "apikey")


class General(msgspec.Struct, frozen=True, kw_only=True):
    """The parameters that belong to no converter."""

    # For the whole conversion, from the request's last byte on.
    timeout_s: float = TIMEOUT_S
    file_name: str | None = None
    store: bool = False
    # The first result as it is, with this disposition.
    download: Literal["attachment", "inline"] | None = None
    # Of an asynchronous conversion, as they were given.
    job_id: str | None = None
    webhook: str | None = None


def general_of(fields: Fields) -> General:
    """Take them out of the fields. Raises ParametersInvalid, with all that is wrong at once."""
    wrong: dict[str, list[str]] = {}
    for name in CREDENTIALS:
        fields.take(name)
    timeout, store = fields.take("timeout"), (fields.take("storefile") or "false").lower()
    file_name, download = fields.take("filename"), fields.take("download")
    if (fields.take("async") or "false").lower() not in _FALSE:
        # Of before 2022; answered at once it would be read as a job that never ends.
        wrong["Async"] = ["The value must be false: POST /async/convert/{from}/to/{to} instead."]
    if timeout is not None and not _is_timeout(timeout):
        wrong["Timeout"] = [f"The value must be between {TIMEOUT_S_MIN} and {TIMEOUT_S_MAX}."]
    if store not in _TRUE | _FALSE:
        wrong["StoreFile"] = ["The value must be true or false."]
    if file_name is not None and len(file_name) > FILE_NAME_CHARS_MAX:
        wrong["FileName"] = [f"The value must have at most {FILE_NAME_CHARS_MAX} characters."]
    disposition = download.lower() if download else None
    if disposition not in {None, "attachment", "inline"}:
        wrong["download"] = ["The value must be attachment or inline."]
    if wrong:
        raise ParametersInvalid(wrong)
    return General(
        timeout_s=float(timeout) if timeout else TIMEOUT_S,
        file_name=file_name,
        store=store in _TRUE,
        download="attachment" if disposition == "attachment" else _inline(disposition),
        job_id=fields.take("jobid"),
        webhook=fields.take("webhook"),
    )


def demand_at_once(general: General) -> None:
    """Refuse on the address that waits what belongs to the one that does not.

    Nobody would be called, and no job be found. Raises ParametersInvalid.
    """
    given = {"JobId": general.job_id, "WebHook": general.webhook}
    reason = "It goes with POST /async/convert/{from}/to/{to}."
    if wrong := {name: [reason] for name, value in given.items() if value is not None}:
        raise ParametersInvalid(wrong)


def answer_type(accept: str, general: General) -> str:
    """What the answer to a conversion is made of: JSON where nothing else is asked for."""
    if general.download is not None:
        return OCTETS
    for one in accept.split(","):
        kind = one.partition(";")[0].strip().lower()
        if kind in {JSON, OCTETS, PARTS}:
            return kind
        if kind == "*/*":
            return JSON
    return JSON


def wants_plain(accept: str | None) -> bool:
    """Whether an upload is answered by its bare id: where nothing is said, or just that."""
    kinds = [one.partition(";")[0].strip().lower() for one in (accept or PLAIN).split(",")]
    known = [one for one in kinds if one in {PLAIN, JSON, "*/*"}]
    return known[:1] == [PLAIN]


def _is_timeout(text: str) -> bool:
    whole = text.isascii() and text.isdigit() and len(text) <= len(str(TIMEOUT_S_MAX))
    return whole and TIMEOUT_S_MIN <= int(text) <= TIMEOUT_S_MAX


def _inline(disposition: str | None) -> Literal["inline"] | None:
    return "inline" if disposition == "inline" else None
