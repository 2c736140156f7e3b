"""Two Word documents into one: all changes accepted it is the second, all rejected the first."""

import io
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from engine import errors, planning
from engine.registry import converter_for
from tests.engine import office_revisions
from tests.engine.calls import Reply, convert

_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_NAMES = (
    f'xmlns:w="{_W}" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package'
    '.relationships+xml"/>'
    '<Default Extension="xml" ContentType="application/xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.wordprocessingml.document.main+xml"/></Types>'
)
_RELATION = (
    '<Relationship Id="{}" Target="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/{}"/>'
)
_RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}'
    "</Relationships>"
)


def w(name: str) -> str:
    return f"{{{_W}}}{name}"


def docx(body: str, **parts: str) -> bytes:
    """A document of this body; `parts` are others, by what they are (`header`, `footnotes`)."""
    buffer = io.BytesIO()
    related = "".join(_RELATION.format(name, f"{name}.xml", name) for name in parts)
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", _TYPES)
        main = _RELATION.format("m", "word/document.xml", "officeDocument")
        archive.writestr("_rels/.rels", _RELATIONS.format(main))
        archive.writestr("word/_rels/document.xml.rels", _RELATIONS.format(related))
        written = f"<w:document {_NAMES}><w:body>{body}</w:body></w:document>"
        archive.writestr("word/document.xml", written)
        for name, content in parts.items():
            archive.writestr(f"word/{name}.xml", content)
    return buffer.getvalue()


def run(text: str, look: str = "") -> str:
    return f'<w:r><w:rPr>{look}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def par(*runs: str, look: str = "") -> str:
    inside = "".join(one if one.startswith("<") else run(one) for one in runs)
    return f"<w:p><w:pPr>{look}</w:pPr>{inside}</w:p>"


def table(rows: Sequence[Sequence[str]]) -> str:
    written = "".join(
        "<w:tr>" + "".join(f"<w:tc><w:tcPr/>{par(cell)}</w:tc>" for cell in row) + "</w:tr>"
        for row in rows
    )
    return f"<w:tbl><w:tblPr/><w:tblGrid/>{written}</w:tbl>"


Blocks = list[Any]


def markup(content: bytes, part: str = "document") -> Any:
    return etree.fromstring(zipfile.ZipFile(io.BytesIO(content)).read(f"word/{part}.xml"))


def words(content: bytes, gone: str = "", part: str = "document") -> Blocks:
    """The text: paragraphs, and tables as rows of cells. `gone` is what a reader takes away.

    Taking away `del` accepts all revisions, taking away `ins` rejects them.
    """
    root = markup(content, part)
    body = root.find(w("body"))
    return _story(root if body is None else body, gone)


def _story(story: Any, gone: str) -> Blocks:
    found: Blocks = []
    carried = ""
    for child in story:
        if child.tag == w("p"):
            carried += _text(child, gone)
            if not gone or child.find(f"{w('pPr')}/{w('rPr')}/{w(gone)}") is None:
                found.append(carried)
                carried = ""
        elif child.tag == w("tbl"):
            rows = [
                [_story(cell, gone) for cell in row.iter(w("tc"))]
                for row in child.iterchildren(w("tr"))
                if not gone or row.find(f"{w('trPr')}/{w(gone)}") is None
            ]
            if rows:
                assert not carried
                found.append(rows)
    assert not carried
    return found


def _text(paragraph: Any, gone: str) -> str:
    letters = {w("tab"): "\t", w("br"): "\n"}
    return "".join(
        letters.get(node.tag) or node.text or ""
        for node in paragraph.iter(w("t"), w("delText"), *letters)
        if not gone or not any(up.tag == w(gone) for up in node.iterancestors())
    )


def changes(content: bytes, kind: str, part: str = "document") -> list[str]:
    """The texts that were inserted or deleted, in order."""
    root = markup(content, part)
    found = ("".join(node.itertext(w("t"), w("delText"))) for node in root.iter(w(kind)))
    return [text for text in found if text]


def compared(first: bytes, second: bytes, **options: object) -> Reply:
    """Compare, and see that the result holds both."""
    reply = convert([first, second], "docx", "docx", **options)
    assert words(reply.file, "del") == words(second)
    assert words(reply.file, "ins") == words(first)
    numbers = [one.get(w("id")) for one in markup(reply.file).iter() if _is_revision(one)]
    assert len(set(numbers)) == len(numbers)
    return reply


def _is_revision(node: Any) -> bool:
    return node.get(w("author")) is not None


