"""Documents that lie, reach out, run something or explode: each refused, defused and told."""

import io
import random
import zipfile
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from lxml import html

from tests.engine.document_calls import Made, Workers, sample, workers
from tests.engine.judges import pictures, words

_REFUSALS = {
    "",
    "SourceUnreadable",
    "SourceTooComplex",
    "PasswordRequired",
    "TargetImpossible",
    "ConversionOutOfMemory",
}
_SECRET = "root:"  # how a list of users begins


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    with workers() as running:
        yield running


def _repacked(name: str, changes: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(sample(name))) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for part in source.namelist():
            target.writestr(part, changes.pop(part, None) or source.read(part))
        for part, content in changes.items():
            target.writestr(part, content)
    return buffer.getvalue()


_ACTIVE = """
<script>alert(1)</script>

Press <a href="javascript:alert(2)" onclick="alert(3)">me</a>
or [me](javascript:alert(4)), <b>now</b>.

<iframe src="https://example.org/"></iframe>

[x]{onmouseover="alert(5)"}
"""


def test_active_content_is_taken_out_and_told(pool: Workers) -> None:
    reply = pool.convert(_ACTIVE, "md", "html")
    page = html.fromstring(reply.file)
    assert not page.findall(".//script")
    assert not page.findall(".//iframe")
    assert b"alert" not in reply.file
    assert page.findtext(".//b") == "now"
    assert ["taken out" in said for said in reply.warnings] == [True]


def test_active_content_stays_where_that_is_asked(pool: Workers) -> None:
    reply = pool.convert(_ACTIVE, "md", "html", raw_html="keep")
    assert b"<script>alert(1)</script>" in reply.file
    assert any("as asked" in said for said in reply.warnings)
    stripped = pool.convert(_ACTIVE, "md", "html", raw_html="strip").file
    assert b"<b>" not in stripped


def test_pictures_from_elsewhere_are_never_fetched(pool: Workers) -> None:
    text = "![one](https://example.org/a.png) ![two](/etc/hostname) ![three](file:///etc/passwd)"
    for target in ("docx", "pptx", "ipynb", "epub", "pdf"):
        reply = pool.convert(text, "md", target)
        assert "3 pictures are not in the file and were not fetched" in reply.warnings, target
        assert _SECRET.encode() not in reply.file
    assert not pictures(pool.convert(text, "md", "pdf").file)
    linked = html.fromstring(pool.convert(text, "md", "html").file)
    assert linked.find(".//img").get("src") == "https://example.org/a.png"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("rst", "hi\n\n.. include:: /etc/passwd\n"),
        ("rst", "hi\n\n.. csv-table:: x\n   :file: /etc/passwd\n"),
        ("latex", "hi \\input{/etc/passwd}"),
        ("org", "hi\n\n#+INCLUDE: /etc/passwd\n"),
        ("asciidoc", "hi\n\ninclude::/etc/passwd[]\n"),
        ("typst", 'hi\n\n#include "/etc/passwd"\n'),
    ],
)
def test_no_other_file_is_included_and_that_is_told(pool: Workers, source: str, text: str) -> None:
    reply = pool.convert(text, source, "txt")
    assert "hi" in reply.file.decode()
    assert _SECRET not in reply.file.decode()
    assert reply.warnings


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ('#read("/etc/passwd")', "another file"),
        ('#image("/etc/passwd")', "another file"),
        ('#import "@preview/cetz:0.3.0": *', "package"),
        ("#let f(x) = f(x + 1)\n#f(1)", "without end"),
        ("#while true {}", "without end"),
        ("\n\n#let x = ", "error in line 3"),
    ],
)
def test_typst_source_reaches_nothing_and_says_where_it_is_wrong(
    pool: Workers, source: str, reason: str
) -> None:
    reply = pool.convert(source, "typst", "pdf")
    assert reply.error == "SourceUnreadable"
    assert reason in reply.detail


def test_text_that_looks_like_typst_is_text(pool: Workers) -> None:
    text = 'A #read("/etc/passwd") $x$ @label <b> \\#panic() `#panic()`\n\n'
    text += "```{=typst}\n#panic()\n```\n"
    found = words(pool.convert(text, "txt", "pdf").file)
    assert 'A #read("/etc/passwd") $x$ @label <b>' in found
    reply = pool.convert(text, "md", "pdf")
    assert "#read(" in words(reply.file)
    assert reply.warnings


def test_links_to_nowhere_and_names_used_twice_do_not_stop_the_press(pool: Workers) -> None:
    text = "# A {#x}\n\n# B {#x}\n\n[one](#x) [two](#y) [three](#c) `c`{#c} [four](#)\n"
    found = words(pool.convert(text, "md", "pdf").file)
    assert "one two three c four" in " ".join(found.split())


