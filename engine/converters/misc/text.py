"""Text from bytes whose encoding is known, marked, or guessed and then said."""

import codecs

from engine.errors import SourceUnreadable
from engine.job import Buffer

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(upload: Buffer, encoding: str, notes: list[str]) -> str:
    """The text, with line feeds only. Raises SourceUnreadable."""
    content = bytes(upload)
    if encoding == "auto":
        named = next((name for mark, name in _MARKS if content.startswith(mark)), "")
    else:
        named = {"utf-8": "utf-8-sig"}.get(encoding, encoding)
    try:
        text = content.decode(named or "utf-8")
    except UnicodeDecodeError as error:
        if named:
            raise SourceUnreadable(
                "the text is not in the encoding that was given or that its first bytes name"
            ) from error
        notes.append("the text is no UTF-8 and was read as Windows-1252")
        text = content.decode("cp1252", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")