def test_two_documents_and_nothing_said_are_compared() -> None:
    assert converter_for("docx", "docx", inputs=2).name == "document.compare"
    with pytest.raises(errors.SourceCountInvalid, match="at least 2"):
        planning.plan("docx", "docx", {"operation": "compare"}, [docx(par("a"))])


def test_words_that_changed_are_deleted_and_inserted_and_no_others() -> None:
    first = docx(par("The quick brown fox jumps over the lazy dog."))
    second = docx(par("The quick red fox jumped over the lazy, old dog."))
    content = compared(first, second).file
    assert changes(content, "del") == ["brown", "jumps"]
    assert changes(content, "ins") == ["red", "jumped", ", old"]


def test_signs_and_gaps_between_replaced_words_go_with_them() -> None:
    content = compared(docx(par("red, old fox")), docx(par("blue, young fox"))).file
    assert (changes(content, "del"), changes(content, "ins")) == (["red, old"], ["blue, young"])


def test_single_letters_are_compared_on_request() -> None:
    content = compared(docx(par("colour")), docx(par("color")), level="character").file
    assert (changes(content, "del"), changes(content, "ins")) == (["u"], [])


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["a", "b", "c"], ["a", "c"]),
        (["a", "c"], ["a", "b", "c"]),
        (["a"], ["a", "b", "c"]),
        (["a", "b", "c"], ["a"]),
        (["a", "b"], ["a", "x", "y"]),
        (["a", "b", "c"], ["x"]),
        ([""], ["a", "", ""]),
        (["a b", "c d"], ["a b c d"]),
        (["a b c d"], ["a b", "c d"]),
        (["one two three four", "last"], ["one two three four five", "six", "last"]),
        (["same", [["1", "2"]], "end"], ["same", "new", [["1", "2"]], "end"]),
        (["same", "old", [["1", "2"]], "end"], ["same", [["1", "2"]], "end"]),
        (["same", [["1", "2"], ["3", "4"]], "end"], ["same", [["3", "4"], ["5", "6"]], "end"]),
        (["same", [["1", "2"]], "end"], ["same", "end"]),
        (["end"], [[["1", "2"]], "end"]),
        ([[["1 a b c", "2"]], "end"], [[["1 a b", "2", "3"]], "end"]),
    ],
)
def test_paragraphs_and_rows_come_and_go(first: Blocks, second: Blocks) -> None:
    compared(docx(_body(first)), docx(_body(second)))
    compared(docx(_body(second)), docx(_body(first)))


def _body(blocks: Blocks) -> str:
    return "".join(par(one) if isinstance(one, str) else table(one) for one in blocks)


