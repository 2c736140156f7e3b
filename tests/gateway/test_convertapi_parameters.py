"""All pairs of ConvertAPI's list and their parameters: served or absent, honoured or refused."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engine import formats, registry
from engine.errors import ConversionUnsupported
from gateway.compat.convertapi.call import Call, Plan
from gateway.compat.convertapi.parameters import absent, kinds, table
from gateway.compat.convertapi.parameters.resolve import resolve
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

# Names, types, enums and ranges as ConvertAPI's own description had them in April 2026.
LISTED: dict[tuple[str, str], dict[str, str]] = {
    tuple(path.removeprefix("/convert/").split("/to/")): parameters  # type: ignore[misc]
    for path, parameters in msgspec.json.decode(
        (Path(__file__).parent / "convertapi_parameters.json").read_bytes()
    ).items()
}
FILES = {"File", "Files", "Url", "FileName"}
OWN = {(source, one.target): one for one in table.COUNTERPARTS for source in one.sources}
SERVED = [pair for pair in LISTED if pair in OWN]

# A value of each parameter that says something, where its kind alone does not give one away.
VALUES = {
    "PageRange": "1",
    "SplitByPattern": "3",
    "SplitByRange": "1,3-4",
    "ExtractPages": "2-3",
    "Delimiter": ";",
    "CssMediaType": "print",
    "RedactionData": '[{"Text": "Ada"}]',
    "RedactionColor": "black",
    "PageSize": "a4",
    "Preset": "manual",
    "Opacity": "50",
    "FontSize": "12",
    "BaseFontSize": "12",
    "Zoom": "2",
    "ListBulletChar": "-",
    "WaitElement": "#done",
    "ConversionDelay": "1",
    "PageWidth": "300",
    "PageHeight": "200",
    "ImageResolution": "100",
    "ImageResolutionH": "100",
    "ImageResolutionV": "100",
    "Resolution": "100",
    "HorizontalAlignment": "left",
    "VerticalAlignment": "bottom",
    "MeasurementUnit": "mm",
    "MinimumConfidence": "0.5",
    "ImageOutputFormat": "jpg",
    "ImageWidth": "640",
    "ImageHeight": "480",
}
# What has to be said with it, or instead of the usual companions of the pair.
COMPANIONS: dict[str, dict[str, str]] = {
    "PageOrientation": {"PageSize": "a4"},
    "PageWidth": {"PageHeight": "200"},
    "PageHeight": {"PageWidth": "300"},
    "Anchor": {"CropMode": "size", "Width": "100", "Height": "100"},
    "Width": {"CropMode": "size", "Height": "100", "Anchor": "topleft"},
    "Height": {"CropMode": "size", "Width": "100", "Anchor": "topleft"},
    "AutoPadding": {"CropMode": "auto"},
    "AutoStrategy": {"CropMode": "auto"},
    "HorizontalMargin": {"CropMode": "margins"},
    "VerticalMargin": {"CropMode": "margins"},
    "OffsetX": {"HorizontalAlignment": "left"},
    "OffsetY": {"VerticalAlignment": "top"},
    "HorizontalAlignment": {"VerticalAlignment": "bottom"},
    "VerticalAlignment": {"HorizontalAlignment": "left"},
    "PrintFaithfulCopy": {"PrintDocument": "true"},
    "MinimumImageWidth": {"MinimumImageHeight": "7"},
    "MinimumImageHeight": {"MinimumImageWidth": "7"},
    "OwnerPassword": {"UserPassword": ""},
}
# What a converter does nothing without.
NEEDED: dict[str, dict[str, str]] = {
    "protect": {"UserPassword": "secret"},
    "rotate": {"Angle": "90"},
    "delete-pages": {"PageRange": "2"},
    "resize": {"PageSize": "a4"},
    "text-watermark": {"Text": "Draft"},
    "image-watermark": {"ImageFile": "0" * 32},
    "pdf-watermark": {"OverlayFile": "0" * 32},
    "compare": {"CompareFile": "0" * 32},
    "redact": {"Preset": "manual", "RedactionData": '[{"Text": "Ada"}]'},
}
SIDES = ("MarginTop", "MarginRight", "MarginBottom", "MarginLeft")


def call(source: str, target: str, **parameters: str) -> Call:
    return Call(
        source=source,
        target=target,
        parameters={name.lower(): [value] for name, value in parameters.items()},
        spelled={name.lower(): name for name in parameters},
    )


def refusals(source: str, target: str, **parameters: str) -> dict[str, tuple[str, ...]]:
    with pytest.raises(ParametersInvalid) as caught:
        resolve(call(source, target, **parameters))
    return caught.value.parameters


def value_of(parameter: Parameter) -> str:
    """A value that is to be honoured: the table's own where it names some."""
    match parameter.effect:
        case Only(values=values):
            return values[0]
        case Sets(words=words) if words:
            return next((theirs for theirs, our in words.items() if our), next(iter(words)))
        case _:
            pass
    return VALUES.get(parameter.name) or sample(parameter.kind, parameter.name)


