"""Who hands a mail on: a mail server, a terminal, or a list that tests look into."""

import logging
import sys
from collections import deque
from typing import Protocol, TextIO

import msgspec

from gateway.mail.composing import Message

# Of the last mails; a test reads a handful.
KEPT_MAX = 1000

_log = logging.getLogger(__name__)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a mail was not taken."""

    # A word of ours; what a server says may quote the address.
    reason: str
    # The server's reply code, where it came to that.
    status: int | None = None
    # It will not be taken another time either.
    final: bool = False


class Backend(Protocol):
    """Whoever takes mails."""

    async def send(self, message: Message) -> Failure | None:
        """Hand it on; None when it was taken. Never raises for what a server does."""


class Memory:
    """Keeps the last mails, for tests."""

    def __init__(self) -> None:
        self.taken: deque[Message] = deque(maxlen=KEPT_MAX)

    async def send(self, message: Message) -> Failure | None:
        """Keep it."""
        self.taken.append(message)
        return None


class Console:
    """Prints them. To a terminal, unless told otherwise: a log would keep links that open accounts.

    Where it does not print, a mail waits in the outbox until a mail server is named.
    """

    def __init__(self, stream: TextIO | None = None, *, always: bool = False) -> None:
        self._stream = stream or sys.stdout
        self._always = always
        self._warned = False

    async def send(self, message: Message) -> Failure | None:
        """Print it."""
        if not (self._always or self._stream.isatty()):
            if not self._warned:
                _log.warning(
                    "mails wait in the outbox, because there is no terminal to print them on: set"
                    " mail.backend to smtp and name a mail server (docs/mail.md)"
                )
                self._warned = True
            return Failure(reason="no-terminal")
        self._stream.write(
            f"\nA mail to {message.to}: {message.mail['Subject']}\n\n{message.text}\n"
        )
        self._stream.flush()
        return None
