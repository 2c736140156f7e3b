"""Tables as an HTML page or as Markdown (pipe tables), to be read by people."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from html import escape

from engine.converter import Work
from engine.converters.capped import CappedBuffer
from engine.converters.data.tables import Notes, Table, Value, bounded
from engine.converters.data.words import Writing, word_of
from engine.job import Buffer

_STYLE = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:2em}table{border-collapse:collapse;margin:1em"
    " 0}th,td{border:1px solid #ccc;padding:.3em .6em;text-align:left;vertical-align:top}"
    "th{background:#f3f3f3}td.n{text-align:right;font-variant-numeric:tabular-nums}"
)
_TD_NUMBER = "<td class=n>"
_PIECES = 4_000


def write(tables: Sequence[Table], work: Work, _notes: Notes) -> Buffer:
    """All tables in one page. Raises TargetTooLarge."""
    options = work.options
    how = Writing(
        comma=options.decimal_out == "comma", date_format=options.date_format, null=options.null_out
    )
    lines = _html(tables, how) if work.target == "html" else _markdown(tables, how)
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    pieces: list[str] = []
    for line in lines:
        pieces.append(line)
        if len(pieces) == _PIECES:
            buffer.write("".join(pieces).encode(errors="replace"))
            pieces.clear()
    buffer.write("".join(pieces).encode(errors="replace"))
    return buffer.take()


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _html(tables: Sequence[Table], how: Writing) -> Iterator[str]:
    title = escape(tables[0].name) if tables else ""
    yield (
        f'<!DOCTYPE html>\n<html>\n<head>\n<meta charset="utf-8">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    for table in tables:
        yield "<table>\n"
        if len(tables) > 1:
            yield f"<caption>{escape(table.name)}</caption>\n"
        cells = "".join(f"<th>{_for_html(name)}</th>" for name in table.columns)
        yield f"<thead>\n<tr>{cells}</tr>\n</thead>\n<tbody>\n"
        for row in bounded(table.rows(), len(table.columns)):
            cells = "".join(
                (_TD_NUMBER if _is_number(value) else "<td>")
                + _for_html(word_of(value, how))
                + "</td>"
                for value in row
            )
            yield f"<tr>{cells}</tr>\n"
        yield "</tbody>\n</table>\n"
    yield "</body>\n</html>\n"


def _for_html(word: str) -> str:
    return escape(word, quote=False).replace("\n", "<br>")


def _markdown(tables: Sequence[Table], how: Writing) -> Iterator[str]:
    for place, table in enumerate(tables):
        if len(tables) > 1:
            yield f"{chr(10) if place else ''}## {_for_markdown(table.name)}\n\n"
        yield _line(table.columns, _for_markdown)
        # Numbers stand right where the first row holds one.
        first = next(table.rows(), ())
        yield _line(
            ["---:" if _is_number(value) else "---" for value in first]
            or ["---"] * len(table.columns),
            str,
        )
        for row in bounded(table.rows(), len(table.columns)):
            yield _line([word_of(value, how) for value in row], _for_markdown)


def _line(words: Sequence[str], change: Callable[[str], str]) -> str:
    return "| " + " | ".join(change(word) for word in words) + " |\n"


_MARKDOWN = str.maketrans(
    {character: f"\\{character}" for character in "\\|*_`[]<~"} | {"\n": "<br>", "\r": ""}
)


def _for_markdown(word: str) -> str:
    return word.translate(_MARKDOWN)
