"""What people write to us, as it is stored: one line of a subject, and paragraphs. Pure."""

import unicodedata
from typing import Annotated

from msgspec import Meta

from gateway.errors import RequestMalformed
from ledger.support.tickets import SUBJECT_CHARS_MAX

# With its escapes it stays below what a JSON body may have; longer is better told in pieces.
TEXT_CHARS_MAX = 5000

Subject = Annotated[str, Meta(min_length=1, max_length=SUBJECT_CHARS_MAX)]
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)]
_LINE_KINDS = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def line_of(text: str, name: str) -> str:
    """One line, composed (NFC), of characters that can be seen. Raises RequestMalformed."""
    line = unicodedata.normalize("NFC", text).strip()
    if not line or any(unicodedata.category(char) in _LINE_KINDS for char in line):
        raise RequestMalformed(f"{name} is one line, of characters that can be seen")
    return line[:SUBJECT_CHARS_MAX]


def text_of(text: str, name: str) -> str:
    """Paragraphs: tabulators and ends of lines, and no other control. Raises RequestMalformed."""
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").strip()
    if not lines or any(
        unicodedata.category(char) in {"Cc", "Cs"} and char not in "\n\t" for char in lines
    ):
        raise RequestMalformed(f"{name} is text, without control characters")
    return lines
