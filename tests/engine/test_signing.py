"""Signatures made and judged; the judge is poppler's pdfsig, which uses NSS."""

import io
import json
import subprocess
import tempfile

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from tests.engine.calls import FILES, Reply, convert, sample
from tests.engine.judges import psnr, qpdf_approves, rendered, words

RSA, EC = "rsa.p12", "ec.p12"


def key(name: str) -> bytes:
    return (FILES / "pdf" / name).read_bytes()


def sign(upload: bytes, held: str = RSA, **options: object) -> Reply:
    given = {"key_password": "secret", **options}
    reply = convert(
        [upload, key(held)], "pdf", "pdf", operation="sign", companions=("p12",), **given
    )
    for file in reply.files:
        qpdf_approves(file)
    return reply


def judged(pdf: bytes) -> list[dict[str, str]]:
    """Each signature as poppler sees it."""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
        file.write(pdf)
        file.flush()
        command = ["pdfsig", "-nocert", file.name]
        told = subprocess.run(command, capture_output=True, check=False, text=True).stdout
    found = []
    for block in told.split("Signature #")[1:]:
        rows = [line.strip(" -").split(": ", 1) for line in block.splitlines()]
        found.append({row[0]: row[1] if len(row) > 1 else "" for row in rows if row[0]})
    return found


def told(pdf: bytes, **options: object) -> list[dict[str, object]]:
    made = convert(pdf, "pdf", "json", operation="signatures", **options).file
    found: list[dict[str, object]] = json.loads(made)
    return found


def a4() -> bytes:
    return convert(sample("nine.pdf"), "pdf", "pdf", operation="resize").file


@pytest.mark.parametrize(("held", "name"), [
    (RSA, "Ada Example"), ("rsa-old.p12", "Ada Example"), (EC, "Eve Elliptic")])  # fmt: skip
def test_a_signature_is_valid_and_covers_the_whole_document(held: str, name: str) -> None:
    made = sign(sample("nine.pdf"), held, reason="because Ω", location="Graz").file
    [seen] = judged(made)
    assert seen["Signature Validation"] == "Signature is Valid."
    assert seen["Signer Certificate Common Name"] == name
    assert seen["Signature Type"] == "ETSI.CAdES.detached"
    assert "Total document signed" in seen
    [own] = told(made)
    assert (own["holds"], own["covers_all"], own["signer"]) == ("yes", True, name)
    assert (own["reason"], own["location"], own["digest"]) == ("because Ω", "Graz", "sha256")
    assert words(made) == words(sample("nine.pdf"))
    assert psnr(rendered(sample("nine.pdf")), rendered(made)) == 99


@pytest.mark.parametrize("packed", [False, True])
def test_a_second_signature_leaves_the_first_one_valid(packed: bool) -> None:
    """`packed`: the table of objects is a stream, as in most documents of today."""
    with pikepdf.open(io.BytesIO(sample("nine.pdf"))) as document:
        buffer = io.BytesIO()
        mode = pikepdf.ObjectStreamMode.generate if packed else pikepdf.ObjectStreamMode.disable
        document.save(buffer, object_stream_mode=mode)
    first = appended(buffer.getvalue()) if packed else sign(buffer.getvalue()).file
    second = sign(first, EC).file
    assert second.startswith(first)
    valid = [one["Signature Validation"] for one in judged(second)][-2:]
    assert valid == ["Signature is Valid."] * 2
    own = [(one["holds"], one["covers_all"]) for one in told(second)]
    assert own[-2:] == [("yes", False), ("yes", True)]