def sample(kind: object, name: str) -> str:
    if isinstance(kind, kinds.Whole | kinds.Number):
        return "90" if name == "Rotate" else f"{max(7, kind.low):g}"
    if isinstance(kind, kinds.Choice):
        return "topleft" if name == "Anchor" else kind.values[-1]
    plain = {kinds.Flag: "true", kinds.Colour: "#ff8000", kinds.Pages: "1"}
    return plain.get(type(kind), "some words")


def companions(counterpart: Counterpart, parameter: Parameter) -> dict[str, str]:
    known = table.parameters_of(counterpart)
    said = NEEDED.get(counterpart.target, {})
    if isinstance(parameter.effect, Only):
        return said
    said = said | COMPANIONS.get(parameter.name, {})
    if parameter.name in SIDES:
        said = said | dict.fromkeys(SIDES, value_of(parameter))
    if parameter.name == "CropMode":
        said = {"Width": "10", "Height": "10", "Anchor": "topleft"}
    if parameter.name in {"DeleteBlankPages", "RotatePage"}:
        said = {}
    return {name: value for name, value in said.items() if name.lower() in known}


def honoured() -> Iterator[Any]:
    for counterpart in table.COUNTERPARTS:
        for source in counterpart.sources:
            for parameter in counterpart.parameters:
                if not isinstance(parameter.effect, Never | Holds):
                    yield counterpart, source, parameter


def accepted(plan: Plan) -> bool:
    """The engine's own planning takes every step of it."""
    source = plan.source
    steps = [(plan.target, plan.operation, plan.options)]
    for step in plan.steps:
        options = dict(step.options)
        steps.append((step.target, options.pop("operation", None), options))
    for target, operation, options in steps:
        if source != "auto":
            converter = registry.converter_for(source, target, operation)
            registry.parse_options(converter, options, target=target)
        source = formats.find(target).name
    return True


def test_every_pair_of_the_list_is_served_or_absent_with_a_reason() -> None:
    assert len(LISTED) == 297
    neither = [pair for pair in LISTED if (pair in OWN) == (pair in absent.REASONS)]
    assert neither == []
    assert [pair for pair in absent.REASONS if pair not in LISTED] == []


def test_every_parameter_of_the_list_is_known_to_its_counterpart() -> None:
    unknown = [
        (*pair, name)
        for pair in SERVED
        for name in LISTED[pair]
        if name not in FILES and name.lower() not in table.parameters_of(OWN[pair])
    ]
    assert unknown == []


def test_enums_and_ranges_are_those_of_the_list() -> None:
    """Ours may be wider, where several converters share a row; never narrower."""
    wrong = []
    for pair in SERVED:
        known = table.parameters_of(OWN[pair])
        for name, listed in LISTED[pair].items():
            if name in FILES:
                continue
            kind = known[name.lower()].kind
            if listed.startswith("Literal"):
                values = msgspec.json.decode(listed.removeprefix("Literal"))
                if not isinstance(kind, kinds.Choice) or not set(values) <= set(kind.values):
                    wrong.append((*pair, name, listed))
            elif "ge=" in listed:
                low, high = (float(part.split("=")[1]) for part in listed.split()[1].split(","))
                ranged = isinstance(kind, kinds.Whole | kinds.Number)
                if not ranged or kind.low > low or kind.high < high:
                    wrong.append((*pair, name, listed))
            elif listed == "bool" and not isinstance(kind, kinds.Flag):
                wrong.append((*pair, name, listed))
    assert wrong == []


def test_every_declared_conversion_exists() -> None:
    missing = [
        (source, one.target)
        for one in table.COUNTERPARTS
        for source in (*one.sources, *one.also)
        if not table.is_declared(one, source)
    ]
    assert missing == []


def test_every_honoured_parameter_has_a_value_that_the_engine_takes() -> None:
    failed = []
    for counterpart, source, parameter in honoured():
        if not table.is_served(counterpart, source):
            continue
        said = {parameter.name: value_of(parameter)}
        sent = companions(counterpart, parameter) | said
        try:
            assert accepted(resolve(call(source, counterpart.target, **sent)))
        except ParametersInvalid as error:
            failed.append((source, counterpart.target, sent, str(error)))
    assert failed == []


