"""The catalogue holds together, and options become structs or a sentence that helps."""

import subprocess
import sys

import msgspec
import pytest

from engine import errors
from engine.formats import FORMATS, find
from engine.registry import (
    CONVERTERS,
    FAMILIES,
    Converter,
    by_name,
    converter_for,
    options_schema,
    parse_options,
)

_CODECS = tuple(sorted({module for family in FAMILIES for module in family.needs}))


def _properties(converter: Converter) -> list[tuple[str, dict[str, object]]]:
    return list(options_schema(converter)["properties"].items())


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda one: one.name)
def test_every_option_has_a_description_a_default_and_a_valid_example(converter: Converter) -> None:
    for name, entry in _properties(converter):
        assert len(str(entry.get("description", ""))) > 12, name
        assert str(entry["description"]).endswith("."), name
        assert "default" in entry, name
        for example in entry["examples"]:  # type: ignore[attr-defined]
            text = str(example).lower() if isinstance(example, bool) else str(example)
            parse_options(converter, {name: text})


@pytest.mark.parametrize("converter", CONVERTERS, ids=lambda one: one.name)
def test_every_converter_is_fully_declared(converter: Converter) -> None:
    assert converter.title
    assert converter.name.startswith(f"{converter.family}.")
    assert converter.name.endswith(f".{converter.operation}")
    assert converter.family in {family.name for family in FAMILIES}
    assert converter.credits >= 1
    assert converter.inputs_max >= 1
    assert {*converter.sources, *converter.targets} <= {row.name for row in FORMATS}
    assert msgspec.json.encode(options_schema(converter))


def test_names_are_unique() -> None:
    assert len({one.name for one in CONVERTERS}) == len(CONVERTERS)


def test_no_format_shares_a_name_or_extension_with_another() -> None:
    words = [word for row in FORMATS for word in {row.name, *row.aliases, *row.extensions}]
    assert len(words) == len(set(words))


@pytest.mark.parametrize("word", ["jpeg", "JPG", ".jpe", "tif", "Tiff", "htm"])
def test_a_format_is_found_by_name_alias_or_extension(word: str) -> None:
    assert find(word).name in {"jpeg", "tiff", "html"}


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(errors.FormatUnknown, match="GET /v1/formats"):
        find("betamax")


def test_the_catalogue_loads_no_codec() -> None:
    program = f"import engine.registry, sys; print([m for m in {_CODECS!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_one_converter_for_a_pair_needs_no_operation() -> None:
    assert converter_for("jpg", "WEBP").name == "image.convert"
    assert converter_for("pdf", "txt").name == "pdf.text"
    assert converter_for("tif", "pdf", inputs=3).name == "pdf.images"


def test_several_pdf_files_are_merged_when_nothing_is_said() -> None:
    assert converter_for("pdf", "pdf", inputs=2).name == "pdf.merge"


def test_an_ambiguous_pair_lists_its_operations() -> None:
    with pytest.raises(errors.OptionInvalid, match=r"say one of merge, pages, .*split, rotate"):
        converter_for("pdf", "pdf")


def test_an_unknown_operation_lists_the_known_ones() -> None:
    with pytest.raises(errors.OptionInvalid, match=r"'shred'.*rotate"):
        converter_for("pdf", "pdf", "shred")


def test_an_impossible_pair_says_what_there_is_instead() -> None:
    with pytest.raises(errors.ConversionUnsupported, match=r"png becomes .*webp"):
        converter_for("png", "stl")
    with pytest.raises(errors.ConversionUnsupported, match="recognised but not converted"):
        converter_for("midi", "pdf")


def test_too_many_files_are_refused_with_the_number() -> None:
    with pytest.raises(errors.SourceCountInvalid, match="takes one file and 2 were sent"):
        converter_for("psd", "json", inputs=2)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (
            {"wdith": "3"},
            r"'wdith' is not an option of image.convert; known options: width, height",
        ),
        ({"width": "0"}, r"width: '0' is not valid; it takes a whole number from 1 to 16384"),
        ({"width": "wide"}, "a whole number from 1 to 16384"),
        ({"width": "null"}, "a whole number from 1 to 16384"),
        ({"width": ""}, "a whole number from 1 to 16384"),
        ({"quality": "101"}, "quality: '101' is not valid; it takes a whole number from 1 to 100"),
        ({"fit": "tight"}, "one of contain, cover, fill, inside, outside"),
        ({"enlarge": "maybe"}, "true or false"),
        ({"background": "mauve"}, "text such as 'ffe4c4'"),
    ],
)
def test_a_wrong_option_is_named_with_what_it_may_be(raw: dict[str, str], says: str) -> None:
    with pytest.raises(errors.OptionInvalid, match=says):
        parse_options(by_name("image.convert"), raw)


def test_a_wrong_angle_lists_the_right_ones() -> None:
    with pytest.raises(errors.OptionInvalid, match="90, 180, 270"):
        parse_options(by_name("pdf.rotate"), {"angle": "45"})


@pytest.mark.parametrize("text", ["0", "1-", "-3", "7-last", "odd,even", "1,", "a", "1--2", ""])
def test_page_ranges_are_checked_before_anything_runs(text: str) -> None:
    converter = by_name("pdf.pages")
    if text in {"1-", "-3", "7-last", "odd,even"}:
        assert parse_options(converter, {"pages": text})
    else:
        with pytest.raises(errors.OptionInvalid, match=r"pages: .*1-3,7,9-"):
            parse_options(converter, {"pages": text})


@pytest.mark.parametrize("target", ["jpeg", "avif"])
def test_lossless_is_refused_where_the_target_cannot(target: str) -> None:
    with pytest.raises(errors.OptionInvalid, match="lossless"):
        parse_options(by_name("image.convert"), {"lossless": "true"}, target=target)


def test_protecting_without_any_protection_is_refused() -> None:
    with pytest.raises(errors.OptionInvalid, match="user_password"):
        parse_options(by_name("pdf.protect"), {}, target="pdf")


def test_options_survive_the_way_to_the_worker() -> None:
    converter = by_name("image.convert")
    options = parse_options(converter, {"width": "800", "fit": "cover", "lossless": "1"})
    assert msgspec.convert(msgspec.to_builtins(options), converter.options) == options


def test_a_wrong_password_option_is_not_repeated_in_the_error() -> None:
    with pytest.raises(errors.OptionInvalid, match="the value is not valid") as caught:
        parse_options(by_name("pdf.unlock"), {"password": "hunter2" * 40})
    assert "hunter2" not in str(caught.value)
