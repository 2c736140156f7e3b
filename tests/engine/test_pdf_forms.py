"""Form fields listed, filled and flattened; judged by qpdf and poppler."""

import io
import json

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from tests.engine.calls import Reply, convert, sample
from tests.engine.judges import psnr, qpdf_approves, rendered, words

_MULTILINE, _COMB, _COMBO, _RADIO = 1 << 12, 1 << 24, 1 << 17, 1 << 15
VALUES = {
    "name": "Ångström Привет",
    "story": "Once upon a time there was a field with several lines, and they were wrapped.\nNew.",
    "code": "AB12",
    "amount": "1.234,56 €",
    "colour": "b",
    "fruit": "pear",
    "agree": True,
    "size": "M",
}


def questionnaire() -> bytes:
    """One field of each kind, none of them drawn but the buttons."""
    with pikepdf.new() as document:
        page = document.add_blank_page(page_size=(400, 400))
        widgets: list[pikepdf.Object] = []
        automatic, ten = String("/Helv 0 Tf 0 0 1 rg"), String("/Helv 10 Tf 0 g")

        def widget(*rect: int, **entries: object) -> pikepdf.Object:
            made = Dictionary(
                Type=Name.Annot, Subtype=Name.Widget, Rect=list(rect), F=4, P=page.obj, **entries
            )
            widgets.append(document.make_indirect(made))
            return widgets[-1]

        def mark(content: bytes) -> pikepdf.Object:
            return document.make_stream(
                content, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 15, 15]
            )

        def field(name: str, kind: pikepdf.Name, *rect: int, **entries: object) -> None:
            widget(*rect, FT=kind, T=String(name), MK=Dictionary(BC=[0, 0, 0]), **entries)

        field("name", Name.Tx, 20, 360, 200, 380, DA=automatic, TU=String("Your name"), Ff=2)
        field("story", Name.Tx, 20, 280, 200, 350, DA=automatic, Ff=_MULTILINE)
        field("code", Name.Tx, 20, 250, 200, 270, DA=ten, Ff=_COMB, MaxLen=6)
        field("amount", Name.Tx, 220, 360, 380, 380, DA=ten, Q=2)
        colours = Array([Array([String("r"), String("Red")]), Array([String("b"), String("Blue")])])
        field("colour", Name.Ch, 220, 320, 380, 340, DA=automatic, Ff=_COMBO, Opt=colours)
        fruit = Array([String(one) for one in ("apple", "pear", "plum")])
        field("fruit", Name.Ch, 220, 250, 380, 310, DA=ten, Opt=fruit)
        cross, empty = mark(b"0 0 15 15 re S 2 2 m 13 13 l S"), mark(b"0 0 15 15 re S")
        field(
            "agree", Name.Btn, 20, 220, 35, 235,
            AS=Name.Off, AP=Dictionary(N=Dictionary(Yes=cross, Off=empty)),
        )  # fmt: skip
        fields = list(widgets)
        group = document.make_indirect(Dictionary(FT=Name.Btn, T=String("size"), Ff=_RADIO))
        group.Kids = Array([
            widget(
                20 + 30 * place, 190, 35 + 30 * place, 205, Parent=group, AS=Name.Off,
                AP=Dictionary(N=Dictionary({f"/{size}": cross, "/Off": empty})),
            )
            for place, size in enumerate("SML")
        ])  # fmt: skip
        page.obj.Annots = Array(widgets)
        font = Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica)
        document.Root.AcroForm = Dictionary(
            Fields=Array([*fields, group]), DR=Dictionary(Font=Dictionary(Helv=font)), DA=automatic
        )
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def operate(operation: str, upload: bytes, **options: object) -> Reply:
    reply = convert(upload, "pdf", "pdf", operation=operation, **options)
    for file in reply.files:
        qpdf_approves(file)
    return reply


def filled(values: dict[str, object], **options: object) -> Reply:
    return operate("fill", questionnaire(), values=json.dumps(values), **options)


def listed(pdf: bytes) -> dict[str, dict[str, object]]:
    made = convert(pdf, "pdf", "json", operation="fields").file
    return {field["name"]: field for field in json.loads(made)}


