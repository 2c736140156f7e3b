"""What the document family offers: declarations only, no codec."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec

from engine.converter import Converter, Family
from engine.converters.document.comparing.options import CompareOptions
from engine.converters.document.notations import NOTATIONS, SOURCES, TARGETS
from engine.converters.document.options import (
    CompileOptions,
    MailOptions,
    MailPagesOptions,
    NoOptions,
    RestructureOptions,
    TypesetOptions,
)
from engine.errors import OptionInvalid
from engine.job import Bounds
from sandbox.limits import MIB, Limits

MAIL = ("eml", "msg")
# Whose properties stand in a part of their own, and can be read without reading the document.
DESCRIBED = (
    *("docx", "xlsx", "xlsb", "pptx", "vsdx"),
    *("odt", "ods", "odp", "odg", "epub"),
    *("doc", "xls", "ppt", "vsd", "pub"),
)
# Slides are drawings: their texts, set one after another, are not what anybody means by a PDF.
# typst source has a converter of its own.
_SET_ON_PAGES = tuple(name for name in SOURCES if name not in {"pptx", "typst"})


def _program() -> str:
    """The program of the wheel that brings pandoc, found without importing it."""
    spec = find_spec("pypandoc")
    places = spec.submodule_search_locations if spec else None
    return str(Path(places[0]) / "files" / "pandoc") if places else ""


# Each option that only some targets know: its neutral value, and the column of `Notation`.
_APPLIES: tuple[tuple[str, object, str], ...] = (
    ("toc", False, "toc"),
    ("number_sections", False, "numbers"),
    ("highlight", "pygments", "highlights"),
    ("line_width", 0, "wraps"),
    ("standalone", True, "fragment"),
    ("language", "", "language"),
)


def check_written(options: Any, target: str) -> None:
    """Refuse an option that would change nothing in this target. Raises OptionInvalid."""
    notation = NOTATIONS[target]
    for name, neutral, column in _APPLIES:
        if getattr(options, name) != neutral and not getattr(notation, column):
            able = ", ".join(name for name in TARGETS if getattr(NOTATIONS[name], column))
            raise OptionInvalid(f"{name}: it changes nothing in {target}; it is for {able}")
    if options.slide_level and target != "pptx":
        raise OptionInvalid(f"slide_level: {target} has no slides; it is for pptx")
    if options.images == "embed" and notation.pictures == "named":
        raise OptionInvalid(f"images: {target} only names pictures and cannot hold them")
    if not options.standalone and (options.title or options.author or options.toc):
        raise OptionInvalid(
            "standalone: a fragment has no head for a title, an author or a table of contents"
        )


def check_compiled(options: CompileOptions, target: str) -> None:
    """Refuse what is for another target. Raises OptionInvalid."""
    if target != "pdf" and options.pdf_standard != "1.7":
        raise OptionInvalid(f"pdf_standard: it is for pdf, and not for {target}")
    if target != "png" and options.dpi != 144:  # noqa: PLR2004  # the default
        raise OptionInvalid(f"dpi: it is for png, and not for {target}")
    read_inputs(options)


def read_inputs(options: CompileOptions) -> dict[str, str]:
    """The values for sys.inputs. Raises OptionInvalid."""
    try:
        return msgspec.json.decode(options.inputs or "{}", type=dict[str, str])
    except msgspec.MsgspecError as error:
        raise OptionInvalid(
            'inputs: it is a JSON object of texts, such as {"customer": "Ada"}'
        ) from error


CONVERTERS: tuple[Converter, ...] = (
    Converter(
        name="document.restructure",
        family="document",
        title="Write a document in another format: its structure, not its layout",
        sources=SOURCES,
        targets=TARGETS,
        options=RestructureOptions,
        run="engine.converters.document.convert:convert",
        check=check_written,
        default=True,
    ),
    Converter(
        name="document.typeset",
        family="document",
        title="Set a document on pages",
        sources=_SET_ON_PAGES,
        targets=("pdf",),
        options=TypesetOptions,
        run="engine.converters.document.typeset:typeset",
        default=True,
    ),
    Converter(
        name="document.compile",
        family="document",
        title="Compile typst source",
        sources=("typst",),
        targets=("pdf", "png", "svg"),
        options=CompileOptions,
        run="engine.converters.document.typeset:compile_source",
        check=check_compiled,
        default=True,
    ),
    Converter(
        name="document.compare",
        family="document",
        title="Compare two Word documents: what changed, as tracked changes",
        sources=("docx",),
        targets=("docx",),
        options=CompareOptions,
        run="engine.converters.document.comparing.compare:compare",
        inputs_min=2,
        inputs_max=2,
    ),
    Converter(
        name="document.mail",
        family="document",
        title="Write a message as a document",
        sources=MAIL,
        targets=("html", "txt", "md", "docx", "odt", "epub", "rtf"),
        options=MailOptions,
        run="engine.converters.document.convert:mail",
        check=check_written,
        default=True,
    ),
    Converter(
        name="document.mail-pages",
        family="document",
        title="Set a message on pages",
        sources=MAIL,
        targets=("pdf",),
        options=MailPagesOptions,
        run="engine.converters.document.typeset:mail",
        default=True,
    ),
    Converter(
        name="document.metadata",
        family="document",
        title="Say what an office document or a book tells about itself",
        sources=DESCRIBED,
        targets=("json",),
        options=NoOptions,
        run="engine.converters.document.describing:metadata",
    ),
)

FAMILY = Family(
    name="document",
    needs=("PIL", "lxml", "olefile", "oxmsg", "pypandoc", "typst"),
    preload=("engine.task", "engine.converters.document.warm"),
    warm="engine.converters.document.warm:warm",
    touch="engine.converters.document.warm:touch",
    program=_program(),
    needs_files=(_program(),),
    # How GHC's runtime waits for its standard input, on either machine.
    calls=("select", "pselect6"),
    limits=Limits(
        # pandoc's heap ends at 1 GiB (`pandoc.py`), its runtime maps half as much again beside it.
        address_space_bytes=1536 * MIB,
        # A megabyte of Markdown with ten thousand tables takes 4 s, and pandoc's two runs and this
        # process have so much each: what takes longer takes for ever.
        cpu_s=30,
        wall_s=90.0,
        # Text is read whole into a tree of many times its size; beyond this it does not fit.
        input_bytes_max=64 * MIB,
        # typst's layout runs on a pool of threads, of which it gets one.
        threads=1,
    ),
    bounds=Bounds(),
)
