"""Put a customer's page into the browser, with what it consists of and with nothing else.

The page gets an address that exists nowhere, and every request that it makes is answered here: from
the upload, or with a refusal that is counted. So a page sees neither network nor files even before
the walls around the browser are asked.
"""

from collections import Counter
from typing import Any

import msgspec

from engine.converter import Work
from engine.converters.browser import mhtml
from engine.converters.browser.devtools import CommandRefused, Page
from engine.errors import OptionInvalid, SourceTooComplex, SourceUnreadable, TargetImpossible

_ADDRESS = "https://page.invalid/"
_LOAD_S = 30.0
# As long as an element is waited for, and how often it is looked for.
_WAIT_FOR_S = 10.0
_LOOK_S = 0.05
# Pictures and fonts that scripts ask for when the page has loaded are data: URLs; decoding them is
# short.
_SETTLE_S = 5.0

_NAMES = {
    "Image": "images",
    "Stylesheet": "style sheets",
    "Script": "scripts",
    "Font": "fonts",
    "Media": "audio or video files",
    "Document": "framed pages",
    "XHR": "requests of scripts",
    "Fetch": "requests of scripts",
}
_OTHER = "other files"
_LEADS_TO = "pages that it leads to"
_LOCAL = "local files"

# Chromium's WebRTC ends the process where it can make no socket; a page can do without it.
_WITHOUT = "delete self.RTCPeerConnection; delete self.webkitRTCPeerConnection"
# Chromium shows an XML error in an element of this name.
_IS_BROKEN = "!!document.querySelector('parsererror')"
_SETTLED = (
    "Promise.all([document.fonts.ready,"
    " ...Array.from(document.images, i => i.decode().catch(() => 0))]).then(() => 1)"
)


class _Request(msgspec.Struct, frozen=True):
    url: str


class _Paused(msgspec.Struct, frozen=True, rename="camel"):
    request_id: str
    frame_id: str
    request: _Request
    resource_type: str = ""


class _Entry(msgspec.Struct, frozen=True):
    text: str = ""


class _Logged(msgspec.Struct, frozen=True):
    entry: _Entry


class _Value(msgspec.Struct, frozen=True):
    value: Any = None


class _Evaluated(msgspec.Struct, frozen=True, rename="camel"):
    result: _Value
    exception_details: Any = None


