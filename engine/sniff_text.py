"""Tell text formats apart, once nothing binary fits: first whether it is text, then which."""

import re

_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
# Control characters that text does not hold; tab, line feed, form feed, return and escape may be.
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\x7f]")
# How much of a text is read for its kind.
_WINDOW = 4096

_XML_ROOTS = (
    (re.compile(r"<(\w+:)?svg[\s>]"), "svg"),
    (re.compile(r"<html[\s>]", re.IGNORECASE), "html"),
)
_HTML = re.compile(
    r"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body|title|table|div|script|p|h1)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_MAIL_HEADER = re.compile(
    r"(from|to|subject|date|received|return-path|message-id|mime-version|delivered-to"
    r"|content-type|x-[\w-]+):",
    re.IGNORECASE,
)
_MAIL_HEADERS_MIN = 3
_SRT = re.compile(r"\d+\s*\r?\n\d\d:\d\d:\d\d[,.]\d{1,3}\s*-->")
_JSON = re.compile(r'\s*(\{\s*("|\})|\[\s*([\[{"\]]|-?\d|true|false|null))')
_STARTS = (
    ("BEGIN:VCALENDAR", "ics"),
    ("BEGIN:VCARD", "vcf"),
    ("WEBVTT", "vtt"),
    ("\\documentclass", "latex"),
    ("{\\rtf", "rtf"),
)


def sniff_text(head: bytes | bytearray, *, complete: bool) -> str | None:
    """The kind of text, `txt` for none in particular, or None for what is not text."""
    text = _decoded(head, complete=complete)
    if text is None or not text.strip():
        return None
    start = text[:_WINDOW].lstrip()
    for prefix, name in _STARTS:
        if start.startswith(prefix):
            return name
    return _markup(start) or _lines(start) or "txt"


def _decoded(head: bytes | bytearray, *, complete: bool) -> str | None:
    """The head as text: by its mark, as UTF-8, or as Windows-1252 where it has no control bytes."""
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return head[len(mark) :].decode(encoding, "ignore")
    if _CONTROL.search(head):
        return None
    # The cut at the end of the window may go through a character of up to four bytes.
    whole = head if complete else head[:-3]
    try:
        return whole.decode("utf-8", "strict" if complete else "ignore")
    except UnicodeDecodeError:
        return whole.decode("cp1252", "ignore")


def _markup(start: str) -> str | None:
    if start.startswith("<?xml"):
        for root, name in _XML_ROOTS:
            if root.search(start):
                return name
        return "xml"
    if re.match(r"<(\w+:)?svg[\s>]", start) or start[:14].lower() == "<!doctype svg ":
        return "svg"
    if _HTML.match(start):
        return "html"
    if _JSON.match(start):
        return "ipynb" if '"cells"' in start or '"nbformat"' in start else "json"
    return None


def _lines(start: str) -> str | None:
    if _SRT.match(start):
        return "srt"
    headers = [line for line in start.splitlines()[:40] if _MAIL_HEADER.match(line)]
    if len(headers) >= _MAIL_HEADERS_MIN and _MAIL_HEADER.match(start):
        return "mhtml" if "multipart/related" in start.lower() else "eml"
    return None
