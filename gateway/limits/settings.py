"""What an operator decides of limits: where is counted, and other quotas than ours."""

import re
from types import MappingProxyType
from typing import Literal

import msgspec

from gateway.limits.policies import BY_NAME, Policy

_QUOTA = re.compile(r"([a-z-]+)=(?:(off)|(\d{1,15})(?:/(\d{1,6}))?)")


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Limits on how often an address, a key or an account may ask."""

    # `memory` counts in this process. `postgres` is for several behind one address: quotas are
    # leased from the database in chunks, beside the requests and never within one.
    store: Literal["memory", "postgres"] = "memory"
    # Other quotas, as name=quota/seconds (key-requests=100/60), name=quota where there is no window
    # (account-concurrency=8), or name=off. The names stand in docs/limits.md.
    quotas: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError for a quota of no policy, or none that can be."""
        self.policies()

    def policies(self) -> "MappingProxyType[str, Policy | None]":
        """The policies as they are here, by name; None is off."""
        here: dict[str, Policy | None] = dict(BY_NAME)
        for text in self.quotas:
            match = _QUOTA.fullmatch(text)
            if match is None or match[1] not in here:
                raise ValueError(
                    f"limits.quotas: {text!r} is not name=quota/seconds or name=off, with a name of"
                    f" {', '.join(BY_NAME)}"
                )
            here[match[1]] = None if match[2] else _changed(BY_NAME[match[1]], match)
        return MappingProxyType(here)


def _changed(policy: Policy, match: "re.Match[str]") -> Policy:
    quota, window_s = int(match[3]), int(match[4] or policy.window_s)
    if not quota or bool(match[4]) != bool(policy.window_s) or bool(window_s) != bool(match[4]):
        kind = "name=quota/seconds" if policy.window_s else "name=quota, without a window"
        raise ValueError(f"limits.quotas: {match[0]!r} is not {kind}, both above 0")
    return msgspec.structs.replace(policy, quota=quota, window_s=window_s)
