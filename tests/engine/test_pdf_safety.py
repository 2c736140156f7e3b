"""Redaction that leaves nothing, active content removed, PDF/A; judged by qpdf and poppler."""

import io
import json
import subprocess
import tempfile
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name, String

from tests.engine.calls import Reply, convert, sample
from tests.engine.judges import page_sizes, psnr, qpdf_approves, rendered, run, words


def operate(operation: str, upload: bytes, **options: object) -> Reply:
    reply = convert(upload, "pdf", "pdf", operation=operation, **options)
    for file in reply.files:
        qpdf_approves(file)
    return reply


def hidden(upload: bytes, *wanted: str, **options: object) -> Reply:
    return operate("redact", upload, words=json.dumps(list(wanted)), **options)


def changed(upload: bytes, how: object) -> bytes:
    with pikepdf.open(io.BytesIO(upload)) as document:
        how(document)  # type: ignore[operator]
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def of_text(*lines: str) -> bytes:
    """A page with these lines, in a font of which pdfium and poppler know each letter."""
    blank = changed(sample("nine.pdf"), lambda document: document.pages.__delitem__(slice(1, 9)))
    made = convert(blank, "pdf", "pdf", operation="resize", page_size="a4").file
    for place, line in enumerate(lines):
        made = operate(
            "number", made, text=line, position="top-left", margin_mm=20 + 10 * place, font_size=14
        ).file
    return made


