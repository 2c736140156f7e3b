"""What a value of a parameter may be: ConvertAPI's types, each of which reads text or says why not.

`read` returns the one spelling of a value that the tables go by: an enum's own capitals, `true`, a
colour as RRGGBB. It raises ValueError with the reason that the client is shown.
"""

import re
from typing import ClassVar, Protocol

import msgspec

# Longer values of enums and numbers are a mistake, and are not repeated in an answer.
_SHOWN_MAX = 40
# ConvertAPI converts no page beyond this one: a range that ends there means to the end.
_LAST_PAGE = 2000

_PAGE = r"(?:[1-9][0-9]{0,6}|last)"
_PAGES = re.compile(rf"(?:odd|even|{_PAGE}(?:-{_PAGE}?)?|-{_PAGE})")
_SPELLED = {"true": "true", "1": "true", "yes": "true", "false": "false", "0": "false"} | {
    "no": "false"
}
_COLOURS = {
    "black": "000000",
    "white": "ffffff",
    "red": "ff0000",
    "green": "008000",
    "lime": "00ff00",
    "blue": "0000ff",
    "yellow": "ffff00",
    "cyan": "00ffff",
    "magenta": "ff00ff",
    "orange": "ffa500",
    "purple": "800080",
    "brown": "a52a2a",
    "gray": "808080",
    "grey": "808080",
    "silver": "c0c0c0",
    "navy": "000080",
    "maroon": "800000",
    "olive": "808000",
    "teal": "008080",
    "transparent": "transparent",
}
_HEXADECIMAL = re.compile(r"#?([0-9a-fA-F]{6}(?:[0-9a-fA-F]{2})?)")


class Kind(Protocol):
    """A type of value: its name at `/info`, what it takes in words, and its reader."""

    type: ClassVar[str]

    def read(self, text: str) -> str:
        """The value in its one spelling. Raises ValueError with the reason."""

    def takes(self) -> str:
        """What it may be, for people."""


class Flag(msgspec.Struct, frozen=True):
    """`true` or `false`, in any case."""

    type: ClassVar[str] = "Bool"

    def read(self, text: str) -> str:
        """`true` or `false`."""
        try:
            return _SPELLED[text.strip().lower()]
        except KeyError:
            raise ValueError(f"must be true or false, not {_shown(text)}") from None

    def takes(self) -> str:
        """What it may be, for people."""
        return "true or false"


class Whole(msgspec.Struct, frozen=True):
    """A whole number within a range."""

    low: int
    high: int
    type: ClassVar[str] = "Integer"

    def read(self, text: str) -> str:
        """The number in digits."""
        stripped = text.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,9}", stripped):
            raise ValueError(f"must be {self.takes()}, not {_shown(text)}")
        number = int(stripped)
        if not self.low <= number <= self.high:
            raise ValueError(f"must be {self.takes()}, not {number}")
        return str(number)

    def takes(self) -> str:
        """What it may be, for people."""
        return f"a whole number from {self.low} to {self.high}"


class Number(msgspec.Struct, frozen=True):
    """A number within a range."""

    low: float
    high: float
    type: ClassVar[str] = "Double"

    def read(self, text: str) -> str:
        """The number, as short as it can be written."""
        stripped = text.strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,9}(?:\.[0-9]{0,9})?", stripped):
            raise ValueError(f"must be {self.takes()}, not {_shown(text)}")
        number = float(stripped)
        if not self.low <= number <= self.high:
            raise ValueError(f"must be {self.takes()}, not {number:g}")
        return f"{number:.6f}".rstrip("0").rstrip(".")

    def takes(self) -> str:
        """What it may be, for people."""
        return f"a number from {self.low:g} to {self.high:g}"


class Choice(msgspec.Struct, frozen=True):
    """One of an enum's values, in any case."""

    values: tuple[str, ...]
    type: ClassVar[str] = "Collection"

    def read(self, text: str) -> str:
        """The value as ConvertAPI writes it."""
        wanted = text.strip().lower()
        for value in self.values:
            if value.lower() == wanted:
                return value
        raise ValueError(f"must be {self.takes()}, not {_shown(text)}")

    def takes(self) -> str:
        """What it may be, for people."""
        return "one of " + ", ".join(self.values)


class Text(msgspec.Struct, frozen=True):
    """Any text; a secret one is never repeated."""

    secret: bool = False
    type: ClassVar[str] = "String"

    def read(self, text: str) -> str:
        """The text as it is."""
        return text

    def takes(self) -> str:
        """What it may be, for people."""
        return "a password" if self.secret else "text"


class Colour(msgspec.Struct, frozen=True):
    """A colour: a name, #RRGGBB, R,G,B, R,G,B,A or transparent."""

    type: ClassVar[str] = "Color"

    def read(self, text: str) -> str:
        """The colour as RRGGBB or RRGGBBAA in hexadecimal, or transparent."""
        word = text.strip().lower()
        if word in _COLOURS:
            return _COLOURS[word]
        if found := _HEXADECIMAL.fullmatch(word):
            return found[1]
        parts = [part.strip() for part in word.split(",")]
        if len(parts) in {3, 4} and all(re.fullmatch("[0-9]{1,3}", part) for part in parts):
            numbers = [int(part) for part in parts]
            if max(numbers) <= 255:  # noqa: PLR2004 -- a byte
                return "".join(f"{number:02x}" for number in numbers)
        raise ValueError(f"must be {self.takes()}, not {_shown(text)}")

    def takes(self) -> str:
        """What it may be, for people."""
        return "a colour: its name, #RRGGBB, or R,G,B of 0 to 255"


class Pages(msgspec.Struct, frozen=True):
    """Pages and ranges joined by commas, with `last`, `odd` and `even`."""

    type: ClassVar[str] = "String"

    def read(self, text: str) -> str:
        """The pages in our own little language, which is the same but for the end of all pages."""
        items = [item.strip().replace(" ", "").lower() for item in text.split(",")]
        if not all(_PAGES.fullmatch(item) for item in items):
            raise ValueError(f"must be {self.takes()}, not {_shown(text)}")
        return ",".join(_open(item) for item in items)

    def takes(self) -> str:
        """What it may be, for people."""
        return "pages such as 1,3,5-7,9-last, odd or even"


class Upload(msgspec.Struct, frozen=True):
    """A file, or several: as a part, base64, the id of an upload, or a URL."""

    several: bool = False
    type: ClassVar[str] = "File"

    def read(self, text: str) -> str:
        """Never asked: files are fetched by the surface."""
        return text

    def takes(self) -> str:
        """What it may be, for people."""
        return "files" if self.several else "a file"


def _open(item: str) -> str:
    """A range that ends at ConvertAPI's last page, as one that ends with the document."""
    first, dash, last = item.partition("-")
    if dash and last.isdecimal() and int(last) >= _LAST_PAGE and first != "last":
        return f"{first or '1'}-"
    return item


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN_MAX else f"{text[:_SHOWN_MAX]}...")
