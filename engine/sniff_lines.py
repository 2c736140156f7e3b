"""Tell formats that are made of lines: subtitles, mail, tables, settings, meshes."""

import csv
import re
from collections.abc import Mapping

# What is looked at where each line is taken apart.
_LINES, _LINE_CHARS = 60, 300


def sniff_lines(start: str, *, complete: bool) -> str | None:
    """The format whose rules all lines keep, or None. The last line may be cut."""
    lines = start.split("\n")
    if not complete and len(lines) > 1:
        lines.pop()
    lines = [line.rstrip("\r") for line in lines]
    heads = [line[:_LINE_CHARS] for line in lines[:_LINES]]
    return (
        _subtitles(start)
        or _mail(lines)
        or _mesh(lines)
        or _toml(heads)
        or _yaml(heads)
        or _table(lines)
    )


_SUBTITLES = (
    (re.compile(r"\d+\s*\n\s*\d\d?:\d\d:\d\d[,.]\d{1,3}\s*-->"), "srt"),
    (re.compile(r"\d\d?:\d\d:\d\d[,.]\d{1,3}\s*-->\s*\d\d?:\d\d:\d\d[,.]\d{1,3}"), "srt"),
    (re.compile(r"\{(?:\d+|DEFAULT)\}\{\d*\}"), "sub"),
    (re.compile(r"\[\d+\]\[\d*\]"), "mpl2"),
    (re.compile(r"\d\d?:\d\d:\d\d[:=]\S.*\n\d\d?:\d\d:\d\d[:=]"), "tmp"),
    (re.compile(r"\d:\d\d:\d\d\.\d{3},\d:\d\d:\d\d\.\d{3}\s*\n"), "sbv"),
    (re.compile(r"\[\d\d:\d\d[.:]\d\d\].*\n\s*\[\d\d:\d\d[.:]\d\d\]"), "lrc"),
)


def _subtitles(start: str) -> str | None:
    text = start[:400].replace("\r\n", "\n").replace("\r", "\n")
    return next((name for pattern, name in _SUBTITLES if pattern.match(text)), None)


_HEADER = re.compile(r"([A-Za-z][\w-]*):(?:\s|$)")
_MAIL_HEADERS = frozenset(
    {
        *("from", "to", "cc", "subject", "date", "received", "return-path", "message-id"),
        *("mime-version", "delivered-to", "content-type", "reply-to", "sender", "in-reply-to"),
        *("content-transfer-encoding", "envelope-to", "list-id", "dkim-signature", "references"),
        *("x-mailer", "x-priority", "received-spf", "authentication-results", "thread-topic"),
    }
)
# One of them is in every message (RFC 5322, 3.6).
_MAIL_TELLING = frozenset({"from", "received", "message-id", "return-path", "mime-version"})
_MAIL_HEADERS_MIN = 3
_MBOX = re.compile(r"From \S+ .*\d\d:\d\d")


def _mail(lines: list[str]) -> str | None:
    """Headers up to the first empty line, enough of them a mail's."""
    first = 1 if _MBOX.match(lines[0]) else 0
    headers: dict[str, str] = {}
    name = ""
    for line in lines[first:200]:
        if not line.strip():
            break
        header = _HEADER.match(line)
        if header is not None:
            name = header[1].lower()
        elif not name or line[:1] not in " \t>":
            return None
        headers[name] = headers.get(name, "") + line.lower()
    if (
        len(_MAIL_HEADERS & headers.keys()) < _MAIL_HEADERS_MIN
        or not _MAIL_TELLING & headers.keys()
    ):
        return None
    return "mbox" if first else "mhtml" if _is_saved_page(headers) else "eml"


def _is_saved_page(headers: Mapping[str, str]) -> bool:
    """Whether a browser saved it: a mail with pictures has been sent to somebody."""
    if "multipart/related" not in headers.get("content-type", ""):
        return False
    return "snapshot-content-location" in headers or not {"to", "received"} & headers.keys()


_NUMBER = r"-?\d+\.?\d*(?:[eE][+-]?\d+)?"
_VERTEX = re.compile(rf"v\s+{_NUMBER}\s+{_NUMBER}\s+{_NUMBER}")
_MESH_WORDS = frozenset(
    {
        *("v", "vt", "vn", "vp", "f", "l", "p", "o", "g", "s", "mg", "usemtl", "mtllib", "usemap"),
        *("cstype", "deg", "curv", "surf", "parm", "end", "shadow_obj"),
    }
)
_VERTICES_MIN = 3


def _mesh(lines: list[str]) -> str | None:
    """Wavefront OBJ: every line begins with one of its words, and there are vertices."""
    said = [line for line in lines if line.strip() and not line.startswith("#")][:400]
    if any(line.split(None, 1)[0] not in _MESH_WORDS for line in said):
        return None
    return "obj" if sum(bool(_VERTEX.match(line)) for line in said) >= _VERTICES_MIN else None


_TOML_TABLE = re.compile(r"\[\[?[\w.\"' -]+\]\]?\s*(?:#.*)?$")
_TOML_VALUE = re.compile(
    r"""[\w."' -]+=\s*(?:"|'|\[|\{|[+-]?\d|[+-]?(?:inf|nan)\b|(?:true|false)\s*(?:\#.*)?$)"""
)


def _toml(lines: list[str]) -> str | None:
    """Tables and values that are quoted or of a kind that TOML has; INI files quote nothing."""
    values = tables = 0
    inside = False  # an array or a text of several lines
    for line in lines:
        said = line.strip()
        if inside:
            inside = not (said.endswith(('"""', "'''", "]")) or said[:1] in {"]", "}"})
        elif _TOML_TABLE.match(said):
            tables += 1
        elif _TOML_VALUE.match(said):
            values += 1
            value = said.partition("=")[2].strip()
            longs = value.startswith(('"""', "'''")) and value.count(value[:3]) == 1
            inside = longs or (value.startswith("[") and value.count("[") > value.count("]"))
        elif said and not said.startswith("#"):
            return None
    return "toml" if values and (tables or values > 1) else None


