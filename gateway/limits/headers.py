"""What clients are told: RateLimit-Policy and RateLimit, as structured fields (RFC 9651).

As draft-ietf-httpapi-ratelimit-headers-11 has them: a list of items, the name of a policy each.

    RateLimit-Policy: "key-requests";q=18000;w=60, "account-bytes";q=4096;qu="content-bytes";w=60
    RateLimit: "key-requests";r=17998;t=1, "account-bytes";r=4000;t=2
"""

from collections.abc import Sequence
from functools import lru_cache

from gateway.limits.policies import Policy, Unit, Verdict

POLICY = "RateLimit-Policy"
LEFT = "RateLimit"
# Of a problem document, by the same draft.
PROBLEM_TYPE = "https://iana.org/assignments/http-problem-types#quota-exceeded"

Told = Sequence[tuple[Policy, Verdict]]


def policies_told(told: Told) -> str:
    """The policies that a request was counted for."""
    return ", ".join([_item(policy) for policy, _ in told])


def left_told(told: Told) -> str:
    """What is left of them, and in how many seconds all of it is there again."""
    return ", ".join(
        [
            f'"{policy.name}";r={verdict.remaining};t={verdict.reset_s or verdict.retry_after_s}'
            for policy, verdict in told
        ]
    )


@lru_cache(maxsize=64)
def _item(policy: Policy) -> str:
    unit = "" if policy.unit is Unit.REQUESTS else f';qu="{policy.unit}"'
    window = f";w={policy.window_s}" if policy.window_s else ""
    return f'"{policy.name}";q={policy.quota}{unit}{window}'
