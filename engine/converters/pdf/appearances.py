"""What form fields look like, drawn where a document left that to its reader, or a value changed.

Text is set in the typefaces of `lettering`, which are as wide as those that forms name most often
(Helvetica, Times, Courier), in the size, colour and alignment that the field asks for; a size of 0
asks for as much as fits. Turned fields and list boxes are drawn by qpdf's simpler pen.
"""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

import pikepdf
from pikepdf import Array, Dictionary, FormFieldFlag, Name
from pikepdf.form import ExtendedAppearanceStreamGenerator

from engine.converters.lettering import Letters, check_letters, embed, measure, number
from engine.converters.pdf.files import reading
from engine.errors import TargetImpossible

_FONT = re.compile(r"/(\S+)\s+([0-9.]+)\s+Tf")
_COLOUR = re.compile(r"((?:[0-9.]+\s+){1,4})(g|rg|k)\b")
# Of text whose size is left to us, in points.
_SIZE_MAX, _SIZE_MIN, _STEP = 12.0, 4.0, 0.5
_PADDING = 2.0
_LINE = 1.15
_MIDDLE, _RIGHT = 1, 2
_CORNERS = 4
_COLOUR_OPERATORS = {1: "g", 3: "rg", 4: "k"}
_UNKNOWN = "some letters of the values cannot be drawn; they are in the fields, but not seen"


class _Slip(NamedTuple):
    """One field at one place, and what is to be written there."""

    field: pikepdf.AcroFormField
    widget: pikepdf.Object
    text: str
    face: str
    size: float
    colour: str
    width: float
    height: float


def draw_fields(document: pikepdf.Pdf, changed: Collection[str] = ()) -> tuple[str, ...]:
    """Draw the fields of these names, and every field that has no appearance; returns warnings."""
    with reading():
        form = document.acroform
        if not form.exists:
            return ()
        pen = ExtendedAppearanceStreamGenerator(document, form)
        slips: list[_Slip] = []
        plain: list[pikepdf.AcroFormField] = []
        warnings: list[str] = []
        for field, widgets in _wanting(form, changed):
            own = [_slip(document, field, widget) for widget in widgets]
            if None in own or not _is_known(own, warnings):
                plain.append(field)
            else:
                slips += [one for one in own if one is not None]
        for field in plain:
            (pen.generate_text if field.is_text else pen.generate_choice)(field)
        faces = {
            face: embed(document, face, [one.text for one in slips if one.face == face])
            for face in {one.face for one in slips}
        }
        for one in slips:
            _draw(document, one, faces[one.face])
        if "/NeedAppearances" in document.Root.AcroForm:
            del document.Root.AcroForm.NeedAppearances
        return tuple(dict.fromkeys(warnings))


def _wanting(
    form: pikepdf.AcroForm, changed: Collection[str]
) -> Iterator[tuple[pikepdf.AcroFormField, list[pikepdf.Object]]]:
    everything = form.needs_appearances
    for field in form.fields:
        if not (field.is_text or field.is_choice):
            continue
        widgets = [one.obj for one in form.get_annotations_for_field(field)]
        drawn = all(Name.AP in widget for widget in widgets)
        if everything or not drawn or field.fully_qualified_name in changed:
            yield field, widgets


def _is_known(slips: list[_Slip | None], warnings: list[str]) -> bool:
    for one in slips:
        try:
            check_letters(one.face, one.text) if one is not None else None
        except TargetImpossible:
            warnings.append(_UNKNOWN)
            return False
    return True


def _slip(
    document: pikepdf.Pdf, field: pikepdf.AcroFormField, widget: pikepdf.Object
) -> _Slip | None:
    """None: for the simpler pen."""
    look = widget.get("/MK")
    turned = isinstance(look, Dictionary) and int(look.get("/R", 0) or 0) % 360
    is_list = field.is_choice and not field.flags & FormFieldFlag.ch_combo
    rect = widget.get("/Rect")
    if turned or is_list or not isinstance(rect, Array) or len(rect) != _CORNERS:
        return None
    sides = [float(side) for side in rect]
    style = field.default_appearance.decode("latin-1")
    font, colour = _FONT.search(style), _COLOUR.search(style)
    return _Slip(
        field,
        widget,
        _text(field),
        _face(document, font[1] if font else ""),
        float(font[2]) if font else 0.0,
        f"{colour[1].strip()} {colour[2]}" if colour else "0 g",
        abs(sides[2] - sides[0]),
        abs(sides[3] - sides[1]),
    )


def _text(field: pikepdf.AcroFormField) -> str:
    """What the field shows: stars for a password, for a choice its words instead of its code."""
    value = field.value_as_string.replace("\r\n", "\n").replace("\r", "\n")
    if field.is_text and field.flags & FormFieldFlag.tx_password:
        return "*" * len(value)
    if field.is_choice:
        for option in field.get_inheritable_field_value("/Opt") or ():
            if isinstance(option, Array) and len(option) > 1 and str(option[0]) == value:
                return str(option[1])
    return value


def _face(document: pikepdf.Pdf, name: str) -> str:
    resources = document.Root.AcroForm.get("/DR")
    fonts = resources.get("/Font") if isinstance(resources, Dictionary) else None
    font = fonts.get(f"/{name}") if isinstance(fonts, Dictionary) else None
    called = f"{font.get('/BaseFont', '') if isinstance(font, Dictionary) else ''} {name}".lower()
    if "cour" in called or "mono" in called:
        return "mono"
    if "tim" in called or "serif" in called:
        return "serif"
    return "sans-bold" if "bold" in called else "sans"