_YAML_KEY = re.compile(
    r"""(?:[\w./$@*~<>+-]+(?: [\w./-]+){0,4}|"[^"]+"|'[^']+')\s*:(?:\s+[^\s`%@]|\s*$)"""
)
_YAML_BEGIN = re.compile(r"(?:%YAML\b|%TAG\b|---(?:\s|$)|\.\.\.\s*$)")
# "Note: this" and "Warning: that" are prose; three of them in a row, and nothing else, are not.
_YAML_NODES_MIN = 2
_YAML_BLOCKS = ("|", ">", "|-", ">-", "|+", ">+")
_YAML_VALUES = ("[", "{", "]", "}", '"', "'", "&", "*", "!", "|", ">")


def _yaml(lines: list[str]) -> str | None:
    """Keys and items at the left, and what hangs below them; prose and code break the rule."""
    shape = _YamlShape()
    for number, line in enumerate(lines):
        if number and lines[0][:3] == line[:3] == "---" and _is_front_matter(lines[number + 1 :]):
            return "md"
        if not shape.takes(line):
            return None
    return "yaml" if shape.is_certain() else None


class _YamlShape:
    """What the lines so far are made of."""

    def __init__(self) -> None:
        self._keys = self._items = self._hanging = 0
        self._begun = False
        # The last key has its value below; or a text block, whose lines are anything.
        self._opened = self._block = False

    def takes(self, line: str) -> bool:
        """Whether the line can be one of YAML."""
        said = line.strip()
        if not said or said.startswith("#") or (line[:1] in " \t" and self._block):
            return True
        if _YAML_BEGIN.match(line):
            self._begun = True
            return True
        if line[:1] == " ":
            return self._takes_below(said)
        is_item = said == "-" or said.startswith("- ")
        is_key = _YAML_KEY.match(line) is not None and not said.endswith((";", "{"))
        self._items += is_item
        self._hanging += is_item and _YAML_KEY.match(said[2:]) is not None
        self._keys += is_key
        self._note_end(said)
        return is_item or is_key or line[:1] in "]}"

    def is_certain(self) -> bool:
        """Whether it is more than lines that anybody writes."""
        if self._begun:
            return self._keys + self._items > 0
        if not self._keys:  # a list of dashes is anybody's; one of keys is not
            return self._items > 1 and self._hanging * 2 >= self._items
        return self._keys + self._hanging + self._items > _YAML_NODES_MIN

    def _takes_below(self, said: str) -> bool:
        is_node = _YAML_KEY.match(said) is not None or said.startswith(("- ", "? "))
        is_value = said.startswith(_YAML_VALUES) and not said.startswith('"""')
        if self._opened and not is_node and not is_value:
            return False  # a statement below `try:`
        self._hanging += is_node
        self._note_end(said)
        return True

    def _note_end(self, said: str) -> None:
        self._opened = said.endswith(":")
        self._block = said.endswith(_YAML_BLOCKS)


def _is_front_matter(rest: list[str]) -> bool:
    """Whether text follows, and no second document."""
    said = [line for line in rest if line.strip()]
    return bool(said) and not _YAML_KEY.match(said[0]) and not said[0].startswith(("- ", "---"))


_DELIMITERS = ((",", "csv"), ("\t", "tsv"), (";", "csv"))
_ROWS_MIN, _ROWS = 2, 40
# Cells of prose are longer.
_CELL_MAX = 200
# Lines of a verse that may happen to have a comma each.
_VERSE_MAX = 4
_CODE = re.compile(r"^\s|[{}]\s*$|;\s*$|^(?:#|//|/\*|import |from |def |function )")


def _table(lines: list[str]) -> str | None:
    """As many cells in each row, for one delimiter; few rows must look the more like a table."""
    said = [line for line in lines if line.strip()]
    if len(said) < _ROWS_MIN:
        return None
    for delimiter, name in _DELIMITERS:
        if delimiter in said[0] and _is_table(said, delimiter):
            return name
    return None


def _is_table(lines: list[str], delimiter: str) -> bool:
    shown = lines[:_ROWS]
    rows = _rows(lines, delimiter)
    widths = {len(row) for row in rows}
    if len(rows) < _ROWS_MIN or len(widths) != 1 or widths == {1}:
        return False
    quoted = sum(f'{delimiter}"' in line or f'{delimiter} "' in line for line in shown)
    if delimiter == "\t" or quoted * 2 > len(rows):
        return True
    looks_like_code = sum(bool(_CODE.search(line)) for line in shown) * 2 > len(shown)
    if looks_like_code or any(len(cell) > _CELL_MAX for row in rows for cell in row):
        return False
    # "One, two" over "three, four": a comma with a blank after it is a sentence's, in short texts.
    spaced = sum(f"{delimiter} " in line for line in shown)
    return len(rows) > _VERSE_MAX or spaced * 2 <= len(shown)


def _rows(lines: list[str], delimiter: str) -> list[list[str]]:
    """The first rows, without one that may be cut."""
    ended = (line + "\n" for line in lines[: 4 * _ROWS])
    try:
        rows = [row for row in csv.reader(ended, delimiter=delimiter, skipinitialspace=True) if row]
    except csv.Error:
        return []
    return rows[:_ROWS] if len(rows) <= _ROWS_MIN else rows[:-1][:_ROWS]
