"""Options of everything that takes a PDF document: its pages, its password."""

from typing import Annotated

import msgspec
from msgspec import Meta

from engine.converters.ranges import PATTERN

# A revision 6 password is at most 127 bytes of UTF-8 (ISO 32000-2, 7.6.4.3.4).
PASSWORD_MAX = 127

Pages = Annotated[
    str,
    Meta(
        pattern=PATTERN,
        max_length=1000,
        description="Pages, first is 1, joined by commas: 3 | 2-5 | 7- | -4 | last | last-1"
        " (backwards) | odd | even.",
        examples=["1-3,7,9-"],
    ),
]
Password = Annotated[
    str,
    Meta(
        max_length=PASSWORD_MAX,
        description="Password that opens the document, where it is encrypted.",
        examples=["correct horse"],
        extra_json_schema={"format": "password", "writeOnly": True},
    ),
]


class DocumentOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every operation on a PDF takes."""

    password: Password = ""
