"""Components as jCal and jCard, and back (RFC 7265, RFC 7095): every property with its type."""

import base64
import binascii
import quopri
import re
from collections.abc import Sequence
from typing import Any

from engine.converters.misc.content_lines import Component, Property, escape, split, unescape
from engine.errors import SourceUnreadable

_MOMENTS = (
    "dtstart", "dtend", "due", "completed", "created", "dtstamp", "last-modified",
    "recurrence-id", "exdate", "rdate",
)  # fmt: skip
_TYPES = {
    **dict.fromkeys(_MOMENTS, "date-time"),
    **dict.fromkeys(("duration", "trigger", "refresh-interval"), "duration"),
    **dict.fromkeys(("priority", "sequence", "percent-complete", "repeat"), "integer"),
    **dict.fromkeys(("attendee", "organizer"), "cal-address"),
    **dict.fromkeys(("url", "tzurl", "source", "member", "impp"), "uri"),
    **dict.fromkeys(("rrule", "exrule"), "recur"),
    **dict.fromkeys(("tzoffsetfrom", "tzoffsetto"), "utc-offset"),
    **dict.fromkeys(("bday", "anniversary"), "date-and-or-time"),
    "geo": "float",
    "freebusy": "period",
    "rev": "timestamp",
}
# Several values, and parts of one, where the value is text or moments.
_LISTS = frozenset({"categories", "resources", "exdate", "rdate", "freebusy", "nickname"})
_STRUCTURED = frozenset({"n", "adr", "org", "gender", "request-status", "geo"})
_WRITTEN_AS_THEY_ARE = frozenset({"uri", "cal-address", "duration", "unknown"})
_BASIC_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_BASIC_TIME = re.compile(r"(\d\d)(\d\d)(\d\d)?(\.\d+)?(Z|[+-]\d\d(?:\d\d)?)?")
_OFFSET = re.compile(r"([+-]\d\d)(\d\d)(\d\d)?")
_BASE64 = frozenset({"b", "base64"})


def to_json(component: Component) -> list[Any]:
    """[name, properties, components]; contacts have no components in them."""
    told: list[Any] = [component.name, [_property(one) for one in component.properties]]
    if component.name != "vcard":
        told.append([to_json(inner) for inner in component.components])
    return told


def decoded(one: Property) -> Property:
    """The property without encodings of older versions: quoted-printable, and base64 as a URI."""
    encoding = next(iter(one.parameters.get("encoding", ())), "").lower()
    charset = next(iter(one.parameters.get("charset", ())), "utf-8")
    rest = {k: v for k, v in one.parameters.items() if k not in {"encoding", "charset"}}
    if encoding == "quoted-printable":
        raw = quopri.decodestring(one.value.encode())
        try:
            text = raw.decode(charset if re.fullmatch(r"[\w-]{1,20}", charset) else "utf-8")
        except (UnicodeDecodeError, LookupError):
            text = raw.decode("cp1252", "replace")
        parts = [escape(part) for part in text.split(";")]
        value = ";".join(parts) if one.name in _STRUCTURED else escape(text)
        return Property(name=one.name, parameters=rest, value=value)
    if encoding in _BASE64:
        kind = next(iter(rest.pop("type", ())), "octet-stream").lower()
        kind = kind if "/" in kind else f"image/{kind}"
        packed = re.sub(r"\s", "", one.value)
        return Property(
            name=one.name, parameters={**rest, "value": ("uri",)},
            value=f"data:{kind};base64,{packed}",
        )  # fmt: skip
    return Property(name=one.name, parameters=rest, value=one.value)


def _property(one: Property) -> list[Any]:
    plain = decoded(one)
    stated = next(iter(plain.parameters.get("value", ())), "").lower()
    kind = stated or _TYPES.get(plain.name, "text")
    if kind == "date-time" and re.fullmatch(r"\d{8}(,\d{8})*", plain.value):
        kind = "date"
    parameters = {
        name: words[0] if len(words) == 1 else list(words)
        for name, words in plain.parameters.items()
        if name != "value"
    }
    return [plain.name, parameters, kind, *_values(plain, kind)]


def _values(one: Property, kind: str) -> list[Any]:
    if one.name in _STRUCTURED:
        mark = ";"
        parts = [
            [_value(word, kind) for word in split(part, ",")] for part in split(one.value, mark)
        ]
        if one.name == "geo" and kind == "uri":
            return [one.value]
        return [[part[0] if len(part) == 1 else part for part in parts]]
    if one.name in _LISTS:
        return [_value(word, kind) for word in split(one.value, ",")]
    return [_value(one.value, kind)]


def _value(word: str, kind: str) -> Any:
    if kind in {"date", "date-time", "time", "date-and-or-time", "timestamp", "period"}:
        return "/".join(_extended(part) for part in word.split("/"))
    if kind == "recur":
        return _recurrence(word)
    if kind == "utc-offset":
        found = _OFFSET.fullmatch(word)
        return ":".join(filter(None, found.groups())) if found else word
    if kind in {"integer", "float"}:
        try:
            return int(word) if kind == "integer" else float(word)
        except ValueError:
            return word
    return word if kind in _WRITTEN_AS_THEY_ARE else unescape(word)


