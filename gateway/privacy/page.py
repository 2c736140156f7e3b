"""The privacy page as HTML: small, one style, no script, nothing from anywhere else."""

import base64
import hashlib
from collections.abc import Iterable, Iterator
from html import escape

from gateway.privacy.policy import Policy, Published

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;font-size:.85rem}"
    "td,th{border-bottom:1px solid #ccc;padding:.3rem .6rem;text-align:left;vertical-align:top}"
    "small{color:#666}"
)
# Whatever a sentence may hold: a browser runs nothing here, and asks nobody.
POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; style-src"
    f" 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
)


def html_of(published: Published) -> str:
    """The whole document."""
    return "".join(_document(published))


def _document(published: Published) -> Iterator[str]:
    page = published.page
    yield '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width">'
    yield f"<title>Privacy</title><style>{_STYLE}</style></head><body><h1>Privacy</h1>"
    yield f"<p>Version <code>{published.version[:16]}</code> of {escape(page.service)}, as "
    yield '<a href="/privacy.json">JSON</a>; <a href="/privacy/versions">all versions</a>. '
    yield "Each sentence has the name of a claim, which tests of the program try.</p>"
    yield from _who(page)
    for section in page.sections:
        if section.sentences:
            yield f"<h2>{escape(section.title)}</h2><ul>"
            for one in section.sentences:
                yield f"<li>{escape(one.text)} <small>{one.claim}</small></li>"
            yield "</ul>"
    yield from _tables(page)
    yield "</body></html>"


def _who(page: Policy) -> Iterator[str]:
    said = {
        "Responsible": page.controller,
        "Contact": page.contact,
        "Data protection officer": page.officer,
        "Supervisory authority": page.authority,
        "Where the data is": page.region,
    }
    yield from _list({name: text for name, text in said.items() if text})


def _tables(page: Policy) -> Iterator[str]:
    yield "<h2>What is kept, why, and for how long</h2>"
    yield from _table(
        ("What", "Kinds", "Why", "Basis", "How long", "When its owner goes"),
        (
            (
                one.table,
                ", ".join(one.categories),
                "; ".join(one.purposes),
                one.basis,
                one.kept,
                one.at_the_end,
            )
            for one in page.kept
        ),
    )
    yield "<h2>Others</h2>"
    others = [(one.name, one.purpose, one.sees, one.region) for one in page.subprocessors]
    yield from _table(("Who", "What for", "Sees", "Where"), others)
    yield "<h2>Cookies</h2>"
    cookies = [(one.name, one.purpose, one.lifetime) for one in page.cookies]
    yield from _table(("Name", "What for", "How long"), cookies)
    yield "<h2>What you can object to</h2>"
    yield from _list(page.objections)
    yield "<h2>Mails</h2>"
    yield from _list(page.mails)
    yield "<h2>Fields of logs</h2>"
    yield from _list(page.log_fields)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    shown = list(rows)
    if not shown:
        yield "<p>None.</p>"
        return
    yield "<table><tr>" + "".join(f"<th>{escape(one)}</th>" for one in head) + "</tr>"
    for row in shown:
        yield "<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>"
    yield "</table>"


def _list(said: dict[str, str]) -> Iterator[str]:
    yield "<ul>"
    for name, text in said.items():
        yield f"<li><b>{escape(name)}</b>: {escape(text)}</li>"
    yield "</ul>"
