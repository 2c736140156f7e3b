"""Content lines, the grammar that iCalendar and vCard share (RFC 5545, 3.1; RFC 6350, 3.2)."""

import re
from collections.abc import Iterator, Mapping

import msgspec

from engine.errors import SourceTooComplex, SourceUnreadable

_LINES_MAX = 500_000
_DEPTH_MAX = 20
_FOLD_BYTES = 75
_NAME = re.compile(r"([\w-]+\.)?([\w-]+)")
_PARAMETER = re.compile(r';([\w-]+)(?:=((?:"[^"]*"|[^";:,]*)(?:,(?:"[^"]*"|[^";:,]*))*))?')


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One line: a name in lower case, parameters, and the raw value."""

    name: str
    parameters: Mapping[str, tuple[str, ...]] = {}
    value: str = ""


class Component(msgspec.Struct, kw_only=True):
    """What stands between BEGIN and END."""

    name: str
    properties: list[Property] = []
    components: list["Component"] = []

    def first(self, name: str) -> Property | None:
        """The first property of this name."""
        return next((one for one in self.properties if one.name == name), None)


def parse(text: str, root: str) -> list[Component]:
    """The outermost components, all of which are `root`s. Raises SourceUnreadable."""
    found: list[Component] = []
    open_ones: list[Component] = []
    for number, line in enumerate(_unfolded(text)):
        if number > _LINES_MAX:
            raise SourceTooComplex(f"the file has more than {_LINES_MAX} lines, the limit")
        one = _property(line)
        if one is None:
            raise _unreadable()
        if one.name == "begin":
            opened = Component(name=one.value.strip().lower())
            (open_ones[-1].components if open_ones else found).append(opened)
            open_ones.append(opened)
            if len(open_ones) > _DEPTH_MAX:
                raise SourceTooComplex("the file is nested too deeply")
        elif one.name == "end":
            if not open_ones or open_ones.pop().name != one.value.strip().lower():
                raise _unreadable()
        elif open_ones:
            open_ones[-1].properties.append(one)
        else:
            raise _unreadable()
    if open_ones or not found or any(one.name != root for one in found):
        raise _unreadable()
    return found


def _unreadable() -> SourceUnreadable:
    return SourceUnreadable("the file cannot be read: it is damaged or cut off")


def _unfolded(text: str) -> Iterator[str]:
    """Lines put together again; old vCards fold quoted-printable with = at the end."""
    line = ""
    for piece in text.split("\n"):
        if line and piece[:1] in {" ", "\t"}:
            line += piece[1:]
        elif line.endswith("=") and "QUOTED-PRINTABLE" in line.upper():
            line = line[:-1] + piece
        else:
            if line.strip():
                yield line
            line = piece
    if line.strip():
        yield line


def _property(line: str) -> Property | None:
    name = _NAME.match(line)
    if name is None:
        return None
    at = name.end()
    parameters: dict[str, tuple[str, ...]] = {}
    while (found := _PARAMETER.match(line, at)) is not None:
        at = found.end()
        key, values = found[1].lower(), found[2]
        if values is None:  # vCard 2.1: TEL;HOME:...
            key, values = ("encoding" if key == "quoted-printable" else "type"), found[1]
        words = re.findall(r'"[^"]*"|[^,]+', values)
        parameters[key] = (*parameters.get(key, ()), *(word.strip('"') for word in words))
    if line[at : at + 1] != ":":
        return None
    group = name[1]
    if group:
        parameters["group"] = (group[:-1],)
    return Property(name=name[2].lower(), parameters=parameters, value=line[at + 1 :])


def write(component: Component) -> str:
    """A component as lines, folded at 75 bytes."""
    lines = [f"BEGIN:{component.name.upper()}"]
    for one in component.properties:
        parameters = dict(one.parameters)
        group = parameters.pop("group", ())
        label = "".join(f"{word}." for word in group) + one.name.upper()
        told = "".join(
            f";{key.upper()}={','.join(map(_quoted, values))}" for key, values in parameters.items()
        )
        lines.append(_folded(f"{label}{told}:{one.value}"))
    written = "\r\n".join(lines) + "\r\n"
    written += "".join(write(inner) for inner in component.components)
    return f"{written}END:{component.name.upper()}\r\n"


def _quoted(word: str) -> str:
    plain = re.sub(r'["\x00-\x1f\x7f]', "", word)
    return f'"{plain}"' if re.search("[:;,]", plain) else plain


def _folded(line: str) -> str:
    pieces, piece, size = [], "", 0
    for character in line:
        width = len(character.encode("utf-8", "replace"))
        if size + width > _FOLD_BYTES:
            pieces.append(piece)
            piece, size = " ", 1
        piece += character
        size += width
    return "\r\n".join([*pieces, piece])


def escape(text: str) -> str:
    """A TEXT value."""
    plain = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text.replace("\r\n", "\n"))
    plain = plain.replace("\\", "\\\\").replace("\n", "\\n")
    return plain.replace(",", "\\,").replace(";", "\\;")


def unescape(value: str) -> str:
    """The text of a TEXT value."""
    return re.sub(
        r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value, flags=re.DOTALL
    )


def split(value: str, mark: str) -> list[str]:
    """The parts of a value at each mark that is not escaped, still escaped."""
    parts, at = [""], 0
    while at < len(value):
        if value[at] == "\\":
            parts[-1] += value[at : at + 2]
            at += 2
            continue
        if value[at] == mark:
            parts.append("")
        else:
            parts[-1] += value[at]
        at += 1
    return parts