def test_endless_macros_and_deep_nesting_are_refused(pool: Workers) -> None:
    looping = pool.convert(r"\newcommand{\x}{\x\x}\x", "latex", "html")
    assert looping.error == "SourceTooComplex"
    deep = pool.convert("<blockquote>" * 2000 + "x", "html", "pdf")
    assert deep.error == "SourceTooComplex"


def test_entities_are_not_expanded(pool: Workers) -> None:
    levels = "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    bomb = f'<!DOCTYPE article [<!ENTITY a "aaaa">{levels}]><article><para>&j;</para></article>'
    other = '<!DOCTYPE article [<!ENTITY x SYSTEM "file:///etc/passwd">]><article>&x;</article>'
    for text in (bomb, other):
        for source in ("docbook", "fb2", "jats", "opml"):
            reply = pool.convert(text, source, "txt")
            assert reply.error in _REFUSALS
            assert not reply.files or _SECRET.encode() not in reply.files[0]


def test_packages_that_explode_are_refused_by_their_directory(pool: Workers) -> None:
    bomb = _repacked("suite.docx", {"word/document.xml": bytes(70_000_000)})
    reply = pool.convert(bomb, "docx", "txt")
    assert reply.error == "SourceTooComplex"
    assert "unpacks" in reply.detail


def test_encrypted_packages_say_so(pool: Workers) -> None:
    for source in ("docx", "pptx"):
        reply = pool.convert(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), source, "html")
        assert (reply.error, "encrypted" in reply.detail) == ("PasswordRequired", True)
    manifest = b'<m xmlns:m="x"><m:encryption-data/></m>'
    locked = _repacked("suite.odt", {"META-INF/manifest.xml": manifest})
    assert pool.convert(locked, "odt", "txt").error == "PasswordRequired"


def test_macros_are_not_carried_over_and_that_is_told(pool: Workers) -> None:
    reply = pool.convert(_repacked("suite.docx", {"word/vbaProject.bin": b"x"}), "docx", "txt")
    assert "macros are not carried over, and were not run" in reply.warnings


@pytest.mark.parametrize("name", ["suite.docx", "suite.odt", "letter.eml", "letter.msg"])
def test_damaged_files_fail_well(pool: Workers, name: str) -> None:
    chance = random.Random(name)  # noqa: S311  # seeded damage
    source, whole = name.rpartition(".")[2], sample(name)
    for part in (0, 1, len(whole) // 3, len(whole) * 2 // 3):
        _fails_well(pool.convert(whole[:part] or b"\0", source, "txt"))
    for _ in range(6):
        damaged = bytearray(whole)
        for _ in range(chance.randint(1, 12)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        _fails_well(pool.convert(bytes(damaged), source, "txt"))


@pytest.mark.parametrize("source", ["docx", "odt", "epub", "pptx", "ipynb", "fb2", "msg"])
def test_what_is_something_else_is_unreadable(pool: Workers, source: str) -> None:
    assert pool.convert(b"not at all", source, "txt").error == "SourceUnreadable"


def _fails_well(reply: Made) -> None:
    assert reply.error in _REFUSALS, f"{reply.error}: {reply.detail}"


@pytest.mark.parametrize("source", ["eml", "msg"])
def test_a_message_is_shown_with_its_head_its_picture_and_its_files(
    pool: Workers, source: str
) -> None:
    reply = pool.convert(sample(f"letter.{source}"), source, "pdf")
    found = " ".join(words(reply.file).split())
    assert "Figures for Nōvember" in found
    assert "ada@example.org" in found
    assert "Dear Ada" in found
    assert "Attachments:" in found
    assert len(pictures(reply.file)) == 1
    assert any(said == "1 attachments were left out: text/csv" for said in reply.warnings)


def test_a_message_loads_nothing_and_runs_nothing(pool: Workers) -> None:
    reply = pool.convert(sample("letter.eml"), "eml", "html")
    text = reply.file.decode()
    assert "tracker.example" not in text
    assert "alert" not in text
    assert html.fromstring(text).find(".//img").get("src").startswith("data:image/png")
    assert "a picture is not in the file and was not fetched" in reply.warnings
    assert "grüße" in text


def test_headers_and_version_of_a_message_are_chosen(pool: Workers) -> None:
    def made(**options: object) -> str:
        return pool.convert(sample("letter.eml"), "eml", "txt", **options).file.decode()

    assert "X-Mailer" not in made()
    assert "Difference 2" in made(headers="all")
    assert "ada@example.org" not in made(headers="none")
    assert "plain version" in made(body="text")


def test_an_encrypted_message_says_so(pool: Workers) -> None:
    message = EmailMessage()
    message["Subject"] = "x"
    message.set_content(b"0", maintype="application", subtype="pkcs7-mime")
    reply = pool.convert(message.as_bytes(), "eml", "txt")
    assert reply.error == "SourceUnreadable"
    assert "encrypted" in reply.detail
