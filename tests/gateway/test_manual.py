"""The printed catalogue is the one that runs, and every converter in it is judged."""

from pathlib import Path

from engine import registry
from gateway import manual
from gateway.fidelity import FIDELITY, MEANING

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
DECLARED = [converter for _, converters in registry.DECLARED for converter in converters]


def test_the_committed_page_is_the_generated_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == manual.page(), (
        "write it again: .venv/bin/python -m gateway.manual > docs/formats.md"
    )


def test_every_converter_has_a_tier_and_no_other_name_has() -> None:
    assert set(FIDELITY) == {converter.name for converter in DECLARED}
    assert set(FIDELITY.values()) == set(MEANING)


def test_every_option_of_every_converter_is_on_the_page() -> None:
    page = manual.page()
    for converter in DECLARED:
        (section,) = page.split(f"\n### {converter.name}\n")[1:]
        section = section.partition("\n#")[0]
        names = [f"| `{name}` |" for name in registry.options_schema(converter)["properties"]]
        assert [name for name in names if name not in section] == []
