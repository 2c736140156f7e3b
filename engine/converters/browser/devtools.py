"""One Chromium with one page, steered over its remote-debugging pipe.

The protocol (Chrome DevTools Protocol): JSON messages that end with a zero byte; a command has an
id and is answered under it, everything else is an event. Chromium runs as one process without a
profile, its own sandbox off: ours is around it, and it serves one page and ends.
"""

import time
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from engine.converters.browser.catalogue_places import LIBRARY
from engine.errors import ConversionCrashed, SourceTooComplex, TargetTooLarge
from sandbox.jail import program

_ARGUMENTS = (
    "chromium",
    "--remote-debugging-pipe",
    # One process and no helpers: what they would be started with is forbidden here.
    "--single-process",
    "--no-zygote",
    "--no-sandbox",
    "--disable-breakpad",
    "--disable-gpu",
    "--disable-software-rasterizer",
    # No profile: nothing is remembered, and there is nowhere to write to. The folder has to exist.
    "--incognito",
    "--user-data-dir=/usr/lib/chromium",
    "--disable-background-networking",
    "--disable-component-update",
    "--mute-audio",
    "--hide-scrollbars",
    # Text as a printer wants it, the same on every machine.
    "--font-render-hinting=none",
    "--force-color-profile=srgb",
    # Memory is never executable here, so scripts are interpreted.
    "--js-flags=--jitless",
)
_ENVIRONMENT = {"LD_PRELOAD": LIBRARY, "LANG": "C.UTF-8", "TZ": "UTC"}

# A page whose scripts never come to rest answers nothing. Long enough for the largest honest page
# and short enough to say so before the deadline.
ANSWER_S = 45.0
# A result is base64 in a message of JSON.
_MESSAGE_OVERHEAD = 1024 * 1024

Answer = TypeVar("Answer")


class _Failure(msgspec.Struct, frozen=True):
    message: str = ""


class Message(msgspec.Struct, frozen=True):
    """What the browser says: the answer to a command, or an event."""

    id: int = 0
    method: str = ""
    params: msgspec.Raw = msgspec.Raw(b"{}")
    result: msgspec.Raw = msgspec.Raw(b"{}")
    error: _Failure | None = None


class _Target(msgspec.Struct, frozen=True, rename="camel"):
    target_id: str


class _Session(msgspec.Struct, frozen=True, rename="camel"):
    session_id: str


class CommandRefused(Exception):
    """Chromium answered a command with an error."""


class Page:
    """A browser with one page, blank at first: `begin`, use, `end`."""

    def __init__(self) -> None:
        self._conversation = program.Conversation(_ARGUMENTS, _ENVIRONMENT)
        self._commands = 0
        self._session = ""
        # Of the page itself, apart from those within it.
        self.frame = ""
        self._rest = bytearray()
        self._message_max = _MESSAGE_OVERHEAD
        self._hears: Callable[[str, msgspec.Raw], None] = lambda _event, _about: None
        self._decoder = msgspec.json.Decoder(Message)

    def begin(self) -> None:
        """Start the browser and open a blank page in it. Raises ConversionCrashed."""
        self._conversation.__enter__()
        self.frame = self.ask("Target.createTarget", _Target, url="about:blank").target_id
        attached = self.ask("Target.attachToTarget", _Session, targetId=self.frame, flatten=True)
        self._session = attached.session_id
        self.tell("Page.enable")
        # The answer means that the page is there and its own thread works.
        self.ask("Runtime.evaluate", msgspec.Raw, expression="1")

    def end(self) -> None:
        """Hang up, which ends the browser."""
        self._conversation.__exit__()

    def limit(self, output_bytes_max: int) -> None:
        """Take no answer that holds more than this."""
        self._message_max = _MESSAGE_OVERHEAD + output_bytes_max * 4 // 3

    def listen(self, hears: Callable[[str, msgspec.Raw], None]) -> None:
        """Have each event told to `hears`, by its name and what it says."""
        self._hears = hears

    def tell(self, command: str, **about: Any) -> int:
        """Send a command whose answer nobody waits for; return its number."""
        self._commands += 1
        message = {"id": self._commands, "method": command, "params": about}
        if self._session:
            message["sessionId"] = self._session
        try:
            self._conversation.say(msgspec.json.encode(message) + b"\0")
        except program.ProgramEnded:
            raise _crashed() from None
        return self._commands

    def ask(self, command: str, answer: type[Answer], **about: Any) -> Answer:
        """Send a command and wait for its answer, hearing events meanwhile.

        Raises CommandRefused, ConversionCrashed, SourceTooComplex, TargetTooLarge.
        """
        number = self.tell(command, **about)
        until = time.monotonic() + ANSWER_S
        while True:
            message = self._next(until - time.monotonic())
            if message is None:
                raise SourceTooComplex(
                    f"the page kept the browser busy for {ANSWER_S:.0f} s; a script in it may never"
                    " end, javascript=false leaves it out"
                )
            if message.id == number:
                if message.error is not None:
                    raise CommandRefused(message.error.message)
                return msgspec.json.decode(message.result, type=answer)

    def hear_until(self, met: Callable[[], bool], timeout_s: float) -> bool:
        """Hear events until the condition is met (True), or the time is over."""
        until = time.monotonic() + timeout_s
        while not met():
            if self._next(until - time.monotonic()) is None:
                return met()
        return True

    def _next(self, timeout_s: float) -> Message | None:
        """The next message, an event having been told to who listens; None when time is over."""
        until = time.monotonic() + timeout_s
        searched = 0
        while (end := self._rest.find(0, searched)) < 0:
            searched = len(self._rest)
            if searched > self._message_max:
                raise TargetTooLarge("the result is larger than the limit")
            try:
                self._rest += self._conversation.hear(max(0.0, until - time.monotonic()))
            except program.ProgramSilent:
                return None
            except program.ProgramEnded:
                raise _crashed() from None
        with memoryview(self._rest) as whole:
            said = bytes(whole[:end])
        message = self._decoder.decode(said)
        del self._rest[: end + 1]
        if message.method == "Inspector.targetCrashed":
            raise _crashed()
        if message.method:
            self._hears(message.method, message.params)
        return message


def _crashed() -> ConversionCrashed:
    return ConversionCrashed(
        "the browser ended while it worked on the page; a page that needs less memory may do",
        reason="browser",
    )
