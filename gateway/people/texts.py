"""What people type about themselves, as it is stored: addresses and names. Pure."""

import re
import unicodedata
from typing import Annotated

from msgspec import Meta

from gateway.errors import RequestMalformed
from ledger.people.person import ADDRESS_CHARS_MAX, NAME_CHARS_MAX

# Of what arrives; what is too long to be an address is told so and not cut.
Address = Annotated[str, Meta(min_length=3, max_length=ADDRESS_CHARS_MAX)]
Name = Annotated[str, Meta(max_length=NAME_CHARS_MAX)]
NameGiven = Annotated[str, Meta(min_length=1, max_length=NAME_CHARS_MAX)]

# RFC 5321: a dot-atom of at most 64, and a domain name. Quoted local parts and address literals are
# legal, belong to nobody, and are good for confusing the next program.
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_LOCAL = re.compile(rf"(?=.{{1,64}}\Z){_ATOM}(?:\.{_ATOM})*")
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)+(?=[A-Za-z0-9-]*[A-Za-z]){_LABEL}")


def address_of(text: str) -> str:
    """An e-mail address, its domain in lower case. Raises RequestMalformed.

    ASCII only: two domains that look alike are two texts here. `xn--` names are taken as they are.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at or not _LOCAL.fullmatch(local) or not _DOMAIN.fullmatch(domain):
        raise RequestMalformed(
            "address is no e-mail address that can be used here: write name@example.com, and a"
            " domain with other letters in its xn-- form"
        )
    return f"{local}@{domain.lower()}"


def name_of(text: str) -> str:
    """A name, composed (NFC), without what only a program would write. Raises RequestMalformed.

    Control and formatting characters turn a line of a mail or of a list around, or end it.
    """
    name = unicodedata.normalize("NFC", text).strip()
    # Zs: a space of any width; the only one of the Z kinds that a name has.
    if len(name) > NAME_CHARS_MAX or any(not _printable(one) for one in name):
        raise RequestMalformed(
            f"name has at most {NAME_CHARS_MAX} characters, and none that cannot be seen"
        )
    return name


def name_given(text: str) -> str:
    """The same, of what must have a name. Raises RequestMalformed."""
    name = name_of(text)
    if not name:
        raise RequestMalformed("name has at least one character that can be seen")
    return name


def _printable(one: str) -> bool:
    kind = unicodedata.category(one)
    return kind == "Zs" or kind[0] not in "CZ"