def _extended(word: str) -> str:
    """20240501T100000Z as 2024-05-01T10:00:00Z; what is not that stays."""
    day, mark, hour = word.partition("T")
    date = _BASIC_DATE.fullmatch(day)
    if date is None:
        return word
    written = "-".join(date.groups())
    time = _BASIC_TIME.fullmatch(hour)
    if not mark or time is None:
        return written if not mark else word
    return f"{written}T{time[1]}:{time[2]}:{time[3] or '00'}{time[4] or ''}{time[5] or ''}"


def _recurrence(word: str) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for part in filter(None, word.split(";")):
        name, _, value = part.lower().partition("=")
        if name == "until":
            told[name] = _extended(value.upper())
        elif name in {"freq", "wkst"}:
            told[name] = value.upper()
        else:
            words = [int(one) if one.lstrip("+-").isdigit() else one.upper()
                     for one in value.split(",")]  # fmt: skip
            told[name] = words[0] if len(words) == 1 else words
    return told


def from_json(told: Any, root: str) -> list[Component]:
    """Components of one jCal or jCard document, or of a list of them. Raises SourceUnreadable."""
    documents = told if isinstance(told, list) and told and isinstance(told[0], list) else [told]
    components = [_component(one, 0) for one in documents]
    if any(one.name != root for one in components):
        raise _unreadable()
    return components


def _unreadable() -> SourceUnreadable:
    return SourceUnreadable(
        "the JSON is no jCal or jCard (RFC 7265, RFC 7095), which is what calendars and contacts"
        " are made of here"
    )


_DEPTH_MAX = 10


def _component(told: Any, depth: int) -> Component:
    if not (
        isinstance(told, list) and len(told) in {2, 3} and depth < _DEPTH_MAX
        and isinstance(told[0], str) and re.fullmatch(r"[\w-]+", told[0])
        and isinstance(told[1], list) and isinstance(told[-1], list)
    ):  # fmt: skip
        raise _unreadable()
    return Component(
        name=told[0].lower(),
        properties=[_property_back(one) for one in told[1]],
        components=[_component(one, depth + 1) for one in (told[2] if len(told) == 3 else [])],  # noqa: PLR2004
    )


def _property_back(told: Any) -> Property:
    if not (
        isinstance(told, list) and len(told) >= 4  # noqa: PLR2004  # name, parameters, type, value
        and isinstance(told[0], str) and re.fullmatch(r"[\w-]+", told[0])
        and isinstance(told[1], dict) and isinstance(told[2], str)
    ):  # fmt: skip
        raise _unreadable()
    name, parameters, kind, *values = told
    words = {
        str(key).lower(): tuple(str(one) for one in (value if isinstance(value, list) else [value]))
        for key, value in parameters.items()
        if re.fullmatch(r"[\w-]+", str(key))
    }
    name = name.lower()
    default = _TYPES.get(name, "text")
    if kind not in {default, "unknown"} and re.fullmatch(r"[\w-]+", kind):
        words["value"] = (kind.upper(),)
    return Property(name=name, parameters=words, value=_written(name, kind, values))


def _written(name: str, kind: str, values: Sequence[Any]) -> str:
    if name in _STRUCTURED and isinstance(values[0], list):
        return ";".join(
            ",".join(_word(one, kind) for one in (part if isinstance(part, list) else [part]))
            for part in values[0]
        )
    return ",".join(_word(one, kind) for one in values)


def _word(value: Any, kind: str) -> str:
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dict):
        return ";".join(
            f"{str(key).upper()}={_rule_part(part)}"
            if key != "until" else f"UNTIL={basic(str(part))}"
            for key, part in value.items()
        )  # fmt: skip
    if kind in {"date", "date-time", "time", "date-and-or-time", "timestamp", "period"}:
        return "/".join(basic(part) for part in str(value).split("/"))
    if kind == "utc-offset":
        return str(value).replace(":", "")
    text = str(value)
    plain = re.sub(r"[\x00-\x1f\x7f]", "", text)
    return plain if kind in _WRITTEN_AS_THEY_ARE or kind in {"integer", "float"} else escape(text)


def _rule_part(part: Any) -> str:
    words = part if isinstance(part, list) else [part]
    return re.sub(r"[^\w,+-]", "", ",".join(str(one) for one in words))


def basic(word: str) -> str:
    """2024-05-01T10:00:00Z as 20240501T100000Z; what is not that loses its control characters."""
    if re.fullmatch(r"[\dTZ:.+-]+", word):
        day, mark, hour = word.partition("T")
        return day.replace("-", "") + mark + hour.replace(":", "")
    return re.sub(r"[\x00-\x1f\x7f]", "", word)


def old_style(one: Property) -> Property:
    """A picture in a data: URI as vCard 3.0 writes it."""
    found = re.match(r"data:image/([\w.+-]+);base64,([A-Za-z0-9+/=]+)$", one.value)
    if found is None:
        return one
    try:
        base64.b64decode(found[2], validate=True)
    except (ValueError, binascii.Error):
        return one
    rest = {key: value for key, value in one.parameters.items() if key != "value"}
    told = {**rest, "encoding": ("b",), "type": (found[1].upper(),)}
    return Property(name=one.name, parameters=told, value=found[2])
