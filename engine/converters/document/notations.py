"""What each document format can hold, and what pandoc calls it: one row a format, nothing else.

Imported by the catalogue, so no codec is. The columns about targets were found by comparing what
pandoc 3.9 writes with and without an option: one that changes nothing is refused for that target
(`catalogue.check_options`) and so never ignored in silence.
"""

import msgspec

# Markdown as people write it: lists and quotes need no empty line before them, bare addresses are
# links. Everything else is pandoc's: tables, footnotes, formulas, metadata.
_LENIENT_MARKDOWN = (
    "markdown-blank_before_header-blank_before_blockquote+lists_without_preceding_blankline"
    "+autolink_bare_uris+emoji+mark+alerts"
)
READ_FLAVOURS = {
    "auto": _LENIENT_MARKDOWN,
    "pandoc": "markdown",
    "gfm": "gfm",
    "commonmark": "commonmark",
}
WRITE_FLAVOURS = {
    "auto": "gfm-raw_html+pipe_tables",
    "pandoc": "markdown",
    "gfm": "gfm",
    "commonmark": "commonmark",
}


class Notation(msgspec.Struct, frozen=True, kw_only=True):
    """One format. Empty names: pandoc does not read, or does not write it."""

    reader: str = ""
    writer: str = ""
    # A ZIP of parts, which names its own encoding.
    packed: bool = False
    # Whether a written file carries its pictures: always, where asked for, or only names them.
    pictures: str = "named"  # "held", "asked", "named"
    # Whether raw HTML means something in it.
    speaks_html: bool = False
    # What the options can change in a written file.
    toc: bool = False
    numbers: bool = False
    highlights: bool = False
    wraps: bool = False
    fragment: bool = False
    language: bool = False


NOTATIONS: dict[str, Notation] = {
    "md": Notation(
        reader=_LENIENT_MARKDOWN,
        writer=WRITE_FLAVOURS["auto"],
        pictures="asked",
        speaks_html=True,
        toc=True,
        wraps=True,
        fragment=True,
        language=True,
    ),
    "html": Notation(
        reader="html",
        writer="html",
        pictures="held",
        speaks_html=True,
        toc=True,
        numbers=True,
        highlights=True,
        wraps=True,
        fragment=True,
        language=True,
    ),
    "docx": Notation(
        reader="docx",
        writer="docx",
        packed=True,
        pictures="held",
        toc=True,
        numbers=True,
        highlights=True,
        language=True,
    ),
    "odt": Notation(
        reader="odt",
        writer="odt",
        packed=True,
        pictures="held",
        toc=True,
        highlights=True,
        language=True,
    ),
    "epub": Notation(
        reader="epub",
        writer="epub",
        packed=True,
        pictures="held",
        speaks_html=True,
        toc=True,
        numbers=True,
        highlights=True,
        language=True,
    ),
    "pptx": Notation(
        reader="pptx", writer="pptx", packed=True, pictures="held", toc=True, highlights=True
    ),
    "latex": Notation(
        reader="latex",
        writer="latex",
        toc=True,
        numbers=True,
        highlights=True,
        wraps=True,
        fragment=True,
        language=True,
    ),
    "typst": Notation(
        reader="typst",
        writer="typst",
        toc=True,
        numbers=True,
        highlights=True,
        wraps=True,
        fragment=True,
        language=True,
    ),
    "rst": Notation(reader="rst", writer="rst", toc=True, numbers=True, wraps=True, fragment=True),
    "org": Notation(reader="org", writer="org", wraps=True, fragment=True),
    "textile": Notation(reader="textile", writer="textile"),
    "mediawiki": Notation(reader="mediawiki", writer="mediawiki", toc=True),
    "dokuwiki": Notation(reader="dokuwiki", writer="dokuwiki", toc=True),
    "jira": Notation(reader="jira", writer="jira"),
    "asciidoc": Notation(
        reader="asciidoc", writer="asciidoc", toc=True, wraps=True, fragment=True, language=True
    ),
    "docbook": Notation(
        reader="docbook", writer="docbook", wraps=True, fragment=True, language=True
    ),
    "jats": Notation(
        reader="jats", writer="jats_articleauthoring", numbers=True, wraps=True, fragment=True
    ),
    "fb2": Notation(reader="fb2", writer="fb2", pictures="held", language=True),
    "ipynb": Notation(reader="ipynb", writer="ipynb", pictures="held"),
    "rtf": Notation(reader="rtf", writer="rtf", pictures="held", toc=True, fragment=True),
    "man": Notation(reader="man", writer="man", highlights=True, wraps=True, fragment=True),
    "djot": Notation(reader="djot", writer="djot", wraps=True, fragment=True),
    "opml": Notation(reader="opml", writer="opml", wraps=True, fragment=True),
    # Plain text is read by this package: pandoc has no reader for it.
    "txt": Notation(reader="txt", writer="plain", toc=True, wraps=True, fragment=True),
}

SOURCES = tuple(name for name, row in NOTATIONS.items() if row.reader)
TARGETS = tuple(name for name, row in NOTATIONS.items() if row.writer)