class Loaded:
    """A page with the customer's document in it."""

    def __init__(self, page: Page, work: Work) -> None:
        self.page = page
        self.source = work.source
        self._address, self._files = _files(work)
        self._refused: Counter[str] = Counter()
        self._has_loaded = False
        page.limit(work.bounds.output_bytes_max)
        page.listen(self._hear)

    def load(self, *, javascript: bool, media: str) -> None:
        """Show the document, once the window has its size. Raises EngineError."""
        page = self.page
        page.tell("Emulation.setScriptExecutionDisabled", value=not javascript)
        page.tell("Emulation.setEmulatedMedia", media=media)
        page.tell("Browser.setDownloadBehavior", behavior="deny")
        page.tell("Log.enable")
        page.tell("Fetch.enable", patterns=[{"urlPattern": "*"}])
        page.tell("Page.addScriptToEvaluateOnNewDocument", source=_WITHOUT)
        try:
            page.ask("Page.navigate", msgspec.Raw, url=self._address)
        except CommandRefused:
            raise SourceUnreadable("the browser cannot show this page") from None
        if not page.hear_until(lambda: self._has_loaded, _LOAD_S):
            raise SourceTooComplex(f"the page was not loaded after {_LOAD_S:.0f} s")
        if self.source == "svg" and self.value_of(_IS_BROKEN):
            raise SourceUnreadable("the drawing is not well-formed XML")
        self.value_of(_SETTLED, timeout_s=_SETTLE_S)

    def wait(self, *, wait_ms: int, wait_for: str) -> None:
        """Wait as the customer wishes. Raises OptionInvalid, TargetImpossible."""
        self.page.hear_until(lambda: False, wait_ms / 1000)
        if not wait_for:
            return
        found = f"!!document.querySelector({_quoted(wait_for)})"
        for _ in range(int(_WAIT_FOR_S / _LOOK_S)):
            if self.value_of(found, option="wait_for"):
                return
            self.page.hear_until(lambda: False, _LOOK_S)
        raise TargetImpossible(
            f"wait_for: no element matched the selector within {_WAIT_FOR_S:.0f} s"
        )

    def value_of(self, expression: str, *, option: str = "", timeout_s: float | None = None) -> Any:
        """What the expression is in the page; None for one that fails or takes too long.

        With `option`, a failure is that option's fault: OptionInvalid.
        """
        about: dict[str, Any] = {"expression": expression, "returnByValue": True}
        if timeout_s is not None:
            about |= {"awaitPromise": True, "timeout": timeout_s * 1000}
        try:
            answer = self.page.ask("Runtime.evaluate", _Evaluated, **about)
        except CommandRefused:
            return None
        if answer.exception_details is None:
            return answer.result.value
        if option:
            raise OptionInvalid(f"{option}: this is not a CSS selector")
        return None

    def element(self, selector: str, option: str) -> list[float]:
        """The place of an element: left, top, width, height in CSS pixels.

        Raises OptionInvalid, TargetImpossible.
        """
        box = self.value_of(
            f"(() => {{ const e = document.querySelector({_quoted(selector)}); if (!e) return [];"
            " const r = e.getBoundingClientRect();"
            " return [r.left + scrollX, r.top + scrollY, r.width, r.height]; })()",
            option=option,
        )
        place = msgspec.convert(box or [], list[float])
        if not place or not place[2] or not place[3]:
            raise TargetImpossible(f"{option}: no visible element matches the selector")
        return place

    def warnings(self) -> tuple[str, ...]:
        """What the page refers to and did not get."""
        if not self._refused:
            return ()
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(self._refused.items()))
        said = (
            f"not loaded, because a conversion has neither network nor files: {listed};"
            " what is embedded as data: URLs is shown"
        )
        return (said,)

    def _hear(self, event: str, about: msgspec.Raw) -> None:
        match event:
            case "Fetch.requestPaused":
                self._answer(msgspec.json.decode(about, type=_Paused))
            case "Page.loadEventFired":
                self._has_loaded = True
            case "Page.javascriptDialogOpening":
                self.page.tell("Page.handleJavaScriptDialog", accept=False)
            case "Log.entryAdded":
                text = msgspec.json.decode(about, type=_Logged).entry.text
                if text.startswith("Not allowed to load local resource"):
                    self._refused[_LOCAL] += 1

    def _answer(self, asked: _Paused) -> None:
        file = self._files.get(asked.request.url.partition("#")[0])
        if file is None:
            leaves = asked.resource_type == "Document" and asked.frame_id == self.page.frame
            kind = _LEADS_TO if leaves else _NAMES.get(asked.resource_type, _OTHER)
            self._refused[kind] += 1
            # An aborted navigation leaves the page as it is; a refused one would replace it.
            reason = "Aborted" if leaves else "BlockedByClient"
            self.page.tell("Fetch.failRequest", requestId=asked.request_id, errorReason=reason)
            return
        media_type, content = file
        self.page.tell(
            "Fetch.fulfillRequest",
            requestId=asked.request_id,
            responseCode=200,
            responseHeaders=[
                {"name": "Content-Type", "value": media_type},
                # Fonts of an archive come from other addresses than the page.
                {"name": "Access-Control-Allow-Origin", "value": "*"},
            ],
            body=content,
        )


def _files(work: Work) -> tuple[str, dict[str, tuple[str, bytes]]]:
    upload = bytes(work.inputs[0])
    if work.source == "mhtml":
        archive = mhtml.unpack(upload)
        return archive.address, archive.files
    if work.source == "svg":
        return _ADDRESS, {_ADDRESS: ("image/svg+xml", upload)}
    return _ADDRESS, {_ADDRESS: (_html_type(upload), upload)}


def _html_type(upload: bytes) -> str:
    """Most pages without a word about it are UTF-8; a browser would take them for Windows-1252."""
    try:
        upload.decode()
    except UnicodeDecodeError:
        return "text/html"
    return "text/html; charset=utf-8"


def _quoted(text: str) -> str:
    """As a JavaScript string: JSON is one."""
    return msgspec.json.encode(text).decode()