_LINES = st.lists(
    st.sampled_from(["a", "b", "c", "d", "red", "blue", ",", ".", "é"]), max_size=5
).map(" ".join)
_TABLES = st.lists(st.lists(_LINES, min_size=2, max_size=2), min_size=1, max_size=3)
_DOCUMENTS = st.lists(st.one_of(_LINES, _LINES, _LINES, _TABLES), max_size=8).map(
    lambda blocks: [*blocks, "end"]
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(_DOCUMENTS, _DOCUMENTS)
def test_any_two_documents_are_both_in_the_result(first: Blocks, second: Blocks) -> None:
    compared(docx(_body(first)), docx(_body(second)))


def test_equal_documents_give_the_second_and_say_so() -> None:
    source = docx(par("a", run("b", "<w:b/>")) + table([["1", "2"]]))
    reply = compared(source, source)
    assert etree.tostring(markup(reply.file)) == etree.tostring(markup(source))
    assert reply.warnings == ("the documents do not differ in what is compared",)


def test_what_did_not_change_keeps_its_look_and_what_went_keeps_its_own() -> None:
    first = docx(par("plain ", run("bold old", "<w:b/>"), " end"))
    second = docx(par("plain ", run("bold new", "<w:b/>"), run(" end", "<w:i/>")))
    paragraph = markup(compared(first, second).file).find(f"{w('body')}/{w('p')}")
    looks = [
        ("".join(one.itertext(w("t"), w("delText"))), [look.tag for look in one.find(w("rPr"))])
        for one in paragraph.iter(w("r"))
    ]
    assert looks == [
        ("plain ", []),
        ("bold ", [w("b")]),
        ("old", [w("b")]),
        ("new", [w("b")]),
        (" end", [w("i"), w("rPrChange")]),
    ]


def test_a_word_that_goes_through_several_runs_is_one_word() -> None:
    first = docx(par("re", run("mark", "<w:b/>"), "able fox"))
    second = docx(par(run("remark", "<w:b/>"), "able dog"))
    content = compared(first, second).file
    assert (changes(content, "del"), changes(content, "ins")) == (["fox"], ["dog"])
    change = markup(content).findall(f".//{w('rPrChange')}")
    assert ["".join(one.getparent().getparent().itertext(w("t"))) for one in change] == ["re"]
    without = compared(first, second, formatting=False).file
    assert not markup(without).findall(f".//{w('rPrChange')}")


def test_a_paragraph_that_looks_otherwise_says_how_it_looked() -> None:
    first = docx(par("a", look='<w:jc w:val="left"/>'))
    second = docx(par("a", look='<w:jc w:val="center"/>'))
    change = markup(compared(first, second).file).find(f".//{w('pPrChange')}")
    assert change.getparent().find(w("jc")).get(w("val")) == "center"
    assert change.find(f"{w('pPr')}/{w('jc')}").get(w("val")) == "left"


def test_links_controls_and_bookmarks_stay_whole() -> None:
    link = '<w:hyperlink w:anchor="x">{}</w:hyperlink>'
    control = "<w:sdt><w:sdtPr/><w:sdtContent>{}</w:sdtContent></w:sdt>"
    mark = '<w:bookmarkStart w:id="7" w:name="x"/><w:bookmarkEnd w:id="7"/>'
    first = docx(par("see ", link.format(run("the old page")), " ", control.format(run("one two"))))
    second = docx(
        par("see ", mark, link.format(run("the new page")), " ", control.format(run("one three")))
    )
    content = compared(first, second).file
    root = markup(content)
    links, controls = list(root.iter(w("hyperlink"))), list(root.iter(w("sdt")))
    assert (len(links), len(controls)) == (1, 1)
    assert [one.tag for one in links[0]] == [w("r"), w("del"), w("ins"), w("r")]
    assert len(list(root.iter(w("bookmarkStart"), w("bookmarkEnd")))) == 2


def test_fields_are_compared_as_they_read_and_never_torn() -> None:
    field = (
        '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DATE</w:instrText></w:r>'
        '<w:r><w:fldChar w:fldCharType="separate"/></w:r>{}'
        '<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )
    first = docx(par("on ", field.format(run("1 May")), " here"))
    second = docx(par("on ", field.format(run("2 June")), " here"))
    content = compared(first, second).file
    assert (changes(content, "del"), changes(content, "ins")[-1]) == (["1 May"], "2 June")
    assert len(list(markup(content).iter(w("fldChar")))) == 3
    compared(second, docx(par("on no day here")))


def _note(number: int, text: str) -> str:
    return f'<w:footnote w:id="{number}">{par(text)}</w:footnote>'


def test_notes_headers_and_footers_are_compared_too() -> None:
    section = '<w:sectPr><w:headerReference w:type="default" r:id="header"/></w:sectPr>'
    reference = '<w:r><w:footnoteReference w:id="{}"/></w:r>'

    def made(number: int, note: str, head: str, text: str) -> bytes:
        return docx(
            par(text, reference.format(number)) + section,
            footnotes=f"<w:footnotes {_NAMES}>{_note(number, note)}</w:footnotes>",
            header=f"<w:hdr {_NAMES}>{par(head)}</w:hdr>",
        )

    first = made(2, "an old note", "Draft of May", "text")
    second = made(5, "a new note", "Draft of June", "changed text")
    content = compared(first, second).file
    assert changes(content, "del", "footnotes") == ["an old"]
    assert (changes(content, "del", "header"), changes(content, "ins", "header")) == (
        ["May"],
        ["June"],
    )
    kept = compared(first, second, headers=False, notes=False).file
    assert not changes(kept, "del", "header") + changes(kept, "del", "footnotes")


def test_what_cannot_come_over_from_the_first_document_is_said() -> None:
    picture = "<w:r><w:drawing><x/></w:drawing></w:r>"
    reply = compared(docx(par("a ", picture, "b")), docx(par("a b")))
    assert "not shown: 1" in reply.warnings[0]
    assert not list(markup(reply.file).iter(w("drawing")))
    kept = compared(docx(par("a ", picture, "b")), docx(par("a ", picture, "c")))
    assert len(list(markup(kept.file).iter(w("drawing")))) == 1


def test_revisions_that_were_there_are_accepted_before() -> None:
    signed = 'w:id="1" w:author="x"'
    first = docx(
        f"<w:p>{run('a ')}<w:del {signed}><w:r><w:delText>gone </w:delText></w:r></w:del>"
        f"<w:ins {signed}>{run('b')}</w:ins></w:p>"
        f"<w:p><w:pPr><w:rPr><w:del {signed}/></w:rPr></w:pPr>{run('joined ')}</w:p>" + par("next")
    )
    second = docx(par("a b") + par("joined next"))
    reply = convert([first, second], "docx", "docx")
    assert words(reply.file, "del") == words(reply.file, "ins") == ["a b", "joined next"]
    assert "the first document had revisions of its own" in reply.warnings[0]


def test_case_gaps_and_tables_may_be_left_out() -> None:
    first, second = docx(par("An  Apple")), docx(par("an apple"))
    reply = convert([first, second], "docx", "docx", case=False, whitespace=False)
    assert changes(reply.file, "ins") + changes(reply.file, "del") == []
    first = docx(par("a") + table([["1"]]) + par("z"))
    second = docx(par("a") + table([["2"]]) + par("z"))
    reply = convert([first, second], "docx", "docx", tables=False)
    assert changes(reply.file, "ins") + changes(reply.file, "del") == []
    assert words(reply.file) == words(second)


def test_author_and_date_are_as_asked_and_equal_documents_give_equal_bytes() -> None:
    first, second = docx(par("a")), docx(par("b"))
    options = {"author": "Ada Lovelace", "date": "2026-11-20T12:00:00Z"}
    one = markup(compared(first, second, **options).file).find(f".//{w('ins')}")
    assert (one.get(w("author")), one.get(w("date"))) == tuple(options.values())
    plain = compared(first, second).file
    assert markup(plain).find(f".//{w('ins')}").get(w("date")) is None
    assert plain == compared(first, second).file
    for wrong in ({"date": "yesterday"}, {"author": "a\nb"}, {"author": ""}):
        with pytest.raises(errors.OptionInvalid):
            planning.check("docx", "docx", {"operation": "compare", **wrong}, several=True)


def test_what_is_damaged_encrypted_or_hostile_is_refused() -> None:
    good = docx(par("a"))
    entities = (
        f'<!DOCTYPE x [<!ENTITY a "{"b" * 1000}">]><w:document {_NAMES}><w:body>'
        f"<w:p><w:r><w:t>{'&a;' * 1000}</w:t></w:r></w:p></w:body></w:document>"
    )
    bad = {
        good[: len(good) // 2]: "SourceUnreadable",
        docx("<w:p>"): "SourceUnreadable",
        b"PK\3\4" + bytes(100): "SourceUnreadable",
        b"\xd0\xcf\x11\xe0" + bytes(600): "PasswordRequired",
        docx("<w:tbl><w:tr><w:tc>" * 2000 + "</w:tc></w:tr></w:tbl>" * 2000): "SourceUnreadable",
    }
    for content, error in bad.items():
        for pair, which in (([content, good], "first"), ([good, content], "second")):
            reply = convert(pair, "docx", "docx")
            assert (reply.error, which in reply.detail) == (error, True)
    hostile = io.BytesIO(good)
    with zipfile.ZipFile(hostile, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("word/document.xml", entities)
    reply = convert([good, hostile.getvalue()], "docx", "docx")
    assert reply.error or len(reply.file) < 10_000


def test_much_that_is_alike_takes_seconds_and_no_more() -> None:
    first = docx("".join(par("") + par(f"the the the {n % 7}") for n in range(1500)))
    second = docx("".join(par("") + par(f"the the a the {n % 5}") for n in range(1500)))
    compared(first, second)


@pytest.mark.skipif(not office_revisions.PROGRAM.exists(), reason="LibreOffice is not installed")
def test_libreoffice_accepts_and_rejects_to_the_same_texts(tmp_path: Path) -> None:
    first = docx(
        par("The quick brown fox.") + par("This goes.") + table([["1", "2"], ["3", "4"]])
        + par("It ends with a word.") + par("Last.")
    )  # fmt: skip
    second = docx(
        par("The quick red fox, always.") + table([["1", "two"], ["5", "6"], ["7", "8"]])
        + par("It ends with a word and some more.") + par("This comes.") + par("Last.")
        + par("The very last.")
    )  # fmt: skip
    content = compared(first, second).file
    for command, wanted in (("accept", second), ("reject", first)):
        # A file each: LibreOffice locks what it opened, and the lock outlives it here.
        both, out = (tmp_path / f"{command}.{end}" for end in ("docx", "txt"))
        both.write_bytes(content)
        program = [sys.executable, office_revisions.__file__, command, str(both), str(out)]
        subprocess.run(program, check=True)
        assert out.read_text(encoding="utf-8-sig").splitlines() == list(_lines(words(wanted)))


def _lines(blocks: Blocks) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, str):
            yield block
        else:
            yield from _lines(block)
