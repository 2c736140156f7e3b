"""The options of a comparison."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Level = Literal["word", "character"]


class CompareOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of document.compare: the first file is the older document, the second the newer."""

    level: Annotated[
        Level,
        Meta(
            description="What is compared as a whole: words or single characters.",
            examples=["character"],
        ),
    ] = "word"
    formatting: Annotated[
        bool,
        Meta(
            description="Show where text or paragraphs that are in both look different.",
            examples=[False],
        ),
    ] = True
    case: Annotated[
        bool,
        Meta(
            description="Whether capital and small letters differ. false: words are as the second"
            " document writes them.",
            examples=[False],
        ),
    ] = True
    whitespace: Annotated[
        bool,
        Meta(
            description="Whether gaps differ. false: they are as in the second document.",
            examples=[False],
        ),
    ] = True
    tables: Annotated[
        bool,
        Meta(
            description="Compare tables. false: they are those of the second document.",
            examples=[False],
        ),
    ] = True
    headers: Annotated[
        bool,
        Meta(description="Compare headers and footers.", examples=[False]),
    ] = True
    notes: Annotated[
        bool,
        Meta(description="Compare footnotes and endnotes.", examples=[False]),
    ] = True
    author: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=255,
            pattern=r"^[^\x00-\x1f\x7f\ufffe\uffff]+$",
            description="Who the revisions are said to be by.",
            examples=["Ada Lovelace"],
        ),
    ] = "Ephemera"
    date: Annotated[
        str,
        Meta(
            pattern=r"^$|^[0-9]{4}-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])T([01][0-9]|2[0-3])"
            r":[0-5][0-9]:[0-5][0-9]Z$",
            max_length=20,
            description="When they are said to be made, in UTC. Absent: nothing is said, so that"
            " equal documents give equal bytes.",
            examples=["2026-11-20T12:00:00Z"],
        ),
    ] = ""
