"""Every limit on who asks how often, as data: what is enforced, told in headers, printed, tested.

A policy gives a quota in a window to each of its subjects. All of the quota may be used at once;
from then on it comes back evenly, so a client that asks at the average rate never meets a limit.

    subject     who is counted
    address     an IPv4 address, or the /64 that one household has of IPv6
    network     a /24, or a /64: who guesses has many addresses, mostly neighbours
    key         an API key
    account     all keys of an account together
    login       the mail address somebody signs in with, as a keyed hash
    pair        a login and a network
    device      a device that signed in before
    person      somebody who has signed in
    everybody   the whole service

This machine itself (a loopback address that no trusted proxy spoke for) is not counted as an
address: behind a proxy that `server.trusted_proxies` does not name it would be all customers at
once.
"""

import math
from enum import StrEnum
from types import MappingProxyType

import msgspec

SECOND_NS = 1_000_000_000
MINUTE_S = 60
HOUR_S = 3600
GIB = 1024**3


class Subject(StrEnum):
    """Who is counted."""

    ADDRESS = "address"
    NETWORK = "network"
    KEY = "key"
    ACCOUNT = "account"
    LOGIN = "login"
    PAIR = "pair"
    DEVICE = "device"
    PERSON = "person"
    EVERYBODY = "everybody"