def laid_open(pdf: bytes) -> bytes:
    """Everything in the file, unpacked by qpdf."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "in.pdf"
        path.write_bytes(pdf)
        command = ["qpdf", "--qdf", "--object-streams=disable", str(path), f"{folder}/out.pdf"]
        subprocess.run(command, check=True)
        return (Path(folder) / "out.pdf").read_bytes()


def test_words_are_gone_from_the_page_the_file_and_the_drawing() -> None:
    before = sample("nine.pdf")
    reply = hidden(before, "BRAVO")
    pages = words(before).split("\f")
    assert words(reply.file).split() == " ".join([pages[0], *pages[2:]]).split()
    assert b"bravo" not in laid_open(reply.file).lower()
    assert "pages that became pictures: 2" in reply.warnings[-1]
    look = rendered(reply.file, 2, 100)
    assert look.crop((30, 58, 60, 66)).getextrema() == ((0, 0), (0, 0), (0, 0))
    assert psnr(rendered(before, 3), rendered(reply.file, 3)) == 99


def test_what_is_beside_the_words_can_still_be_read() -> None:
    reply = hidden(sample("nine.pdf"), "bravo", dpi=150)
    before, after = rendered(sample("nine.pdf"), 2, 150), rendered(reply.file, 2, 150)
    right = (150, 80, 300, 130)
    assert psnr(before.crop(right), after.crop(right)) > 22


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_bars_lie_over_the_words_however_the_page_lies(turns: int) -> None:
    before = operate("rotate", sample("nine.pdf"), angle=90 * turns).file
    whole = hidden(before, "alpha nine")
    white = rendered(whole.file).convert("L").point([255 if v > 64 else 0 for v in range(256)])
    bar = white.point([255 - v for v in range(256)]).getbbox()
    assert bar is not None
    expected = rendered(before).convert("L").point([255 if v < 200 else 0 for v in range(256)])
    ink = expected.getbbox()
    assert ink is not None
    assert bar[0] <= ink[0] <= ink[2] <= bar[2]
    assert bar[1] <= ink[1] <= ink[3] <= bar[3]
    assert words(whole.file).split() == words(before).split()[2:]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("Die Straße von Ada", "STRASSE"),
        ("the ﬁnal ﬂag", "final flag"),
        ("two   words", "two words"),
        ("Ελλάδα", "ΕΛΛΆΔΑ"),
    ],
)
def test_words_are_found_in_any_of_their_forms(line: str, wanted: str) -> None:
    reply = hidden(of_text(line), wanted)
    assert line.split()[1 if " " in line else 0] not in words(reply.file)


def test_a_phrase_that_runs_over_two_lines_is_found() -> None:
    made = hidden(of_text("first Ada", "Example last"), "Ada Example").file
    assert "Example" not in words(made)
    look = rendered(made, dpi=100).convert("L").point([255 if v > 40 else 0 for v in range(256)])
    assert look.getextrema()[0] == 0


def test_whole_words_and_case_are_minded_where_asked() -> None:
    made = of_text("Art and artful arts")
    assert hidden(made, "art", whole_words=True, match_case=True).error == "TargetImpossible"
    assert hidden(made, "Art", whole_words=True, match_case=True).error == ""


def test_places_are_blackened_as_they_are_seen() -> None:
    boxes = [{"page": 2, "left_mm": 10, "top_mm": 20, "width_mm": 30, "height_mm": 10}]
    made = operate("redact", sample("nine.pdf"), boxes=json.dumps(boxes)).file
    look = rendered(made, 2)
    assert page_sizes(made)[1] == (200, 300)
    assert look.crop((30, 59, 112, 83)).getextrema() == ((0, 0),) * 3
    assert "bravo" not in words(made)
    assert "alpha" in words(made)


def test_what_fields_comments_bookmarks_and_metadata_repeat_goes_too() -> None:
    def spread(document: pikepdf.Pdf) -> None:
        document.docinfo["/Title"] = "about Ada Example"
        with document.open_outline() as outline:
            outline.root.append(pikepdf.OutlineItem("Ada Example", 2))
        note = Dictionary(
            Type=Name.Annot, Subtype=Name.Text, Rect=[0, 0, 20, 20], F=2,
            Contents=String("ask Ada Example"),
        )  # fmt: skip
        document.pages[2].Annots = Array([document.make_indirect(note)])
        document.Root.AcroForm.Fields[0].V = String("Ada Example")
        document.attachments["x.txt"] = pikepdf.AttachedFileSpec(
            document, b"Ada Example", filename="Ada Example.txt"
        )
        tree = Dictionary(Type=Name.StructTreeRoot, K=Dictionary(Alt=String("Ada Example")))
        document.Root.StructTreeRoot = document.make_indirect(tree)

    made = hidden(changed(sample("form.pdf"), spread), "Ada Example").file
    assert b"Ada" not in laid_open(made)
    assert "00410064" not in laid_open(made).decode("latin-1")
    assert "pages that became pictures: 1;" in hidden(
        changed(sample("form.pdf"), spread), "Ada Example"
    ).warnings[-1]  # fmt: skip


def test_words_that_are_spoken_but_not_shown_are_refused_until_a_box_is_named() -> None:
    def whisper(document: pikepdf.Pdf) -> None:
        page = document.pages[1]
        page.contents_add(b"/Span <</ActualText (Ada Example)>> BDC EMC")

    before = changed(sample("nine.pdf"), whisper)
    reply = hidden(before, "Ada Example")
    assert (reply.error, "name a box" in reply.detail) == ("TargetImpossible", True)
    boxes = '[{"page": 2, "left_mm": 1, "top_mm": 1, "width_mm": 1, "height_mm": 1}]'
    made = hidden(before, "Ada Example", boxes=boxes).file
    assert b"Ada" not in laid_open(made)


def test_nothing_found_is_an_error_not_an_unchanged_document() -> None:
    assert hidden(sample("nine.pdf"), "unknown").error == "TargetImpossible"
    some = hidden(sample("nine.pdf"), "bravo", "unknown")
    assert "1 of 2 words were not found" in some.warnings


def test_pages_without_text_are_named_since_nothing_can_be_found_there() -> None:
    scan = convert(sample("grey.jpg"), "jpeg", "pdf").file
    both = convert([sample("nine.pdf"), scan], "pdf", "pdf", operation="merge").file
    assert any("cannot" in w or "searched: 10" in w for w in hidden(both, "bravo").warnings)


@pytest.mark.parametrize(
    "options",
    [{}, {"words": "bravo"}, {"words": '[""]'}, {"words": '[" "]'}, {"boxes": '[{"page": 0}]'}],
)
def test_a_redaction_of_nothing_is_refused(options: dict[str, str]) -> None:
    with pytest.raises(Exception, match=r"words|boxes"):
        operate("redact", sample("nine.pdf"), **options)


def active() -> bytes:
    """One of everything that acts, carries or refers outward."""

    def arm(document: pikepdf.Pdf) -> None:
        script = Dictionary(S=Name.JavaScript, JS=String("app.alert(1)"))
        document.Root.OpenAction = script
        document.Root.Names = Dictionary(JavaScript=Dictionary(Names=Array([String("a"), script])))
        document.attachments["x.exe"] = pikepdf.AttachedFileSpec(document, b"MZ", filename="x.exe")
        actions = [
            Dictionary(S=Name.Launch, F=String("calc.exe")),
            Dictionary(S=Name.URI, URI=String("https://example.org/")),
            Dictionary(S=Name.URI, URI=String("file:///etc/passwd")),
            Dictionary(S=Name.SubmitForm, F=String("https://example.org/")),
            Dictionary(S=Name.GoToR, F=String("other.pdf"), D=String("x")),
        ]
        links = [
            Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=[0, 0, 9, 9], A=action)
            for action in actions
        ]
        pin = Dictionary(
            Type=Name.Annot, Subtype=Name.FileAttachment, Rect=[0, 0, 9, 9],
            FS=document.attachments["x.exe"].obj,
        )  # fmt: skip
        document.pages[0].Annots = Array([*links, pin])
        document.pages[1].AA = Dictionary(O=script)
        far = document.make_stream(b"")
        far.F = String("https://example.org/picture")
        far.Type, far.Subtype, far.Width, far.Height = Name.XObject, Name.Image, 1, 1
        document.pages[1].Resources.XObject = Dictionary(Far=far)
        document.Root.AcroForm = Dictionary(Fields=Array(), XFA=document.make_stream(b"<xdp/>"))

    return changed(sample("nine.pdf"), arm)


_TRACES = (b"/JavaScript", b"/JS", b"app.alert", b"/Launch", b"calc.exe", b"/SubmitForm", b"/GoToR",
           b"/EmbeddedFile", b"/XFA", b"/FileAttachment", b"file:///", b"picture")  # fmt: skip


def test_active_content_is_removed_and_named() -> None:
    before = laid_open(active())
    assert all(trace in before for trace in _TRACES)
    reply = operate("sanitise", active())
    after = laid_open(reply.file)
    assert [trace for trace in (*_TRACES, b"example.org") if trace in after] == []
    for name in ("scripts", "attached files", "web links", "start programs", "XFA", "other files"):
        assert name in reply.warnings[0]
    assert words(reply.file) == words(active())


def test_links_to_web_pages_can_stay() -> None:
    after = laid_open(operate("sanitise", active(), keep_links=True).file)
    assert b"https://example.org/)" in after
    assert [trace for trace in _TRACES if trace in after] == []


def test_a_document_without_active_content_is_said_to_be_so() -> None:
    assert operate("sanitise", sample("nine.pdf")).warnings == ("nothing active was found",)


@pytest.mark.parametrize("level", ["2b", "3b"])
def test_archives_look_the_same_embed_their_fonts_and_claim_their_level(level: str) -> None:
    reply = operate("pdfa", sample("nine.pdf"), level=level)
    made = reply.file
    assert psnr(rendered(sample("nine.pdf"), dpi=100), rendered(made, dpi=100)) > 35
    assert words(made) == words(sample("nine.pdf"))
    [font] = run("pdffonts", "-", stdin=made).decode().splitlines()[2:]
    assert "yes" in font.split("Custom")[1].split()[0]
    packet = run("pdfinfo", "-meta", "-", stdin=made).decode()
    assert f"<pdfaid:part>{level[0]}" in packet or f'pdfaid:part="{level[0]}"' in packet
    assert "as far as pikepdf" in reply.warnings[-1]


def test_what_does_not_conform_is_refused_with_the_rules_or_made_pictures() -> None:
    reply = operate("pdfa", sample("nine.pdf"), level="1b")
    assert (reply.error, "6.3.4" in reply.detail) == ("TargetImpossible", True)
    made = operate("pdfa", sample("nine.pdf"), level="1b", fallback="picture")
    assert words(made.file).strip("\f\n ") == ""
    assert psnr(rendered(sample("nine.pdf")), rendered(made.file)) > 25
    assert any("made pictures" in warning for warning in made.warnings)


def test_scripts_files_and_fields_do_not_keep_a_document_from_being_archived() -> None:
    reply = operate("pdfa", changed(active(), lambda one: one.pages.__delitem__(1)))
    assert any("scripts" in warning for warning in reply.warnings)
    form = operate("pdfa", sample("form.pdf"))
    assert "filled in" in words(form.file)


def test_attached_files_stay_in_level_3b_only() -> None:
    both = [sample("nine.pdf"), b"<invoice/>"]
    with_file = convert(
        both, "pdf", "pdf", operation="attach", companions=("xml",), names="invoice.xml",
        relationship="data",
    ).file  # fmt: skip
    kept, gone = (operate("pdfa", with_file, level=level).file for level in ("3b", "2b"))
    assert b"<invoice/>" in laid_open(kept)
    assert b"<invoice/>" not in laid_open(gone)


@pytest.mark.parametrize("operation", ["redact", "sanitise", "pdfa"])
def test_an_encrypted_document_asks_for_its_password(operation: str) -> None:
    more = {"words": '["bravo"]'} if operation == "redact" else {}
    assert operate(operation, sample("encrypted.pdf"), **more).error == "PasswordRequired"
    opened = operate(operation, sample("encrypted.pdf"), password="open sesame", **more)
    assert any("not encrypted" in warning for warning in opened.warnings)
