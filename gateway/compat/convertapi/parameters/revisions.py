"""Two versions of a document, compared."""

from gateway.compat.convertapi.parameters.kinds import Choice, Flag, Text, Upload
from gateway.compat.convertapi.parameters.shared import FILE, flag_off, flag_on, never
from gateway.compat.convertapi.parameters.terms import Counterpart, Holds, Parameter, Sets, To

_SWITCHES = (
    ("CompareFormatting", "formatting"),
    ("CompareCaseChanges", "case"),
    ("CompareWhitespace", "whitespace"),
    ("CompareTables", "tables"),
    ("CompareHeaders", "headers"),
    ("CompareFootnotes", "notes"),
)

COUNTERPARTS = (
    Counterpart(
        sources=("docx",),
        target="compare",
        steps=(To("docx", "compare"),),
        parameters=(
            FILE,
            never("Password", "documents that are locked are not compared: unlock them first"),
            Parameter(
                name="CompareFile", kind=Upload(), effect=Holds(), required=True, group="Input"
            ),
            Parameter(
                name="CompareLevel",
                kind=Choice(("Word", "Character")),
                effect=Sets(option="level", words={"Word": "word", "Character": "character"}),
            ),
            *(
                Parameter(name=name, kind=Flag(), effect=Sets(option=option), default="true")
                for name, option in _SWITCHES
            ),
            flag_on("CompareFields", "fields are compared by what they say and show"),
            flag_off("CompareTextboxes", "what stands in boxes is not compared"),
            flag_off("CompareComments", "comments are those of the second document"),
            flag_off("CompareMoves", "what was moved is shown as deleted and inserted"),
            flag_on("AcceptRevisions", "revisions that are there already are accepted before"),
            Parameter(name="RevisionAuthor", kind=Text(), effect=Sets(option="author")),
        ),
        note="CompareFile is the later version: the result is it, with what it changed as tracked"
        " changes.",
    ),
)
