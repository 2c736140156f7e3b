"""Pages joined, chosen and split, with the bookmarks that lead to them; judged by qpdf, poppler."""

import io
import json
import tempfile

import pikepdf
import pytest

from tests.engine.calls import Reply, convert, sample
from tests.engine.judges import qpdf_approves, run, words

_NINE = "alpha bravo charlie delta echo foxtrot golf hotel india".split()  # noqa: SIM905  # reads best as words


def first_words(pdf: bytes) -> list[str]:
    return [page.split()[0] for page in words(pdf).split("\f") if page.strip()]


def outline(pdf: bytes) -> list[tuple[int, str, int | None]]:
    """(depth, title, page from 1) of each bookmark, as qpdf reads them."""
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:  # qpdf reads from files only
        file.write(pdf)
        file.flush()
        told = json.loads(run("qpdf", "--json=2", "--json-key=outlines", file.name, stdin=b""))
    found: list[tuple[int, str, int | None]] = []

    def walk(items: list[dict[str, object]], depth: int) -> None:
        for item in items:
            found.append((depth, str(item["title"]), item["destpageposfrom1"]))  # type: ignore[arg-type]
            walk(item["kids"], depth + 1)  # type: ignore[arg-type]

    walk(told["outlines"], 0)
    return found


def book() -> bytes:
    """Nine pages in three chapters, the second with two sections, one bookmark to nowhere."""
    with pikepdf.open(io.BytesIO(sample("nine.pdf"))) as document:
        with document.open_outline() as made:
            for title, page in (("one", 1), ("two", 3), ("three", 7)):
                made.root.append(pikepdf.OutlineItem(title, page))
            made.root[1].children += [
                pikepdf.OutlineItem("two a", 4),
                pikepdf.OutlineItem("two b", 5),
            ]
            made.root.append(pikepdf.OutlineItem("nowhere"))
        buffer = io.BytesIO()
        document.save(buffer)
    return buffer.getvalue()


def operate(operation: str, upload: bytes | list[bytes], **options: object) -> Reply:
    reply = convert(upload, "pdf", "pdf", operation=operation, **options)
    for file in reply.files:
        qpdf_approves(file)
    return reply


def test_merge_keeps_the_bookmarks_of_all_files() -> None:
    made = operate("merge", [sample("nine.pdf"), sample("form.pdf"), book()]).file
    assert outline(made)[:3] == [(0, "second", 11), (0, "one", 14), (0, "two", 16)]


def test_merge_can_put_each_files_bookmarks_beneath_its_title() -> None:
    made = operate("merge", [sample("nine.pdf"), sample("form.pdf")], bookmarks="nest").file
    assert outline(made) == [(0, "nine", 1), (0, "three", 10), (1, "second", 11)]


def test_merge_can_leave_bookmarks_out() -> None:
    assert outline(operate("merge", [book(), book()], bookmarks="drop").file) == []


def test_merge_takes_some_pages_of_each_file() -> None:
    made = operate("merge", [sample("nine.pdf"), sample("form.pdf"), book()], pages="2-1;;9").file
    assert first_words(made) == ["bravo", "alpha", "alpha", "bravo", "charlie", "india"]


def test_merge_refuses_more_lists_of_pages_than_files() -> None:
    reply = operate("merge", [book(), book()], pages="1;2;3")
    assert (reply.error, "3 lists of pages" in reply.detail) == ("OptionInvalid", True)


def test_pages_keeps_the_bookmarks_of_the_pages_that_stay() -> None:
    made = operate("pages", book(), pages="8,5,2").file
    assert first_words(made) == ["hotel", "echo", "bravo"]
    assert outline(made) == [(0, "one", 3), (0, "two", None), (1, "two a", 2), (0, "three", 1)]


def test_delete_leaves_the_named_pages_out_with_their_bookmarks_and_contents() -> None:
    made = operate("delete", book(), pages="4-8,1").file
    assert first_words(made) == ["bravo", "charlie", "india"]
    assert outline(made) == [(0, "one", 1)]
    with pikepdf.open(io.BytesIO(made)) as document:
        streams = [one.read_bytes() for one in document.objects if isinstance(one, pikepdf.Stream)]
    assert not any(b"delta" in stream for stream in streams)