def _draw(document: pikepdf.Pdf, slip: _Slip, letters: Letters) -> None:
    flags = slip.field.flags if slip.field.is_text else 0
    content = [_ground(slip.widget, slip.width, slip.height), "/Tx BMC q"]
    width, height = (number(max(side - 2, 0)) for side in (slip.width, slip.height))
    content.append(f"1 1 {width} {height} re W n BT {slip.colour}")
    if flags & FormFieldFlag.tx_multiline:
        content += _paragraph(slip, letters)
    elif flags & FormFieldFlag.tx_comb and _length_max(slip.field):
        content += _comb(slip, letters, _length_max(slip.field))
    elif slip.text:
        size = slip.size or _fitting(slip)
        content += _line(slip, letters, slip.text.replace("\n", " "), size, _baseline(slip, size))
    content.append("ET Q EMC")
    drawing = document.make_stream(
        "\n".join(content).encode(),
        Type=Name.XObject,
        Subtype=Name.Form,
        BBox=[0, 0, slip.width, slip.height],
        Resources=Dictionary(Font=Dictionary(F=letters.font)),
    )
    slip.widget[Name.AP] = Dictionary(N=drawing)


def _length_max(field: pikepdf.AcroFormField) -> int:
    return int(field.get_inheritable_field_value("/MaxLen") or 0)


def _ground(widget: pikepdf.Object, width: float, height: float) -> str:
    """Background and border, where the field asks for them."""
    look, parts = widget.get("/MK"), []
    if isinstance(look, Dictionary):
        border = widget.get("/BS")
        line = float(border.get("/W", 1)) if isinstance(border, Dictionary) else 1.0
        for name, inset, paint in (("/BG", 0.0, "f"), ("/BC", line / 2, "S")):
            colour = look.get(name)
            if not isinstance(colour, Array) or (paint == "S" and line <= 0):
                continue
            operator = _COLOUR_OPERATORS.get(len(colour))
            if operator is None:
                continue
            shares = " ".join(number(float(share)) for share in colour)
            box = " ".join(
                number(side) for side in (inset, inset, width - 2 * inset, height - 2 * inset)
            )
            operator = operator.upper() if paint == "S" else operator
            parts.append(f"q {number(line)} w {shares} {operator} {box} re {paint} Q")
    return "\n".join(parts)


def _fitting(slip: _Slip) -> float:
    """The size at which a single line fills its field and does not leave it."""
    width, height = measure(slip.face, slip.text.replace("\n", " "), 1)
    room = max(slip.width - 2 * _PADDING, 1), max(slip.height - 2, 1)
    return max(min(_SIZE_MAX, room[0] / max(width, 0.01), room[1] / height), _SIZE_MIN)


def _baseline(slip: _Slip, size: float) -> float:
    """Where letters stand so that the line is in the middle."""
    _, height = measure(slip.face, "", size)
    return (slip.height - height) / 2 + height * 0.19


def _line(slip: _Slip, letters: Letters, text: str, size: float, up: float) -> list[str]:
    width, _ = measure(slip.face, text, size)
    left = {
        _MIDDLE: (slip.width - width) / 2,
        _RIGHT: slip.width - _PADDING - width,
    }.get(slip.field.quadding, _PADDING)
    return [letters.line(text, size, left, up)]


def _paragraph(slip: _Slip, letters: Letters) -> list[str]:
    size = slip.size or _SIZE_MAX
    room = max(slip.width - 2 * _PADDING, 1)
    lines = _wrapped(slip, size, room)
    while not slip.size and size > _SIZE_MIN and len(lines) * size * _LINE > slip.height - 2:
        size -= _STEP
        lines = _wrapped(slip, size, room)
    content = []
    for place, text in enumerate(lines):
        up = slip.height - _PADDING - size * (0.9 + _LINE * place)
        content += _line(slip, letters, text, size, up)
    return content


def _wrapped(slip: _Slip, size: float, room: float) -> list[str]:
    """Lines that fit; a word that is wider than the field is cut."""
    lines = []
    for paragraph in slip.text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            rest = word
            while measure(slip.face, rest, size)[0] > room and len(rest) > 1:
                if line:
                    lines.append(line)
                    line = ""
                cut = len(rest) - 1
                while cut > 1 and measure(slip.face, rest[:cut], size)[0] > room:
                    cut -= 1
                lines.append(rest[:cut])
                rest = rest[cut:]
            longer = f"{line} {rest}" if line else rest
            if line and measure(slip.face, longer, size)[0] > room:
                lines.append(line)
                longer = rest
            line = longer
        lines.append(line)
    return lines


def _comb(slip: _Slip, letters: Letters, cells: int) -> list[str]:
    """A letter a cell."""
    size = slip.size or min(_SIZE_MAX, slip.height * 0.75)
    cell = slip.width / cells
    content = []
    for place, letter in enumerate(slip.text[:cells]):
        width, _ = measure(slip.face, letter, size)
        left = cell * place + (cell - width) / 2
        content.append(letters.line(letter, size, left, _baseline(slip, size)))
    return content


def flatten(document: pikepdf.Pdf, which: str = "all") -> tuple[str, ...]:
    """Make comments and filled fields part of their pages (`which`: as qpdf's flattening has it).

    Buttons without a drawing and links show nothing, so nothing of them stays. Returns warnings.
    """
    warnings = draw_fields(document)
    with reading():
        document.flatten_annotations(which)
    return warnings