def appended(packed: bytes) -> bytes:
    """Signed without being written anew, as other programs do: it has an empty signature field."""
    with pikepdf.open(io.BytesIO(packed)) as document:
        field = Dictionary(
            Type=Name.Annot, Subtype=Name.Widget, FT=Name.Sig, T=String("theirs"),
            Rect=[0, 0, 0, 0], P=document.pages[0].obj, V=Dictionary(Type=Name.Sig),
        )  # fmt: skip
        document.pages[0].Annots = Array([document.make_indirect(field)])
        document.Root.AcroForm = Dictionary(Fields=document.pages[0].Annots, SigFlags=1)
        buffer = io.BytesIO()
        document.save(buffer, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    # What stands in it is no signature yet: the next one is appended and judged.
    return sign(buffer.getvalue(), field="ours").file


def test_a_visible_signature_is_written_where_it_is_seen() -> None:
    made = sign(a4(), visible=True, page=2, position="top-left", reason="I agree").file
    text = words(made, "-f", "2", "-l", "2")
    assert "Signed by Ada Example" in text
    assert "I agree" in text
    look = rendered(made, 2).convert("L")
    assert look.crop((30, 30, 220, 80)).getextrema()[0] < 128
    assert judged(made)[0]["Signature Validation"] == "Signature is Valid."


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_visible_signature_is_upright_on_a_turned_page(turns: int) -> None:
    turned = convert(a4(), "pdf", "pdf", operation="rotate", angle=90 * turns).file
    upright = rendered(sign(a4(), visible=True, page=1, width_mm=60, height_mm=20).file)
    made = rendered(sign(turned, visible=True, page=1, width_mm=60, height_mm=20).file)

    def corner(look: object) -> object:
        width, height = look.size  # type: ignore[attr-defined]
        return look.crop((width - 200, height - 87, width - 26, height - 26))  # type: ignore[attr-defined]

    assert psnr(corner(upright).reduce(6), corner(made).reduce(6)) > 20  # type: ignore[attr-defined,arg-type]


def test_an_empty_field_of_the_document_is_used_with_its_place() -> None:
    with pikepdf.open(io.BytesIO(a4())) as document:
        field = document.make_indirect(
            Dictionary(
                Type=Name.Annot, Subtype=Name.Widget, FT=Name.Sig, T=String("approval"),
                Rect=[100, 100, 300, 160], P=document.pages[0].obj, F=4,
            )
        )  # fmt: skip
        document.pages[0].Annots = Array([field])
        document.Root.AcroForm = Dictionary(Fields=Array([field]))
        buffer = io.BytesIO()
        document.save(buffer)
    made = sign(buffer.getvalue(), field="approval").file
    assert judged(made)[0]["Signature Field Name"] == "approval"
    assert "Signed by Ada Example" in words(made, "-l", "1")
    assert sign(made, field="approval").error == "TargetImpossible"


def test_a_changed_byte_and_an_added_page_are_seen() -> None:
    made = sign(sample("nine.pdf")).file
    tampered = made.replace(b"/Title (nine)", b"/Title (Nine)")
    assert tampered != made
    assert [one["holds"] for one in told(tampered)] == ["no"]
    longer = made + b"\n% more\n"
    assert [(one["holds"], one["covers_all"]) for one in told(longer)] == [("yes", False)]


def test_a_document_that_nobody_signed_has_no_signatures() -> None:
    assert told(sample("nine.pdf")) == []


def test_changing_a_signed_document_says_that_its_signature_ends() -> None:
    made = sign(sample("nine.pdf")).file
    reply = convert(made, "pdf", "pdf", operation="rotate")
    assert any("signature is not valid" in warning for warning in reply.warnings)


def test_an_encrypted_document_is_signed_in_the_clear_and_that_is_said() -> None:
    assert sign(sample("encrypted.pdf")).error == "PasswordRequired"
    opened = sign(sample("encrypted.pdf"), password="open sesame")  # the sample's
    assert "not encrypted" in opened.warnings[0]
    assert judged(opened.file)[0]["Signature Validation"] == "Signature is Valid."


def test_keys_that_do_not_open_or_are_none_are_refused() -> None:
    wrong = sign(sample("nine.pdf"), key_password="wrong")  # it is the point
    assert (wrong.error, "key_password" in wrong.detail) == ("PasswordRequired", True)
    assert sign(sample("nine.pdf"), "certificate-only.p12").error == "TargetImpossible"
    nonsense = convert(
        [sample("nine.pdf"), b"0\x82\x01\x00nonsense"], "pdf", "pdf", operation="sign",
        companions=("p12",),
    )  # fmt: skip
    assert nonsense.error == "SourceUnreadable"


def test_what_does_not_fit_on_the_page_or_has_no_page_is_impossible() -> None:
    assert sign(sample("nine.pdf"), visible=True, width_mm=90).error == "TargetImpossible"
    assert sign(sample("nine.pdf"), visible=True, page=10).error == "TargetImpossible"
    with pytest.raises(Exception, match="visible"):
        sign(sample("nine.pdf"), page=1)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_nonsense_in_the_place_of_a_signature_is_unknown_not_a_crash(share: float) -> None:
    made = bytearray(sign(sample("nine.pdf")).file)
    begin = made.index(b"/Contents <") + 11
    at = begin + int(share * 2800)
    made[at : at + 40] = b"f" * 40
    assert next(one["holds"] for one in told(bytes(made))) in {"unknown", "no"}
