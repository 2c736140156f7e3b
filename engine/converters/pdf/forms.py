"""pdf.fields, pdf.fill, pdf.flatten: form fields listed, filled, and made part of the page."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import pikepdf
from pikepdf import Array, Dictionary, FormFieldFlag, Name, String

from engine.converter import Result, Work
from engine.converters.pdf.appearances import draw_fields
from engine.converters.pdf.appearances import flatten as flatten_document
from engine.converters.pdf.catalogue_parts import FillOptions, field_values
from engine.converters.pdf.files import losses, open_document, read_pages, reading, save
from engine.errors import SourceTooComplex, TargetImpossible

# The largest official forms have two thousand.
_FIELDS_MAX = 20_000
_OFF = "Off"


class Field(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field as it is listed."""

    name: str
    kind: str  # text, checkbox, radio, choice, button, signature
    value: str | bool | list[str] = ""
    label: str = ""
    choices: list[str] = []
    page: int = 0
    required: bool = False
    read_only: bool = False
    multiline: bool = False
    length_max: int = 0


def fields(work: Work) -> Result:
    """Names, kinds, values and choices, as JSON."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        with reading():
            places = _places(document)
            listed = [_told(document, group, places) for group in _groups(document).values()]
            warnings = _xfa_warning(document)
    return Result(files=(msgspec.json.format(msgspec.json.encode(listed)),), warnings=warnings)


def _groups(document: pikepdf.Pdf) -> dict[str, list[pikepdf.AcroFormField]]:
    """Fields by their full names: each button of a group counts as one in qpdf."""
    form = document.acroform
    found = form.fields if form.exists else ()
    if len(found) > _FIELDS_MAX:
        raise SourceTooComplex(f"the document has more than {_FIELDS_MAX} form fields")
    groups: dict[str, list[pikepdf.AcroFormField]] = {}
    for field in found:
        groups.setdefault(field.fully_qualified_name, []).append(field)
    return groups


def _widgets(document: pikepdf.Pdf, group: Sequence[pikepdf.AcroFormField]) -> list[pikepdf.Object]:
    """Where the fields of one name are seen."""
    form = document.acroform
    return [one.obj for field in group for one in form.get_annotations_for_field(field)]


def _xfa_warning(document: pikepdf.Pdf) -> tuple[str, ...]:
    form = document.Root.get("/AcroForm")
    if isinstance(form, Dictionary) and "/XFA" in form:
        return ("the document has an XFA form too, which is not read here",)
    return ()


def _places(document: pikepdf.Pdf) -> dict[tuple[int, int], int]:
    """The page, from 1, of each annotation."""
    return {
        one.objgen: index
        for index, page in enumerate(document.pages, 1)
        for one in page.obj.get("/Annots", ())
        if isinstance(one, Dictionary)
    }


def _told(
    document: pikepdf.Pdf,
    group: Sequence[pikepdf.AcroFormField],
    places: dict[tuple[int, int], int],
) -> Field:
    field, widgets = group[0], _widgets(document, group)
    kind, flags = _kind(field), field.flags
    return Field(
        name=field.fully_qualified_name,
        kind=kind,
        value=_value(group, kind),
        label=field.alternate_name if field.alternate_name != field.fully_qualified_name else "",
        choices=_states(widgets) if kind == "radio" else _options(field),
        page=next((places[one.objgen] for one in widgets if one.objgen in places), 0),
        required=bool(flags & FormFieldFlag.required),
        read_only=bool(flags & FormFieldFlag.read_only),
        multiline=kind == "text" and bool(flags & FormFieldFlag.tx_multiline),
        length_max=int(field.get_inheritable_field_value("/MaxLen") or 0) if kind == "text" else 0,
    )


def _kind(field: pikepdf.AcroFormField) -> str:
    tests = {
        "radio": field.is_radio_button,
        "checkbox": field.is_checkbox,
        "button": field.is_pushbutton,
        "choice": field.is_choice,
        "text": field.is_text,
    }
    return next((kind for kind, is_it in tests.items() if is_it), "signature")


def _value(group: Sequence[pikepdf.AcroFormField], kind: str) -> str | bool | list[str]:
    value: object = group[0].get_inheritable_field_value("/V")
    if kind == "checkbox":
        return any(field.is_checked for field in group)
    if kind == "signature":
        return value is not None
    if isinstance(value, Array):
        return [str(one) for one in value]
    if kind == "radio":
        chosen = str(value or "").removeprefix("/")
        return "" if chosen == _OFF else chosen
    return str(value) if isinstance(value, String | Name) else ""


def _options(field: pikepdf.AcroFormField) -> list[str]:
    """A list's choices by their codes."""
    options = field.get_inheritable_field_value("/Opt") if field.is_choice else None
    if not isinstance(options, Array):
        return []
    return [str(one[0] if isinstance(one, Array) else one) for one in options]


