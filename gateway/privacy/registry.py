"""The registries beside the inventory: what leaves the database, for which reason, to whom.

`registry.toml` is where it is written; tests compare each list with the code that emits.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

from gateway.config import Settings

FILE = Path(__file__).with_name("registry.toml")
_SETTING = re.compile(r"\{([a-z_.|]+)\}")


class Outbound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A module that opens connections to others."""

    module: str
    to: str
    carries: str
    when: str = ""


class Cookie(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that is put into a browser."""

    name: str
    purpose: str
    lifetime: str
    when: str = ""


class Subprocessor(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody else who gets to see something, where the feature is on."""

    id: str
    name: str
    purpose: str
    sees: str
    keeps: str
    region: str
    terms: str
    when: str


class Registry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All registries."""

    log_fields: Mapping[str, str]
    metric_labels: Mapping[str, str]
    mails: Mapping[str, str]
    outbound: tuple[Outbound, ...]
    subprocessors: tuple[Subprocessor, ...]
    cookies: tuple[Cookie, ...] = ()


@cache
def registry() -> Registry:
    """The registries of this version of the program."""
    return msgspec.convert(tomllib.loads(FILE.read_text("utf-8")), Registry)


def is_on(when: str, settings: Settings) -> bool:
    """Whether a feature is on: `section.name`, or `section.name=value`; empty: always."""
    if not when:
        return True
    place, _, value = when.partition("=")
    found = _value(settings, place)
    return str(found) == value if value else bool(found)


def listed(settings: Settings) -> list[Subprocessor]:
    """Who is told about on the page: those whose feature is on, by the operator's names."""
    return [
        msgspec.structs.replace(
            one, name=_filled(one.name, settings), region=_filled(one.region, settings)
        )
        for one in registry().subprocessors
        if is_on(one.when, settings)
    ]


def _filled(text: str, settings: Settings) -> str:
    """Settings in braces, the first of several that is not empty."""

    def first(found: "re.Match[str]") -> str:
        values = (str(_value(settings, place)) for place in found[1].split("|"))
        return next((value for value in values if value), "")

    return _SETTING.sub(first, text)


def _value(settings: Settings, place: str) -> object:
    section, _, name = place.partition(".")
    return getattr(getattr(settings, section), name)