def test_every_refused_parameter_is_named_with_the_reason() -> None:
    silent = []
    for counterpart in table.COUNTERPARTS:
        for source in counterpart.sources:
            for parameter in counterpart.parameters:
                if not isinstance(parameter.effect, Never):
                    continue
                if not table.is_served(counterpart, source):
                    continue
                value = value_of(parameter)
                if value == parameter.default:
                    value = "8"
                sent = NEEDED.get(counterpart.target, {}) | {parameter.name: value}
                if parameter.name not in refusals(source, counterpart.target, **sent):
                    silent.append((source, counterpart.target, parameter.name))
    assert silent == []


def test_defaults_of_convertapi_are_always_honoured() -> None:
    refused = []
    for counterpart in table.COUNTERPARTS:
        source = counterpart.sources[0]
        if not table.is_served(counterpart, source):
            continue
        for parameter in counterpart.parameters:
            if not parameter.default or isinstance(parameter.effect, Moot):
                continue
            sent = NEEDED.get(counterpart.target, {}) | {parameter.name: parameter.default}
            try:
                resolve(call(source, counterpart.target, **sent))
            except ParametersInvalid as error:
                refused.append((source, counterpart.target, sent, str(error)))
    assert refused == []


def test_absent_converters_say_why() -> None:
    with pytest.raises(ConversionUnsupported, match="DXF is read"):
        resolve(call("dwg", "pdf"))
    with pytest.raises(ConversionUnsupported, match="GET /info"):
        resolve(call("docx", "mp3"))


def test_a_thumbnail_of_one_page_is_only_made_smaller() -> None:
    thumbnail = {"ScaleImage": "true", "ImageWidth": "250", "ImageHeight": "250"}
    plan = resolve(
        call("pptx", "jpg", **thumbnail, ScaleIfLarger="true", PageRange="1", JpgQuality="10")
    )
    assert plan.target == "png"
    (scaled,) = plan.steps
    assert scaled.options == {
        "operation": "convert",
        "fit": "inside",
        "enlarge": "false",
        "quality": "10",
        "width": "250",
        "height": "250",
    }
    assert accepted(plan)
    several = refusals("pptx", "jpg", **thumbnail, ScaleIfLarger="true")
    assert "PageRange" in several["ScaleIfLarger"][0]
    plain = resolve(call("pptx", "jpg", **thumbnail))
    assert plain.steps == ()
    assert plain.options["width"] == "250"


def test_sizes_are_not_used_where_scaling_is_off() -> None:
    plan = resolve(call("png", "jpg", ScaleImage="false", ImageWidth="250"))
    assert plan.options == {}


def test_an_open_source_is_what_its_file_is() -> None:
    assert resolve(call("any", "pdf"), seen="jpeg").operation == "images"
    assert resolve(call("*", "zip"), seen="docx").source == "any"
    assert resolve(call("any", "pdf"), seen="fb2").source == "auto"
    with pytest.raises(ConversionUnsupported):
        resolve(call("any", "merge"), seen="docx")


def test_one_engine_can_be_named() -> None:
    asked = msgspec.structs.replace(call("docx", "pdf"), converter="OpenOffice")
    assert resolve(asked).operation == "pdf"
    with pytest.raises(ParametersInvalid, match="Converter"):
        resolve(msgspec.structs.replace(asked, source="pdf", target="jpg"))


def test_hidden_slides_go_by_way_of_pdf() -> None:
    plan = resolve(
        call("pptx", "png", ConvertHiddenSlides="true", ImageResolution="100", PageRange="2-")
    )
    assert (plan.target, plan.options) == ("pdf", {"hidden_slides": "true", "pages": "2-"})
    assert plan.steps[0].options == {"operation": "render", "dpi": "100"}


def test_a_secret_is_never_repeated() -> None:
    told = refusals("csv", "pdf", Password="swordfish")
    assert "swordfish" not in str(told)
    told = refusals("pdf", "protect", UserPassword="swordfish" * 30)
    assert "swordfish" not in str(told)
    assert "UserPassword" in told


def test_what_is_not_found_out_here_is_refused_and_not_guessed() -> None:
    assert "OcrLanguage" in refusals("pdf", "ocr", OcrLanguage="auto")
    assert "OcrLanguage" in refusals("pdf", "docx", OcrMode="auto", OcrLanguage="auto")
    assert resolve(call("pdf", "docx", OcrMode="never", OcrLanguage="auto")).steps == ()
    assert "DecimalSeparator" in refusals("pdf", "xlsx", DecimalSeparator="auto")
    assert "EndLineChar" in refusals("docx", "txt", EndLineChar="crlf")
    assert "JavaScript" in refusals("html", "txt", JavaScript="true")