def test_fields_are_listed_with_kinds_choices_and_rules() -> None:
    fields = listed(questionnaire())
    assert {name: field["kind"] for name, field in fields.items()} == {
        "name": "text",
        "story": "text",
        "code": "text",
        "amount": "text",
        "colour": "choice",
        "fruit": "choice",
        "agree": "checkbox",
        "size": "radio",
    }
    assert (fields["name"]["label"], fields["name"]["required"]) == ("Your name", True)
    assert fields["colour"]["choices"] == ["r", "b"]
    assert fields["size"]["choices"] == ["S", "M", "L"]
    assert (fields["code"]["length_max"], fields["story"]["multiline"]) == (6, True)
    assert listed(sample("nine.pdf")) == {}


def test_what_is_filled_in_is_held_and_seen() -> None:
    made = filled(VALUES).file
    assert {name: field.get("value", "") for name, field in listed(made).items()} == VALUES
    seen = words(made, "-layout").split()
    for word in ("Ångström", "Привет", "upon", "wrapped.", "New.", "1.234,56", "€", "Blue", "pear"):
        assert word in seen
    assert [word for word in seen if word in {"A", "B", "1", "2"}] == ["A", "B", "1", "2"]


def test_buttons_that_were_chosen_are_drawn_so() -> None:
    before, after = rendered(questionnaire()), rendered(filled({"agree": True, "size": "M"}).file)

    def dark(left: int) -> int:
        """How much darker the box at this place has become; boxes are 15 points wide."""
        place = (left, 195, left + 15, 210)
        was, now = (image.crop(place).convert("L").histogram() for image in (before, after))
        return sum(now[:128]) - sum(was[:128])

    assert dark(50) > 10
    assert dark(20) == dark(80) == 0


def test_flattening_changes_nothing_that_is_seen_and_leaves_no_field() -> None:
    made = filled(VALUES).file
    flat = operate("flatten", made).file
    assert psnr(rendered(made), rendered(flat)) == 99
    assert listed(flat) == {}
    assert listed(filled(VALUES, flatten=True).file) == {}


def test_flattening_draws_what_a_reader_would_have_drawn() -> None:
    assert "filled in" in words(operate("flatten", sample("form.pdf")).file)


@pytest.mark.parametrize(
    "values",
    [
        {"unknown": "x"},
        {"colour": "green"},
        {"size": "XL"},
        {"agree": "maybe"},
        {"code": "ABCDEFG"},
        {"name": ["a", "b"]},
        {"fruit": ["apple", "pear"]},
    ],
)
def test_what_the_form_does_not_take_is_refused(values: dict[str, object]) -> None:
    reply = filled(values)
    assert (reply.error, reply.detail.startswith("values: ")) == ("TargetImpossible", True)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "{", '{"a": {"b": 1}}', "[" * 5000])
def test_values_that_are_no_object_of_values_are_refused_before_anything_runs(text: str) -> None:
    with pytest.raises(Exception, match="values"):
        operate("fill", questionnaire(), values=text)


def test_letters_that_cannot_be_drawn_are_said() -> None:
    reply = filled({"name": "中文"})
    assert "cannot be drawn" in reply.warnings[0]
    assert listed(reply.file)["name"]["value"] == "中文"


def test_a_document_without_fields_cannot_be_filled() -> None:
    reply = operate("fill", sample("nine.pdf"), values='{"a": "b"}')
    assert (reply.error, "no form fields" in reply.detail) == ("TargetImpossible", True)


def test_an_xfa_form_would_hide_the_values_and_is_removed() -> None:
    with pikepdf.open(io.BytesIO(questionnaire())) as document:
        document.Root.AcroForm.XFA = document.make_stream(b"<xdp/>")
        buffer = io.BytesIO()
        document.save(buffer)
    reply = operate("fill", buffer.getvalue(), values='{"name": "x"}')
    assert "XFA" in reply.warnings[0]
    assert b"XFA" not in reply.file


@pytest.mark.parametrize("operation", ["fill", "flatten"])
def test_an_encrypted_form_asks_for_its_password(operation: str) -> None:
    more = {"values": '{"a": "b"}'} if operation == "fill" else {}
    assert operate(operation, sample("encrypted.pdf"), **more).error == "PasswordRequired"