def test_deleting_every_page_is_impossible() -> None:
    assert operate("delete", book(), pages="9-1").error == "TargetImpossible"


def test_delete_asks_which_pages() -> None:
    with pytest.raises(Exception, match="pages to leave out"):
        operate("delete", book())


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        (1, [["alpha"], ["bravo", "charlie"], _NINE[3:7], ["hotel", "india"]]),
        (2, [["alpha"], ["bravo", "charlie"], ["delta"], ["echo"], ["foxtrot", "golf"], _NINE[7:]]),
    ],
)
def test_split_begins_a_file_at_each_bookmark(levels: int, expected: list[list[str]]) -> None:
    reply = operate("split", book(), bookmarks=levels)
    assert [first_words(file) for file in reply.files] == expected
    assert outline(reply.files[1]) == [(0, "one", 1)]


def test_splitting_by_bookmarks_that_are_not_there_is_impossible() -> None:
    assert operate("split", sample("nine.pdf"), bookmarks=1).error == "TargetImpossible"


def test_split_fills_files_up_to_a_size() -> None:
    whole = len(operate("pages", sample("nine.pdf")).file)
    one = len(operate("pages", sample("nine.pdf"), pages="1").file)
    limit = one + (whole - one) // 2
    reply = operate("split", sample("nine.pdf"), size_mb=limit / 1_000_000)
    assert [word for file in reply.files for word in first_words(file)] == _NINE
    assert [len(file) <= limit for file in reply.files] == [True] * 2
    assert len(first_words(reply.files[0])) >= 4


def test_a_page_that_is_larger_than_the_size_is_a_file_of_its_own_and_said() -> None:
    reply = operate("split", sample("nine.pdf"), size_mb=0.0001)
    assert (len(reply.files), len(reply.warnings)) == (9, 1)


def test_two_ways_of_splitting_at_once_are_refused() -> None:
    with pytest.raises(Exception, match="only one of"):
        operate("split", book(), bookmarks=1, ranges="1-2")


def test_how_a_bookmark_shows_its_page_is_kept_and_what_is_no_number_is_left_to_the_reader() -> (
    None
):
    with pikepdf.open(io.BytesIO(book())) as document:
        first = document.Root.Outlines.First
        page = document.pages[4].obj
        document.Root.Dests = pikepdf.Dictionary(there=[page, pikepdf.Name.FitH, 70.5])
        first.Dest = pikepdf.Array([page, pikepdf.Name.XYZ, None, 20, pikepdf.Name.Odd, 7])
        first.Next.Dest = pikepdf.Name.there
        first.Next.Next.Dest = pikepdf.Array([page, pikepdf.Name.Odd, 3])
        buffer = io.BytesIO()
        document.save(buffer)
    made = operate("pages", buffer.getvalue(), pages="5").file
    qpdf_approves(made)
    with pikepdf.open(io.BytesIO(made)) as document:
        page = document.pages[0].obj
        shown = [item.destination for item in document.open_outline().root]
        assert [one[0].objgen for one in shown] == [page.objgen] * 3
        told = [[str(value) for value in list(one)[1:]] for one in shown]
    assert told == [["/XYZ", "None", "20", "None"], ["/FitH", "70.5"], ["/Fit"]]


def test_a_page_that_is_repeated_is_a_page_of_its_own_each_time() -> None:
    made = operate("pages", sample("nine.pdf"), pages="1,1,2,1").file
    qpdf_approves(made)
    with pikepdf.open(io.BytesIO(made)) as document:
        assert len({page.obj.objgen for page in document.pages}) == 4


def test_a_bookmark_that_leads_to_itself_does_no_harm() -> None:
    with pikepdf.open(io.BytesIO(book())) as document:
        document.Root.Outlines.First.Next.Next = document.Root.Outlines.First
        document.Root.Outlines.First.First = document.Root.Outlines.First
        buffer = io.BytesIO()
        document.save(buffer)
    assert first_words(operate("pages", buffer.getvalue(), pages="1").file) == ["alpha"]
