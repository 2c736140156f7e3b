"""Blocks written as HTML, as Markdown and as plain text."""

import base64
import html
import re
from collections.abc import Iterator

from engine.converters.pdf.content.blocks import Block, Pages, Runs

_STYLE = (
    "body{font-family:serif;line-height:1.4;max-width:44em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;margin:1em 0}td{border:1px solid #999;padding:.2em .5em}"
    "img{max-width:100%}section+section{border-top:1px solid #ddd;margin-top:2em}"
)
# What would be taken for markup at the beginning of a line, and anywhere (CommonMark 0.31).
_LINE_MARKUP = re.compile(r"^(#{1,6}\s|[-+>]\s?|=+$|\d{1,9}[.)]\s)")
_MARKUP = re.compile(r"([\\`*_\[\]<>])")


def as_html(pages: Pages, language: str) -> str:
    """A page for each page, without any script; pictures are inside."""
    body = "\n".join(
        f'<section id="page-{number}">\n{"".join(_html(page))}</section>'
        for number, page in enumerate(pages, 1)
    )
    title = html.escape(next((one.text for page in pages for one in page if one.level == 1), ""))
    stated = f' lang="{html.escape(language)}"' if language else ""
    return (
        f'<!DOCTYPE html>\n<html{stated}><head><meta charset="utf-8"><title>{title}</title>\n'
        f"<style>{_STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )


def _html(page: list[Block]) -> Iterator[str]:
    inside = ""  # the list that is open
    for block in page:
        wanted = ("ol" if block.ordered else "ul") if block.kind == "item" else ""
        if wanted != inside:
            yield f"</{inside}>\n" if inside else ""
            yield f"<{wanted}>\n" if wanted else ""
            inside = wanted
        yield _html_block(block)
    yield f"</{inside}>\n" if inside else ""


def _html_block(block: Block) -> str:
    if block.kind == "table":
        rows = (
            "".join(f"<td>{_html_runs(cell)}</td>" for cell in row) for row in block.rows
        )  # fmt: skip
        return "<table>\n" + "".join(f"<tr>{row}</tr>\n" for row in rows) + "</table>\n"
    if block.kind == "picture":
        return f'<p><img alt="" src="{_data(block)}"></p>\n'
    tag = {"heading": f"h{block.level}", "item": "li"}.get(block.kind, "p")
    return f"<{tag}>{_html_runs(block.runs)}</{tag}>\n"


def _html_runs(runs: Runs) -> str:
    written = []
    for run in runs:
        text = html.escape(run.text)
        text = f"<em>{text}</em>" if run.italic else text
        text = f"<strong>{text}</strong>" if run.bold else text
        written.append(f'<a href="{html.escape(run.link)}">{text}</a>' if run.link else text)
    return "".join(written)


def _data(block: Block) -> str:
    content = base64.b64encode(block.picture).decode()
    return f"data:image/{block.picture_kind};base64,{content}"


def as_markdown(pages: Pages) -> str:
    """CommonMark with the tables of GitHub; pages follow each other without a mark."""
    written: list[str] = []
    last = ""
    for block in (block for page in pages for block in page):
        together = block.kind == last == "item"
        written.append(("" if together or not written else "\n") + _markdown_block(block))
        last = block.kind
    return "".join(written)


def _markdown_block(block: Block) -> str:
    if block.kind == "heading":
        # Bold in a heading says nothing more.
        plain = tuple(run._replace(bold=False) for run in block.runs)
        return f"{'#' * block.level} {_markdown_runs(plain)}\n"
    if block.kind == "item":
        return f"{'1.' if block.ordered else '-'} {_line(block.runs)}\n"
    if block.kind == "picture":
        return f"![]({_data(block)})\n"
    if block.kind == "table":
        return _markdown_table(block)
    return f"{_line(block.runs)}\n"


def _line(runs: Runs) -> str:
    return _LINE_MARKUP.sub(r"\\\1", _markdown_runs(runs))


def _markdown_table(block: Block) -> str:
    width = max(map(len, block.rows))
    rows = [
        [_markdown_runs(cell).replace("|", "\\|") for cell in row] + [""] * (width - len(row))
        for row in block.rows
    ]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([lines[0], f"|{' --- |' * width}", *lines[1:]]) + "\n"


def _markdown_runs(runs: Runs) -> str:
    written = []
    for run in runs:
        core = run.text.strip()
        text = _MARKUP.sub(r"\\\1", core)
        mark = ("**" if run.bold else "") + ("*" if run.italic else "")
        if core:
            text = f"{mark}{text}{mark[::-1]}"
            text = f"[{text}](<{run.link}>)" if run.link else text
        before = run.text[: len(run.text) - len(run.text.lstrip())]
        after = run.text[len(run.text.rstrip()) :] if core else ""
        written.append(before + text + after)
    return "".join(written)


def as_text(page: list[Block]) -> str:
    """A paragraph a line, an empty line between; cells of a table apart by tabs."""
    written: list[str] = []
    last = ""
    for block in page:
        together = block.kind == last == "item"
        rows = ["\t".join("".join(run.text for run in cell) for cell in row) for row in block.rows]
        lines = rows or [f"{'- ' if block.kind == 'item' else ''}{block.text}"]
        written.append(("" if together or not written else "\n") + "\n".join(lines) + "\n")
        last = block.kind
    return "".join(written)