def _states(widgets: Iterable[pikepdf.Object]) -> list[str]:
    """What buttons can be, beside off, in their order."""
    found = []
    for widget in widgets:
        looks = widget.get("/AP")
        normal = looks.get("/N") if isinstance(looks, Dictionary) else None
        if isinstance(normal, Dictionary):
            found += [name.removeprefix("/") for name in normal.keys() if name != f"/{_OFF}"]  # noqa: SIM118  # a dictionary of qpdf's iterates over nothing else
    return list(dict.fromkeys(found))


def fill(work: Work) -> Result:
    """Set values by name and draw them. Raises TargetImpossible for what the form does not take."""
    options: FillOptions = work.options
    with open_document(work, 0, options.password) as document:
        read_pages(document, work.bounds)
        warnings = list(losses(document))
        values = field_values(options.values)
        with reading():
            groups = _groups(document)
            if not groups:
                raise TargetImpossible("the document has no form fields")
            for name, value in values.items():
                if name not in groups:
                    raise TargetImpossible(
                        f"values: the form has no field {name[:80]!r}; pdf.fields lists them"
                    )
                _fill(document, groups[name], name, value)
            if "/XFA" in document.Root.AcroForm:
                del document.Root.AcroForm.XFA
                warnings.append("the XFA form was removed: it would have hidden the values")
        warnings += draw_fields(document, values)
        if options.flatten:
            warnings += flatten_document(document)
        written = save(document, work)
        return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))


def _fill(
    document: pikepdf.Pdf, group: Sequence[pikepdf.AcroFormField], name: str, value: Any
) -> None:
    kind = _kind(group[0])
    if kind in {"checkbox", "radio"}:
        widgets = _widgets(document, group)
        states = _states(widgets) or ["Yes"]
        chosen = _ticked(states, name, value) if kind == "checkbox" else str(value or _OFF)
        if chosen not in {*states, _OFF}:
            raise _no_choice(name)
        _show(group, widgets, chosen)
    elif kind in {"choice", "text"}:
        for field in group:
            (_choose if kind == "choice" else _write)(field, name, value)
    else:
        raise TargetImpossible(f"values: {name[:80]!r} is a {kind}, which holds no value")


def _write(field: pikepdf.AcroFormField, name: str, value: Any) -> None:
    if isinstance(value, list | bool):
        raise TargetImpossible(f"values: {name[:80]!r} takes a text")
    text = "" if value is None else str(value)
    longest = int(field.get_inheritable_field_value("/MaxLen") or 0)
    if longest and len(text) > longest:
        raise TargetImpossible(f"values: {name[:80]!r} takes at most {longest} characters")
    field.set_value(String(text), need_appearance=False)


def _choose(field: pikepdf.AcroFormField, name: str, value: Any) -> None:
    wanted = value if isinstance(value, list) else [] if value in {None, ""} else [str(value)]
    known = _options(field)
    editable = field.flags & FormFieldFlag.ch_combo and field.flags & FormFieldFlag.ch_edit
    if not editable and not set(wanted) <= set(known):
        raise _no_choice(name)
    if len(wanted) > 1 and not field.flags & FormFieldFlag.ch_multi_select:
        raise TargetImpossible(f"values: {name[:80]!r} takes one choice")
    held = Array([String(one) for one in wanted]) if len(wanted) > 1 else String("".join(wanted))
    field.obj["/V"] = held
    if "/I" in field.obj:  # indices of what was chosen before
        del field.obj["/I"]


def _no_choice(name: str) -> TargetImpossible:
    return TargetImpossible(
        f"values: that is none of the choices of {name[:80]!r}; pdf.fields lists them"
    )


def _ticked(states: list[str], name: str, value: Any) -> str:
    """The state that a box is to have."""
    if isinstance(value, str) and value in states:
        return value
    if isinstance(value, bool):
        return states[0] if value else _OFF
    raise TargetImpossible(f"values: {name[:80]!r} is a check box and takes true or false")


def _show(
    group: Sequence[pikepdf.AcroFormField], widgets: Iterable[pikepdf.Object], chosen: str
) -> None:
    for field in group:
        holder: pikepdf.Object = field.obj
        # The value belongs to the group, whose widgets are its kids.
        while "/FT" not in holder and isinstance(holder.get("/Parent"), Dictionary):
            holder = holder["/Parent"]
        holder["/V"] = Name(f"/{chosen}")
    for widget in widgets:
        state = chosen if chosen in _states([widget]) else _OFF
        widget["/AS"] = Name(f"/{state}")


def flatten(work: Work) -> Result:
    """What is seen of fields and comments stays; what they could do ends."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        warnings = [*losses(document), *flatten_document(document, "screen")]
        with reading():
            if "/AcroForm" in document.Root:
                del document.Root["/AcroForm"]
        written = save(document, work)
    return Result(files=(written,), warnings=tuple(dict.fromkeys(warnings)))
