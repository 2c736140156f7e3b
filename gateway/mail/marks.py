"""What a template's words are marked up with: each mark once for plain text and once for HTML.

A template is written once (`templates/`) and rendered twice. It says what something is (a
paragraph, a button, facts, a quotation); here stands what that looks like. Nothing is loaded from
anywhere and no link is rewritten, so nobody learns whether a mail was read.
"""

import re
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from markupsafe import Markup, escape

# RFC 5322 asks for 78; quotations begin with two characters of their own.
_WIDTH = 72

Caller = Callable[[], str]


class Marks(Protocol):
    """All marks there are."""

    def paragraph(self, caller: Caller) -> str:
        """Sentences."""

    def button(self, label: str, url: str) -> str:
        """The one thing that the reader is asked to do."""

    def facts(self, *pairs: tuple[str, str]) -> str:
        """What happened, line by line: (name, value)."""

    def quote(self, text: str) -> str:
        """What somebody wrote."""


class TextMarks:
    """As plain text."""

    def paragraph(self, caller: Caller) -> str:
        """Sentences, wrapped."""
        return _block(_wrapped(caller()))

    def button(self, label: str, url: str) -> str:
        """Say what it does, and the link in a line of its own, so that programs find its end."""
        return _block(f"{label}:\n{url}")

    def facts(self, *pairs: tuple[str, str]) -> str:
        """One line each."""
        return _block("\n".join(f"  {name}: {' '.join(value.split())}" for name, value in pairs))

    def quote(self, text: str) -> str:
        """With the mark of quotations before each line."""
        lines = [
            line
            for paragraph in text.splitlines()
            for line in (_wrapped(paragraph).splitlines() or [""])
        ]
        return _block("\n".join(f"> {line}".rstrip() for line in lines))


class HtmlMarks:
    """As HTML. Values were escaped by the template engine, or are escaped here."""

    def paragraph(self, caller: Caller) -> Markup:
        """Sentences. What comes was rendered from a template, and so it was escaped."""
        return Markup('<p style="margin:0 0 16px">{}</p>\n').format(
            Markup(caller().strip())  # noqa: S704  # nosec B704
        )

    def button(self, label: str, url: str) -> Markup:
        """A button that is a link, and the link to read before one follows it."""
        return Markup(
            '<p style="margin:24px 0 8px"><a href="{url}" style="display:inline-block;'
            "padding:12px 20px;border-radius:6px;background:#1f4fd8;color:#ffffff;"
            'text-decoration:none;font-weight:600">{label}</a></p>\n'
            '<p style="margin:0 0 24px;font-size:13px;color:#5b6472;word-break:break-all">'
            "{url}</p>\n"
        ).format(label=label, url=url)

    def facts(self, *pairs: tuple[str, str]) -> Markup:
        """A table of two columns."""
        rows = Markup("").join(
            Markup(
                '<tr><td style="padding:4px 16px 4px 0;color:#5b6472;vertical-align:top">{}</td>'
                '<td style="padding:4px 0;word-break:break-word">{}</td></tr>\n'
            ).format(name, value)
            for name, value in pairs
        )
        return Markup(
            '<table role="presentation" style="margin:0 0 16px;border-collapse:collapse">\n{}'
            "</table>\n"
        ).format(rows)

    def quote(self, text: str) -> Markup:
        """A quotation with its line ends."""
        lines = Markup("<br>\n").join(escape(line) for line in text.splitlines())
        return Markup(
            '<blockquote style="margin:0 0 16px;padding:0 0 0 16px;border-left:3px solid #c9ced8">'
            "{}</blockquote>\n"
        ).format(lines)


def moment(text: str) -> str:
    """A time as people read it, in UTC; what is no time stays as it is."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return text
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def _block(text: str) -> str:
    return f"\n\n{text}\n\n"


def _wrapped(text: str) -> str:
    words = re.sub(r"\s+", " ", text).strip()
    return textwrap.fill(words, _WIDTH, break_long_words=False, break_on_hyphens=False)
