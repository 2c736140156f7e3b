"""From a call in ConvertAPI's words to a plan in ours: the front door of the tables. Pure.

Values are checked by their kinds, turned into options by the tables, read together by the rules,
and tried out on the engine's own declarations, so that what is accepted here runs. Everything that
is wrong is told at once.
"""

from collections.abc import Mapping, Sequence

from engine import errors, formats, registry
from engine.pipeline import Step
from gateway.compat.convertapi.call import Call, Plan, Value
from gateway.compat.convertapi.parameters import table
from gateway.compat.convertapi.parameters.draft import Draft
from gateway.compat.convertapi.parameters.terms import (
    Counterpart,
    Holds,
    Moot,
    Never,
    Only,
    Parameter,
    Sets,
)
from gateway.errors import ParametersInvalid

# Both are taken for each other.
_FILES = frozenset({"file", "files"})


def resolve(call: Call, *, seen: str | None = None) -> Plan:
    """The plan of a call. Raises ConversionUnsupported, ParametersInvalid.

    `seen` is the format of the first file, by its name or bytes, where the address leaves that open
    (`any`, `*`).
    """
    counterpart = table.find(call.source, call.target, seen)
    refused: dict[str, list[str]] = {}
    values, ignored = _sorted_out(call, table.parameters_of(counterpart), refused)
    _check_engine(call.converter, counterpart, refused)
    source = table.source_of(counterpart, call.source, seen)
    draft = Draft(counterpart.steps, values, source)
    draft.refused = refused
    for parameter in counterpart.parameters:
        if parameter.name in values:
            _apply(parameter, values[parameter.name], draft)
    for rule in counterpart.rules:
        rule(draft)
    if not draft.refused:
        _try_out(draft)
    if draft.refused:
        raise ParametersInvalid(draft.refused)
    return _plan(counterpart, draft, ignored)


def _sorted_out(
    call: Call, known: Mapping[str, Parameter], refused: dict[str, list[str]]
) -> tuple[dict[str, str], list[str]]:
    """The values by ConvertAPI's names, and the names that mean nothing here."""
    values: dict[str, str] = {}
    ignored: list[str] = []
    for name, given in call.parameters.items():
        parameter = known.get(name)
        if name in _FILES:
            continue
        if parameter is None:
            ignored.append(call.spelled.get(name, name))
        elif not isinstance(parameter.effect, Holds):
            _read(parameter, given, values, refused)
        elif parameter.effect.why and any(given):
            refused[parameter.name] = [parameter.effect.why]
    # The first file is asked for where it is looked up, under either of its names.
    for parameter in known.values():
        if parameter.required and isinstance(parameter.effect, Holds):
            is_companion = parameter.name.lower() not in {*_FILES, "url"}
            if is_companion and not any(call.parameters.get(parameter.name.lower(), ())):
                refused[parameter.name] = ["The field is required."]
    return values, ignored


def _read(
    parameter: Parameter,
    given: Sequence[Value],
    values: dict[str, str],
    refused: dict[str, list[str]],
) -> None:
    """Check one parameter's value. An empty one is the same as none, as for ConvertAPI."""
    texts = {text for text in given if isinstance(text, str) and text != ""}
    if len(texts) > 1 or any(not isinstance(one, str) for one in given):
        refused[parameter.name] = ["takes one value, which is text"]
        return
    for text in texts:
        try:
            values[parameter.name] = parameter.reader.read(text)
        except ValueError as error:
            refused[parameter.name] = [str(error)]


def _check_engine(
    wanted: str | None, counterpart: Counterpart, refused: dict[str, list[str]]
) -> None:
    """`/converter/{name}` picks one of ConvertAPI's engines: here there is one, or none."""
    if wanted and wanted.lower() not in counterpart.engines:
        said = f"; {', '.join(counterpart.engines)} may be" if counterpart.engines else ""
        refused["Converter"] = [f"no other engine can be chosen here{said}: leave it out"]


def _apply(parameter: Parameter, value: str, draft: Draft) -> None:
    effect, name = parameter.effect, parameter.name
    is_default = parameter.default != "" and value.lower() == parameter.default.lower()
    match effect:
        case Sets(words=None, factor=factor):
            text = value if factor == 1 else f"{float(value) * factor:.4f}".rstrip("0").rstrip(".")
            draft.put(effect.option, text, name, step=effect.step)
        case Sets(words=words) if words is not None and value in words:
            if (word := words[value]) is not None:
                draft.put(effect.option, word, name, step=effect.step)
        case Sets(lacks=why) if not is_default:
            draft.refuse(name, _told(parameter, value, why))
        case Only(values=values, why=why) if value not in values and not is_default:
            draft.refuse(name, _told(parameter, value, why))
        case Never(why=why) if not is_default:
            draft.refuse(name, f"cannot be honoured: {why}")
        case Moot() | _:
            pass


def _told(parameter: Parameter, value: str, why: str) -> str:
    said = f" {value}" if parameter.reader.type in {"Bool", "Collection", "Integer"} else ""
    return f"{parameter.name}{said} cannot be honoured: {why}"


def _try_out(draft: Draft) -> None:
    """Ask the engine's declarations about every step; what an option is refused for is told."""
    if draft.source == "auto":
        return
    source = draft.source
    for step in draft.steps:
        converter = registry.converter_for(source, step.target, step.operation)
        try:
            registry.parse_options(converter, step.options, target=step.target)
        except errors.OptionInvalid as error:
            option, _, reason = str(error).partition(": ")
            named = step.blamed.get(option)
            draft.refuse(named or _any_blamed(step.blamed), reason if named else str(error))
        source = formats.find(step.target).name


def _any_blamed(blamed: Mapping[str, str]) -> str:
    """Who is named where the engine's sentence begins with no option: the last that was set."""
    return list(blamed.values())[-1] if blamed else "Parameters"


def _plan(counterpart: Counterpart, draft: Draft, ignored: Sequence[str]) -> Plan:
    first, *following = draft.steps
    return Plan(
        source=draft.source,
        target=first.target,
        operation=first.operation,
        options=first.options,
        files=table.file_names(counterpart),
        ignored=tuple(ignored),
        steps=tuple(
            Step(
                target=one.target,
                options=one.options | ({"operation": one.operation} if one.operation else {}),
            )
            for one in following
        ),
    )
