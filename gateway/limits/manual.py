"""docs/limits.md, made from the policies: `python -m gateway.limits.manual > docs/limits.md`."""

import sys

from gateway.limits.leases import CHUNKS
from gateway.limits.policies import HOUR_S, MINUTE_S, POLICIES, Policy, Unit

_HEAD = """\
# Limits

How often an address, a key, an account or a person may ask. Made from
`gateway/limits/policies.py` by `python -m gateway.limits.manual`; the same list is what the service
enforces and what its headers tell.

All of a quota may be used at once; from then on it comes back evenly (GCRA), so who asks at the
average rate never meets a limit. A request that is refused counts for nothing.

| policy | who is counted | quota | what is limited, and why so much |
|---|---|---|---|
"""
_TAIL = f"""
An address is an IPv4 address or a /64 of IPv6; a network is a /24 or a /64. This machine itself is
not counted as an address: behind a proxy that `server.trusted_proxies` does not name it would be
all customers at once. So name your proxies.

## What clients are told

As draft-ietf-httpapi-ratelimit-headers-11 has it, on every answer that was counted:

```
RateLimit-Policy: "key-requests";q=18000;w=60, "account-requests";q=36000;w=60
RateLimit: "key-requests";r=17999;t=1, "account-requests";r=35999;t=1
```

`q` is the quota and `w` its window in seconds, `qu` what is counted where it is not requests, `r`
what is left, `t` in how many seconds all of it is there again. Beyond a quota the answer is 429, a
problem document of the type `https://iana.org/assignments/http-problem-types#quota-exceeded` whose
`violated-policies` names the policy, with a `Retry-After`. Clients of the ConvertAPI surface are
told 503, which they wait for and try again. It comes before anything of the body is read: a client
that sends `Expect: 100-continue` never sends what is refused.

What was not announced (a chunked body) is counted when it is over, beyond the quota too; nobody is
shut out for longer than two windows by it.

## For operators

```toml
[limits]
store = "memory"         # or "postgres", for several gateways behind one address
quotas = ["key-requests=100/60", "account-concurrency=8", "anonymous=off"]
```

With `store = "postgres"` the gateways count together without a wait within a request: each leases
what a subject may use in chunks of one {CHUNKS}th of the quota, beside the requests. So at most one
chunk and one request a gateway go beyond the quota, once, while the database has not answered a
subject's first question; on average nothing does, because what was used is always paid for. What a
gateway leased and did not use lapses after a window. Uploads under way are told to the other
gateways once a second, so what began within that second can exceed `account-concurrency`. Limits of
sign-ins and forms are exact: they ask the database.

While the database is away each gateway counts for itself; what is marked *closed* lets nobody pass
then. Subjects are stored as keyed hashes, in a table that is not logged, and go with their window.

Somebody who misuses the service is shut out with `ephemera accounts suspend NAME --reason WHY`,
or one API key of theirs with `--key`; it holds within a second, everywhere, and is on record
(`ephemera audit list`). `ephemera accounts unsuspend NAME` lets them in again.
"""
_UNITS = {Unit.REQUESTS: "", Unit.BYTES: " bytes", Unit.CONCURRENCY: " at once"}
_SPANS = ((HOUR_S, "hour"), (MINUTE_S, "minute"), (1, "second"))


def page() -> str:
    """The whole page."""
    rows = [
        f"| `{policy.name}` | {policy.subject} | {_quota(policy)} | {policy.reason}"
        f"{' (*closed*)' if policy.closed else ''} |\n"
        for policy in POLICIES
    ]
    return _HEAD + "".join(rows) + _TAIL


def _quota(policy: Policy) -> str:
    quota = f"{policy.quota:,}{_UNITS[policy.unit]}"
    if policy.unit is Unit.BYTES:
        quota = f"{policy.quota // 1024**3} GiB"
    if not policy.window_s:
        return quota
    size, name = next(one for one in _SPANS if policy.window_s % one[0] == 0)
    count = policy.window_s // size
    return f"{quota} in {count} {name}{'s' if count > 1 else ''}"


if __name__ == "__main__":
    sys.stdout.write(page())
