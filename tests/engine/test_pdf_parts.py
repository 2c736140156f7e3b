"""Metadata, files and bookmarks of documents, and damaged ones rebuilt; judged by poppler, qpdf."""

import io
import json
import subprocess
import tempfile
import zipfile
from pathlib import Path

import pikepdf
import pytest

from tests.engine.calls import Reply, convert, sample
from tests.engine.judges import qpdf_approves, run, words
from tests.engine.test_pdf_pages import book, first_words, outline

SECRET = {"password": "open sesame"}


def operate(
    operation: str,
    uploads: bytes | list[bytes],
    target: str = "pdf",
    *companions: str,
    **more: object,
) -> Reply:
    reply = convert(uploads, "pdf", target, operation=operation, companions=companions, **more)
    for file in reply.files if target == "pdf" else ():
        qpdf_approves(file)
    return reply


def told(operation: str, upload: bytes, **options: object) -> object:
    return json.loads(operate(operation, upload, "json", **options).file)


def attached(pdf: bytes) -> dict[str, bytes]:
    """The files in a document, taken out by poppler."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.pdf"
        path.write_bytes(pdf)
        out = Path(folder) / "out"
        out.mkdir()
        subprocess.run(["pdfdetach", "-saveall", "-o", str(out), str(path)], check=True)
        return {one.name: one.read_bytes() for one in out.iterdir()}


def test_metadata_is_what_the_document_says_and_holds() -> None:
    found = told("metadata", sample("form.pdf"))
    assert isinstance(found, dict)
    assert (found["title"], found["pages"], found["form_fields"]) == ("three", 3, 1)
    assert (found["bookmarks"], found["encrypted"], found["version"]) == (1, False, "1.3")
    assert found["page_sizes"] == [{"width_mm": 70.6, "height_mm": 105.8, "pages": 3}]


def test_metadata_of_a_restricted_document_names_what_is_allowed() -> None:
    made = convert(sample("nine.pdf"), "pdf", "pdf", operation="protect", allow="print,copy").file
    found = told("metadata", made)
    assert isinstance(found, dict)
    assert (found["encrypted"], found["allowed"]) == (True, ["print", "copy"])


def test_metadata_can_be_written_and_removed_one_by_one() -> None:
    made = operate(
        "set_metadata", sample("nine.pdf"), title="Übersicht Ω", author="Ada", language="de"
    ).file
    seen = run("pdfinfo", "-", stdin=made).decode()
    assert "Title:           Übersicht Ω" in seen
    assert "Author:          Ada" in seen
    assert "Übersicht Ω" in run("pdfinfo", "-meta", "-", stdin=made).decode()
    assert told("metadata", made)["language"] == "de"  # type: ignore[index]
    again = operate("set_metadata", made, title="").file
    seen = run("pdfinfo", "-", stdin=again).decode()
    assert ("Title" in seen, "Author:          Ada" in seen) == (False, True)
    assert "Übersicht" not in run("pdfinfo", "-meta", "-", stdin=again).decode()


def test_setting_nothing_is_refused() -> None:
    assert operate("set_metadata", sample("nine.pdf")).error == "OptionInvalid"


def test_stripping_leaves_no_metadata_not_even_a_cameras() -> None:
    photo = operate("watermark", [sample("nine.pdf"), sample("photo.png")], "pdf", "png").file
    with pikepdf.open(io.BytesIO(photo)) as document:
        camera = document.make_stream(
            sample("orientation-6.jpg"), Type=pikepdf.Name.XObject, Subtype=pikepdf.Name.Image,
            Filter=pikepdf.Name.DCTDecode, Width=120, Height=160, BitsPerComponent=8,
            ColorSpace=pikepdf.Name.DeviceRGB,
        )  # fmt: skip
        camera.Metadata = document.make_stream(b"<x>secret place</x>")
        document.pages[0].Resources.XObject["/Camera"] = camera
        buffer = io.BytesIO()
        document.save(buffer)
    before = operate("set_metadata", buffer.getvalue(), title="secret").file
    assert b"Ephemera Camera Works" in before
    made = operate("strip_metadata", before).file
    seen = run("pdfinfo", "-", stdin=made).decode()
    assert ("Title" in seen, "Metadata Stream: no" in seen) == (False, True)
    assert b"Camera Works" not in made
    assert b"secret" not in made
    assert first_words(made) == first_words(before)


def test_files_are_attached_under_their_names() -> None:
    made = operate(
        "attach", [sample("nine.pdf"), sample("photo.png"), b"plain"], "pdf", "png", "txt",
        names="Foto ä.png", relationship="data",
    ).file  # fmt: skip
    assert attached(made) == {"Foto ä.png": sample("photo.png"), "attachment-2.txt": b"plain"}
    listed = told("attachments", made)
    assert isinstance(listed, list)
    assert listed[0] == {
        "name": "Foto ä.png",
        "bytes": len(sample("photo.png")),
        "media_type": "image/png",
        "relationship": "data",
    }
    packed = operate("extract_attachments", made, "zip").file
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.testzip() is None
        found = {one.filename: archive.read(one) for one in archive.infolist()}
    assert found == attached(made)


@pytest.mark.parametrize("names", ["a\x00b", "a/a", "a/b/c", "x" * 200, "a\\b"])
def test_names_that_files_cannot_have_are_refused(names: str) -> None:
    reply = operate("attach", [sample("nine.pdf"), b"a", b"b"], "pdf", "txt", "txt", names=names)
    assert reply.error == "OptionInvalid"


def test_hostile_names_mean_nothing_to_a_file_system_and_pinned_files_come_too() -> None:
    with pikepdf.open(io.BytesIO(sample("nine.pdf"))) as document:
        for name in ("../../etc/passwd", "C:\\boot.ini", "same", "a/same", "\x07..."):
            document.attachments[name] = pikepdf.AttachedFileSpec(
                document, name.encode(), filename=name
            )
        pinned = pikepdf.AttachedFileSpec(document, b"pinned", filename="pin.txt")
        document.pages[3].Annots = pikepdf.Array([
            pikepdf.Dictionary(
                Type=pikepdf.Name.Annot, Subtype=pikepdf.Name.FileAttachment, Rect=[0, 0, 9, 9],
                FS=pinned.obj,
            )
        ])  # fmt: skip
        buffer = io.BytesIO()
        document.save(buffer)
    reply = operate("extract_attachments", buffer.getvalue(), "zip")
    with zipfile.ZipFile(io.BytesIO(reply.file)) as archive:
        assert sorted(archive.namelist()) == [
            "_", "boot.ini", "passwd", "pin.txt", "same", "same-2"]  # fmt: skip
    assert "other names" in reply.warnings[0]
    listed = told("attachments", buffer.getvalue())
    assert [one.get("page") for one in listed][-1] == 4  # type: ignore[attr-defined]


def test_a_document_without_files_has_none_to_extract() -> None:
    assert operate("extract_attachments", sample("nine.pdf"), "zip").error == "TargetImpossible"
    assert told("attachments", sample("nine.pdf")) == []


def test_bookmarks_are_read_and_what_is_read_can_be_written() -> None:
    listed = told("bookmarks", book())
    assert isinstance(listed, list)
    assert [(one["title"], one["page"]) for one in listed[:3]] == [
        ("one", 2),
        ("two", 4),
        ("three", 8),
    ]
    made = operate("set_bookmarks", sample("nine.pdf"), bookmarks=json.dumps(listed)).file
    assert outline(made) == outline(book())


def test_bookmarks_are_added_or_removed() -> None:
    more = '[{"title": "more Ω", "page": 9}]'
    made = operate("set_bookmarks", book(), bookmarks=more, mode="append").file
    assert outline(made)[-1] == (0, "more Ω", 9)
    assert len(outline(made)) == len(outline(book())) + 1
    assert outline(operate("set_bookmarks", book()).file) == []


def test_a_bookmark_beyond_the_end_is_impossible_and_nonsense_is_refused() -> None:
    beyond = operate("set_bookmarks", book(), bookmarks='[{"title": "x", "page": 10}]')
    assert beyond.error == "TargetImpossible"
    with pytest.raises(Exception, match="bookmarks"):
        operate("set_bookmarks", book(), bookmarks='{"title": 1}')


@pytest.mark.parametrize("share", [0.98, 0.9, 0.8, 0.6])
def test_a_document_that_was_cut_off_is_rebuilt_from_what_is_left(share: float) -> None:
    whole = sample("nine.pdf")
    reply = operate("repair", whole[: int(len(whole) * share)])
    assert (
        words(reply.file).split()
        == words(sample("nine.pdf")).split()[: len(words(reply.file).split())]
    )
    assert len(words(reply.file).split()) >= (18 if share > 0.75 else 6)
    assert any("faults" in warning for warning in reply.warnings)


def test_a_document_without_catalogue_or_table_of_objects_is_rebuilt() -> None:
    damaged = sample("nine.pdf").replace(b"/Catalog", b"/Catalxx").replace(b"xref", b"xxxx")
    damaged = damaged[: damaged.rindex(b"trailer")].replace(b"/Type /Pages", b"/Type /Paxxx")
    reply = operate("repair", damaged)
    assert first_words(reply.file) == first_words(sample("nine.pdf"))
    assert "what is left" in reply.warnings[0]


def test_what_is_whole_is_said_to_be() -> None:
    assert operate("repair", sample("nine.pdf")).warnings[0].startswith("no fault was found")


def test_what_is_no_document_at_all_is_refused() -> None:
    assert operate("repair", b"%PDF-1.7\nnothing of the kind").error == "SourceUnreadable"


@pytest.mark.parametrize(
    ("operation", "target", "options"),
    [
        ("metadata", "json", {}),
        ("set_metadata", "pdf", {"title": "x"}),
        ("strip_metadata", "pdf", {}),
        ("attachments", "json", {}),
        ("extract_attachments", "zip", {}),
        ("bookmarks", "json", {}),
        ("set_bookmarks", "pdf", {}),
        ("fields", "json", {}),
        ("repair", "pdf", {}),
    ],
)
def test_an_encrypted_document_asks_for_its_password(
    operation: str, target: str, options: dict[str, object]
) -> None:
    assert (
        operate(operation, sample("encrypted.pdf"), target, **options).error == "PasswordRequired"
    )
    opened = operate(operation, sample("encrypted.pdf"), target, **options, **SECRET)
    assert opened.error in {"", "TargetImpossible"}
    if target == "pdf":
        assert any("not encrypted" in warning for warning in opened.warnings)
