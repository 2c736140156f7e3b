"""pandoc, the one program of this family: text in, its tree out; a tree in, a document out.

pandoc is under the GPL and is only ever executed, never linked. It sees its standard input and
nothing else; `--sandbox` says the same to itself. Every conversion runs it twice, with the tree in
between in our hands: that is where pictures are put in, active content is taken out, and what the
target cannot hold is found before pandoc gives up over it.
"""

import re
from collections.abc import Sequence

from engine.converters.document.tree import Tree
from engine.errors import (
    ConversionCrashed,
    ConversionOutOfMemory,
    SourceTooComplex,
    SourceUnreadable,
    TargetTooLarge,
)
from engine.formats import find
from engine.job import Buffer
from sandbox.jail import program
from sandbox.limits import MIB

# No ticker thread: a program that runs alone needs no time slices. And an end to the heap, so that
# a bomb is told from a crash: it exits with 251. A third of the address space stays for copying.
_RUNTIME = ("+RTS", "-V0", "-M1g", "-RTS")
# A tree in JSON; unpacked here it is about eight times that.
_TREE_BYTES_MAX = 96 * MIB
# What the program finds in its environment. Without it, GHC's runtime would write ASCII.
_ENVIRONMENT = {"LANG": "C.UTF-8", "HOME": "/"}

# Exit codes of pandoc (its manual, "Exit codes") and of GHC's runtime.
_UNREADABLE = {1, 24, 25, 44, 63, 64, 92, 93, 94}
_RESOURCE_MISSING = 99
_HEAP_EXHAUSTED = {2, 251}
_MACRO_LOOP = 91
_CPU_EXCEEDED = -24

# What pandoc complains of, and what the customer is told.
_COMPLAINTS = (
    ("Could not load include file", "included files were not loaded: a conversion is one file"),
    ("Could not convert TeX math", "formulas that could not be converted stand as TeX"),
    ("Could not convert image", "pictures that could not be converted were left as they are"),
    ("Duplicate note reference", "footnotes of one name were found, and only one of them is used"),
    ("Reference not found", "references that lead nowhere were left as text"),
)
_WARNING = re.compile(rb"^\[WARNING\] (.*)$", re.MULTILINE)


def read(upload: Buffer, reader: str, source: str, *arguments: str) -> tuple[Tree, list[str]]:
    """The tree of a document, and warnings.

    Raises SourceUnreadable, SourceTooComplex, ConversionOutOfMemory.
    """
    output, warnings = _execute(
        ("--from", reader, "--to", "json", *arguments),
        upload,
        title=find(source).title,
        output_bytes_max=_TREE_BYTES_MAX,
    )
    return Tree.parse(output), warnings


def write(
    tree: Tree, writer: str, arguments: Sequence[str] = (), *, output_bytes_max: int
) -> tuple[bytes, list[str]]:
    """A document in pandoc's format `writer`, and warnings.

    Raises TargetTooLarge, SourceUnreadable, SourceTooComplex, ConversionOutOfMemory.
    """
    return _execute(
        ("--from", "json", "--to", writer, *arguments),
        tree.dump(),
        title="document",
        output_bytes_max=output_bytes_max,
    )


def _execute(
    arguments: Sequence[str], stdin: Buffer, *, title: str, output_bytes_max: int
) -> tuple[bytes, list[str]]:
    command = ("pandoc", *_RUNTIME, "--sandbox", "--output=-", *arguments)
    try:
        code, output, errors = program.run(
            command, stdin, output_bytes_max=output_bytes_max, environment=_ENVIRONMENT
        )
    except program.OutputTooLarge as error:
        if "json" in arguments[3]:
            raise SourceTooComplex(
                f"the {title} holds more text than the limit of one conversion"
            ) from error
        raise TargetTooLarge("the result would be larger than the limit") from error
    if code:
        raise _refusal(code, title)
    return output, _warnings(errors)


def _refusal(code: int, title: str) -> Exception:
    if code in _HEAP_EXHAUSTED:
        return ConversionOutOfMemory(
            f"the {title} needs more memory than one conversion may have; try a smaller file"
        )
    if code == _CPU_EXCEEDED:
        return SourceTooComplex(f"the {title} needs more computing time than one conversion has")
    if code == _MACRO_LOOP:
        return SourceTooComplex(f"the {title} has macros that call each other without end")
    if code == _RESOURCE_MISSING:
        return SourceUnreadable(
            f"the {title} includes another file, and a conversion is one file: take that line out"
        )
    if code in _UNREADABLE:
        return SourceUnreadable(
            f"the {title} cannot be read: it is damaged, cut off, or of an unusual kind"
        )
    return ConversionCrashed(f"the converter of documents ended with code {code}")


def _warnings(errors: bytes) -> list[str]:
    """Sentences of ours for pandoc's, which quote the file."""
    lines = [line.decode(errors="replace") for line in _WARNING.findall(errors)]
    return [
        sentence for start, sentence in _COMPLAINTS if any(line.startswith(start) for line in lines)
    ]
