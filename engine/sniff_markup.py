"""Tell markup and JSON apart: by the root element and its namespace, by the keys in front."""

import re
from collections.abc import Iterable

import msgspec

# What may stand before the root element (XML 1.0, 2.8), a document type's own parts included.
# Atomic throughout, here and below: nothing is tried twice, however the text was made.
_PROLOG = re.compile(
    r"(?>\s+|<\?.*?\?>|<!--.*?-->|<!DOCTYPE\s[^\[>]*(?:\[.*?\]\s*+)?>)*+",
    re.DOTALL | re.IGNORECASE,
)
_ROOT = re.compile(r"<(?:[\w.-]+:)?([A-Za-z_][\w.-]*)((?:\s[^>]{0,4000})?)/?>?", re.DOTALL)
# Comments may come before it.
_DOCTYPE_WITHIN = 4096
_DOCTYPE = re.compile(r"<!DOCTYPE\s+([\w:.-]+)([^\[>]*)", re.IGNORECASE)
_HTML = re.compile(
    r"(?>\s+|<!--.*?-->)*+<(?:!doctype\s+html|html|head|body)(?:[\s/>]|$)",
    re.IGNORECASE | re.DOTALL,
)
_FRAGMENT = re.compile(
    r"(?>\s+|<!--.*?-->)*+<(?:title|table|div|script|style|meta|link|ul|ol|p|h[1-6]|form|pre"
    r"|blockquote|nav|footer|dl)(?:[\s/>]|$)",
    re.IGNORECASE | re.DOTALL,
)
# Tags that a text may begin with that is otherwise none: the end must look like HTML as well.
_INLINE = re.compile(
    r"(?>\s+|<!--.*?-->)*+<(?:a|b|i|em|strong|span|font|center|img|br|hr|main|header)(?:[\s/>]|$)",
    re.IGNORECASE | re.DOTALL,
)
# HTML behind a few words.
_LATER_MAX = 512
_HTML_LATER = re.compile(r"<html[\s>]", re.IGNORECASE)
_HTML_PARTS = re.compile(r"<(?:head|body|title)[\s>]", re.IGNORECASE)

# By the root's local name; where others use the word too, something that its attributes hold.
_ROOTS: tuple[tuple[str, str, str], ...] = (
    ("svg", "", "svg"),
    ("html", "", "html"),
    ("gpx", "", "gpx"),
    ("kml", "", "kml"),
    ("FictionBook", "", "fb2"),
    ("tt", "ttml", "ttml"),
    ("tt", "ttaf", "ttml"),
    ("opml", "", "opml"),
    ("COLLADA", "", "dae"),
    ("X3D", "", "x3d"),
    ("score-partwise", "", "musicxml"),
    ("score-timewise", "", "musicxml"),
    ("plist", "", "plist"),
    ("xliff", "", "xliff"),
    ("rss", "", "rss"),
    ("feed", "Atom", "rss"),
    ("TEI", "", "tei"),
    *((root, "docbook", "docbook") for root in ("book", "article", "chapter", "section", "set")),
    *((root, "docbook", "docbook") for root in ("info", "appendix", "refentry", "part")),
    ("article", "JATS", "jats"),
    ("document", "opendocument.text", "fodt"),
    ("document", "opendocument.spreadsheet", "fods"),
    ("document", "opendocument.presentation", "fodp"),
)


def sniff_markup(start: str) -> str | None:
    """XML by its root, HTML by its first tag; None for what begins with no tag."""
    if not start.startswith("<"):
        return None
    if _HTML.match(start):
        return "html"
    if is_fragment(start):
        return None
    return _by_root(start)


def _by_root(start: str) -> str | None:
    prolog, doctype = _PROLOG.match(start), _DOCTYPE.search(start, 0, _DOCTYPE_WITHIN)
    root = _ROOT.match(start, prolog.end() if prolog else 0)
    is_xml = start.startswith("<?xml") or doctype is not None
    if root is None:
        return "xml" if is_xml else None
    attributes = (root[2] + (doctype[2] if doctype else "")).lower()
    for wanted, holding, found in _ROOTS:
        if root[1] == wanted and holding.lower() in attributes:
            return found
    # An element alone can be a template, a log or a mail address; one with a namespace is XML.
    return "xml" if is_xml or "xmlns" in attributes or _is_closed(start, root[1]) else None


def is_fragment(start: str) -> bool:
    """Whether the text is HTML without its head; Markdown may begin with some, too."""
    return _FRAGMENT.match(start) is not None or (
        _INLINE.match(start) is not None and start.rstrip().endswith(">")
    )


def is_html_later(start: str) -> bool:
    """Whether a page begins behind a few words that do not belong to it."""
    later = _HTML_LATER.search(start, 0, _LATER_MAX)
    return later is not None and _HTML_PARTS.search(start, later.end()) is not None


def _is_closed(start: str, root: str) -> bool:
    """Whether the text ends with the end of its first element."""
    return start.rstrip()[-len(root) - 1 :] == f"{root}>"


_JSON = re.compile(
    r'\{\s*(?:"(?:[^"\\]|\\.)*"\s*:|\})|\[\s*(?:[{"\]]|-?\d[\d.eE+-]*\s*[,\]]|(?:true|false|null)\s*[,\]]'
    r'|\[\s*(?:["{\[\]]|-?\d[\d.eE+-]*\s*[,\]]|null))'
)
# What stands in each dialect; the first one that has all of it decides.
_DIALECTS = (
    (
        "geojson",
        (
            re.compile(
                r'"type"\s*:\s*"(?:FeatureCollection|Feature|Point|LineString|Polygon|Multi\w+'
                r'|GeometryCollection)"'
            ),
            re.compile(r'"(?:features|geometry|coordinates|geometries)"'),
        ),
    ),
    ("gltf", (re.compile(r'"asset"\s*:\s*\{[^}]{0,400}"version"\s*:\s*"[12]\.'),)),
    (
        "ipynb",
        (
            re.compile(r'"(?:cells|worksheets)"\s*:\s*\[|"nbformat"\s*:\s*\d'),
            re.compile(r'"(?:metadata|nbformat|cell_type)"'),
        ),
    ),
    ("topojson", (re.compile(r'"type"\s*:\s*"Topology"'),)),
)


def sniff_json(start: str, *, whole: str | None) -> str | None:
    """JSON, one of its dialects, or a sequence of it by lines; None for what is neither.

    `whole`: the whole text where it is here, which is then parsed.
    """
    if not _JSON.match(start):
        return None
    first, _, rest = start.partition("\n")
    if rest.lstrip()[:1] in {"{", "["} and _parses(first):
        return "ndjson"
    if whole is not None and not _parses(whole):
        return None
    return next((name for name, patterns in _DIALECTS if _all_in(patterns, start)), "json")


def _all_in(patterns: Iterable[re.Pattern[str]], start: str) -> bool:
    return all(pattern.search(start) for pattern in patterns)


def _parses(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return False
    return True
