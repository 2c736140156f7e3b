"""Passwords are hashed by few threads, and few wait for them: a flood of guesses stays a queue.

argon2id lets go of the interpreter's lock, so the event loop goes on meanwhile. Each thread takes
the memory of one hash, which bounds the whole; a queue that is full is answered at once.
"""

import asyncio
import base64
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, TypeVar

import msgspec
import structlog
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

from gateway.errors import HashingBusy
from gateway.people.rules import normal
from gateway.people.settings import AccountsConfig
from ledger.people.peppers import Peppers
from ledger.people.person import Credentials, Hashed

log = structlog.get_logger()

# Memory in KiB, passes, lanes. `owasp` and `strong` as measured: 50 and 157 ms.
PROFILES: Mapping[Literal["owasp", "strong", "test"], tuple[int, int, int]] = {
    "owasp": (47_104, 1, 1),
    "strong": (65_536, 3, 1),
    "test": (8, 1, 1),
}
_HASH_BYTES = 32
_SALT_BYTES = 16
# Longer than the queue takes to empty with one thread and the usual profile.
_RETRY_AFTER_S = 3.0

T = TypeVar("T")


class Checked(msgspec.Struct, frozen=True):
    """Whether a password is right; and whether it should be hashed anew while it is at hand."""

    right: bool
    stale: bool = False


class Passwords:
    """Hashes and checks. Closed with the application."""

    def __init__(self, config: AccountsConfig, peppers: Peppers) -> None:
        memory, passes, lanes = PROFILES[config.hashing]
        self._hasher = PasswordHasher(
            time_cost=passes,
            memory_cost=memory,
            parallelism=lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._peppers = peppers
        self._threads = config.hashing_threads or max(1, (os.cpu_count() or 1) // 2)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="argon2")
        self._busy_max = self._threads + config.hashing_queue
        self._busy = 0
        # Checked where there is no person, so that both take as long. It is nobody's hash.
        self._nobodys = (
            f"$argon2id$v=19$m={memory},t={passes},p={lanes}"
            f"${_base64(os.urandom(_SALT_BYTES))}${_base64(os.urandom(_HASH_BYTES))}"
        )

    async def hash(self, password: str) -> Hashed:
        """What is stored of a password that passed the rules. Raises HashingBusy."""
        mixed = self._peppers.mix_now(normal(password))
        return Hashed(await self._run(lambda: self._hasher.hash(mixed)), self._peppers.current)

    async def check(self, password: str, credentials: Credentials | None) -> Checked:
        """Whether it is this person's; of nobody's it is wrong as slowly. Raises HashingBusy."""
        text, pepper_id = self._nobodys, self._peppers.current
        if credentials is not None:
            text, pepper_id = credentials.password, credentials.pepper_id
        mixed = self._peppers.mix(normal(password), pepper_id)
        if mixed is None:
            log.error("pepper_missing", error="a password was made with a pepper that is not set")
            mixed, text = self._peppers.mix_now(normal(password)), self._nobodys
        right = await self._run(lambda: self._verify(text, mixed))
        return Checked(
            right and credentials is not None,
            stale=pepper_id != self._peppers.current or self._hasher.check_needs_rehash(text),
        )

    def close(self) -> None:
        """Wait for what runs; what waits is dropped."""
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, text: str, mixed: bytes) -> bool:
        try:
            return self._hasher.verify(text, mixed)
        except (Argon2Error, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._busy >= self._busy_max:
            raise HashingBusy(
                "too many are signing in at this moment; try again in a few seconds",
                retry_after_s=_RETRY_AFTER_S,
            )
        self._busy += 1
        try:
            # One that hangs up while it waits is taken out of the queue.
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._busy -= 1


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")
