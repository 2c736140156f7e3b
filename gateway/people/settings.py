"""What an operator decides of people: who may come, what they get, how passwords are hashed."""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from gateway.proof_of_work import HARDNESS, HARDNESS_MAX

# An operator's gift, not a fortune typed by mistake.
CREDITS_MAX = 1_000_000
_PEPPERS_MAX = 8
_PEPPER = re.compile(r"[0-9a-f]{64}")


class AccountsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Who may sign up, and what a guess of a password costs."""

    # Closed: whoever is to come in is invited (`ephemera people invite`). An open door with credits
    # behind it is for those who mean it.
    signup: Literal["closed", "open"] = "closed"
    # Given to an account that somebody signs up for.
    signup_credits: Annotated[int, Meta(ge=0, le=CREDITS_MAX)] = 0
    # How much work the form of a sign-up costs its sender (gateway/proof_of_work.py): numbers to be
    # tried, half of them on average. 0: none.
    signup_hardness: Annotated[int, Meta(ge=0, le=HARDNESS_MAX)] = HARDNESS
    # argon2id. `owasp`: 46 MiB, about 50 ms of a core; `strong`: 64 MiB, about 160 ms; `test`: next
    # to nothing, and refused where EPHEMERA_TEST_MODE is not set. Passwords that were hashed with
    # another one are hashed again when their owner signs in.
    hashing: Literal["owasp", "strong", "test"] = "owasp"
    # Passwords hashed at the same time; 0: half of the cores. Each takes the memory above.
    hashing_threads: Annotated[int, Meta(ge=0, le=64)] = 0
    # Passwords that wait for it; beyond it the answer is 503. 32 are below 2 s with one thread.
    hashing_queue: Annotated[int, Meta(ge=1, le=10_000)] = 32
    # Passwords are mixed with the last of these (64 hexadecimal digits each: openssl rand -hex 32),
    # and checked with any. Empty: with a key that is derived from ledger.pepper.
    peppers: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for what is no list of peppers."""
        words = self.peppers.replace(",", " ").split()
        if len(words) > _PEPPERS_MAX or not all(_PEPPER.fullmatch(word) for word in words):
            raise ValueError(
                f"accounts.peppers is a list of at most {_PEPPERS_MAX} keys of 64 hexadecimal"
                " digits; make one with: openssl rand -hex 32"
            )

    @property
    def pepper_keys(self) -> tuple[bytes, ...]:
        """The peppers, the one that is used last."""
        return tuple(bytes.fromhex(word) for word in self.peppers.replace(",", " ").split())