class Unit(StrEnum):
    """What is counted: the values are those of the RateLimit-Policy header."""

    REQUESTS = "requests"
    BYTES = "content-bytes"
    CONCURRENCY = "concurrent-requests"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """One limit."""

    name: str
    subject: Subject
    quota: int
    # Of no meaning for concurrency.
    window_s: int = 0
    unit: Unit = Unit.REQUESTS
    # What is limited, and the argument for the number.
    reason: str = ""
    # Nobody passes while the store that counts is away; otherwise each process counts for itself.
    closed: bool = False

    @property
    def window_ns(self) -> int:
        """The window in the unit that is calculated with."""
        return self.window_s * SECOND_NS

    def cost_ns(self, cost: int) -> int:
        """How much of the window so many units take."""
        return -(-cost * self.window_ns // self.quota)

    def units(self, room_ns: int) -> int:
        """How many units fit into so much of the window."""
        return max(0, room_ns * self.quota // self.window_ns)


class Verdict(msgspec.Struct, frozen=True):
    """Whether one may, and what is left."""

    allowed: bool
    # Of the quota, after this one.
    remaining: int
    # Until all of the quota is there again.
    reset_s: int
    # Until the same may be asked again; 0 where it was allowed.
    retry_after_s: int = 0


def seconds(nanoseconds: int) -> int:
    """Whole seconds, no less."""
    return math.ceil(nanoseconds / SECOND_NS)


# Whoever shows no key: pages, probes, clients that look at what there is.
ANONYMOUS = Policy(
    name="anonymous",
    subject=Subject.ADDRESS,
    quota=600,
    window_s=MINUTE_S,
    reason="requests without a key: a browser that loads every page twice stays below it",
)
REFUSED_KEYS = Policy(
    name="refused-keys",
    subject=Subject.ADDRESS,
    quota=60,
    window_s=MINUTE_S,
    reason="keys and tokens that were refused: each costs a look into the database; a program "
    "with a revoked key that retries every second stays below it",
)
KEY_REQUESTS = Policy(
    name="key-requests",
    subject=Subject.KEY,
    quota=18_000,
    window_s=MINUTE_S,
    reason="requests with one key: 300 a second, more than a machine of four cores converts",
)
ACCOUNT_REQUESTS = Policy(
    name="account-requests",
    subject=Subject.ACCOUNT,
    quota=36_000,
    window_s=MINUTE_S,
    reason="requests of one account: two keys at full speed",
)
ACCOUNT_BYTES = Policy(
    name="account-bytes",
    subject=Subject.ACCOUNT,
    quota=16 * GIB,
    window_s=MINUTE_S,
    unit=Unit.BYTES,
    reason="bytes that an account uploads: a quarter of a gigabyte a second, 2 Gbit/s",
)
ACCOUNT_CONCURRENCY = Policy(
    name="account-concurrency",
    subject=Subject.ACCOUNT,
    quota=512,
    unit=Unit.CONCURRENCY,
    reason="uploads of an account that are under way: half of the connections a process takes, "
    "so that one account cannot shut out the others",
)
SESSION_REQUESTS = Policy(
    name="session-requests",
    subject=Subject.PERSON,
    quota=600,
    window_s=MINUTE_S,
    reason="requests of somebody who has signed in: a page of the portal makes about five",
)
# Guessing. Every attempt counts before its password is looked at, right or wrong.
SIGN_IN_NETWORK = Policy(
    name="sign-in-network",
    subject=Subject.NETWORK,
    quota=30,
    window_s=5 * MINUTE_S,
    closed=True,
    reason="an office behind one address signs in at nine o'clock; a script wants more",
)
SIGN_IN_ADDRESS = Policy(
    name="sign-in-address",
    subject=Subject.LOGIN,
    quota=10,
    window_s=10 * MINUTE_S,
    closed=True,
    reason="nobody mistypes ten times; at one a minute a list of ten thousand takes a week",
)
SIGN_IN_PAIR = Policy(
    name="sign-in-address-network",
    subject=Subject.PAIR,
    quota=5,
    window_s=10 * MINUTE_S,
    closed=True,
    reason="one network that tries at one address is slowed first",
)
SIGN_IN_ALL = Policy(
    name="sign-in-all",
    subject=Subject.EVERYBODY,
    quota=200,
    window_s=40,
    closed=True,
    reason="half of what the hashing of a small machine can do, so that a flood is not all it does",
)
SIGN_IN_PROOF = Policy(
    name="sign-in-proof",
    subject=Subject.LOGIN,
    quota=10,
    window_s=10 * MINUTE_S,
    closed=True,
    reason="with a proof of work a stranger passes the two limits above, so that guesses from "
    "everywhere do not keep somebody out who knows the password; a guess then costs seconds",
)
SIGN_IN_DEVICE = Policy(
    name="sign-in-device",
    subject=Subject.DEVICE,
    quota=10,
    window_s=10 * MINUTE_S,
    closed=True,
    reason="a device that signed in before is counted for itself alone, so its owner gets in "
    "while others guess",
)
SECOND_FACTOR = Policy(
    name="second-factor",
    subject=Subject.PERSON,
    quota=5,
    window_s=50 * MINUTE_S,
    closed=True,
    reason="six digits, three good at a time: at six an hour a guess is right in a decade or so",
)
STEP_UP = Policy(
    name="step-up",
    subject=Subject.PERSON,
    quota=5,
    window_s=5 * MINUTE_S,
    closed=True,
    reason="the password once more, by somebody who has signed in",
)
LINK_NETWORK = Policy(
    name="link-network",
    subject=Subject.NETWORK,
    quota=30,
    window_s=5 * MINUTE_S,
    closed=True,
    reason="links of mails have 256 bits; this keeps somebody from asking all day",
)
SIGN_UP_NETWORK = Policy(
    name="sign-up-network",
    subject=Subject.NETWORK,
    quota=5,
    window_s=50 * MINUTE_S,
    closed=True,
    reason="each sends a mail to somebody who may not have asked for it",
)
SIGN_UP_ADDRESS = Policy(
    name="sign-up-address",
    subject=Subject.LOGIN,
    quota=3,
    window_s=3 * HOUR_S,
    closed=True,
    reason="the same, for one who gets the mails",
)
RESET_NETWORK = Policy(
    name="reset-network",
    subject=Subject.NETWORK,
    quota=10,
    window_s=50 * MINUTE_S,
    closed=True,
    reason="the same, for forgotten passwords",
)
RESET_ADDRESS = Policy(
    name="reset-address",
    subject=Subject.LOGIN,
    quota=3,
    window_s=HOUR_S,
    closed=True,
    reason="the same, for one who gets the mails",
)
CHANGE_ADDRESS = Policy(
    name="change-address",
    subject=Subject.PERSON,
    quota=3,
    window_s=3 * HOUR_S,
    closed=True,
    reason="the same, for a new address",
)
INVITE = Policy(
    name="invite",
    subject=Subject.PERSON,
    quota=20,
    window_s=100 * MINUTE_S,
    closed=True,
    reason="the same, for invitations",
)
CONTACT_NETWORK = Policy(
    name="contact-network",
    subject=Subject.NETWORK,
    quota=5,
    window_s=50 * MINUTE_S,
    closed=True,
    reason="the contact form: each message is read by a person",
)

# All of them, in the order in which they are told.
POLICIES: tuple[Policy, ...] = (
    *(ANONYMOUS, REFUSED_KEYS, SESSION_REQUESTS),
    *(KEY_REQUESTS, ACCOUNT_REQUESTS, ACCOUNT_BYTES, ACCOUNT_CONCURRENCY),
    *(SIGN_IN_NETWORK, SIGN_IN_PAIR, SIGN_IN_ADDRESS, SIGN_IN_ALL, SIGN_IN_PROOF, SIGN_IN_DEVICE),
    *(SECOND_FACTOR, STEP_UP, LINK_NETWORK),
    *(SIGN_UP_NETWORK, SIGN_UP_ADDRESS, RESET_NETWORK, RESET_ADDRESS, CHANGE_ADDRESS, INVITE),
    CONTACT_NETWORK,
)
BY_NAME = MappingProxyType({policy.name: policy for policy in POLICIES})
