"""Every PDF operation, judged by qpdf and poppler."""

import io

import pikepdf
import pytest
from PIL import Image

from engine.job import Bounds
from tests.engine.calls import convert, sample
from tests.engine.judges import (
    Seen,
    page_sizes,
    psnr,
    qpdf_approves,
    rendered,
    run,
    words,
)

_KEY = {"password": "open sesame"}
_NEW = {"user_password": "ünlock", "owner_password": "boss"}
_NINE = "alpha bravo charlie delta echo foxtrot golf hotel india".split()  # noqa: SIM905  # reads best as words


def _first_words(pdf: bytes, *options: str) -> list[str]:
    return [page.split()[0] for page in words(pdf, *options).split("\f") if page.strip()]


def _operate(operation: str, name: str = "nine.pdf", **options: object) -> bytes:
    made = convert(sample(name), "pdf", "pdf", operation=operation, **options).file
    qpdf_approves(made)
    return made


def test_merge_joins_documents_in_the_order_they_were_sent() -> None:
    made = convert([sample("form.pdf"), sample("nine.pdf")], "pdf", "pdf").file
    qpdf_approves(made)
    assert _first_words(made) == ["alpha", "bravo", "charlie", *_NINE]


def test_merge_keeps_form_fields_of_both_and_renames_equal_ones() -> None:
    made = convert([sample("form.pdf"), sample("form.pdf")], "pdf", "pdf").file
    with pikepdf.open(io.BytesIO(made)) as document:
        fields = [str(field.T) for field in document.Root.AcroForm.Fields]
    assert len(fields) == len(set(fields)) == 2


def test_merging_many_documents_is_bounded_by_their_pages() -> None:
    reply = convert([sample("nine.pdf")] * 3, "pdf", "pdf", bounds=Bounds(pages_max=20))
    assert reply.error == "SourceTooComplex"


@pytest.mark.parametrize(
    ("pages", "expected"),
    [
        ("1-3,7,9-", [1, 2, 3, 7, 9]),
        ("last", [9]),
        ("last-7", [9, 8, 7]),
        ("3-1", [3, 2, 1]),
        ("-2,odd", [1, 2, 1, 3, 5, 7, 9]),
        ("even", [2, 4, 6, 8]),
        ("2,2,2", [2, 2, 2]),
    ],
)
def test_pages_extracts_reorders_and_repeats(pages: str, expected: list[int]) -> None:
    assert _first_words(_operate("pages", pages=pages)) == [_NINE[n - 1] for n in expected]


def test_pages_leaves_nothing_of_the_others_in_the_file() -> None:
    made = _operate("pages", "form.pdf", pages="1")
    with pikepdf.open(io.BytesIO(made)) as document:
        streams = b"".join(
            one.read_bytes() for one in document.objects if isinstance(one, pikepdf.Stream)
        )
    assert b"alpha" in streams
    assert b"bravo" not in streams


def test_pages_keeps_the_title() -> None:
    assert (
        "Title:           nine" in run("pdfinfo", "-", stdin=_operate("pages", pages="2")).decode()
    )


def test_a_page_beyond_the_end_is_impossible_and_says_how_many_there_are() -> None:
    reply = convert(sample("nine.pdf"), "pdf", "pdf", operation="pages", pages="8-12")
    assert (reply.error, "9 pages" in reply.detail) == ("TargetImpossible", True)


def test_rotate_turns_the_named_pages_only() -> None:
    made = _operate("rotate", angle=90, pages="1,3")
    assert page_sizes(made)[:4] == [(300, 200), (200, 300), (300, 200), (200, 300)]
    again = convert(made, "pdf", "pdf", operation="rotate", angle=270, pages="1").file
    assert page_sizes(again)[0] == (200, 300)


def test_a_rotated_page_is_drawn_turned_clockwise() -> None:
    before, after = rendered(sample("nine.pdf")), rendered(_operate("rotate", angle=90))
    assert psnr(before.transpose(Image.Transpose.ROTATE_270), after) > 20


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[word] for word in _NINE]),
        ({"every": 4}, [_NINE[:4], _NINE[4:8], _NINE[8:]]),
        ({"ranges": "1-2,9,5-4"}, [_NINE[:2], _NINE[8:], [_NINE[4], _NINE[3]]]),
    ],
)
def test_split_makes_several_files(options: dict[str, object], expected: list[list[str]]) -> None:
    reply = convert(sample("nine.pdf"), "pdf", "pdf", operation="split", **options)
    assert [_first_words(file) for file in reply.files] == expected
    for file in reply.files:
        qpdf_approves(file)


@pytest.mark.parametrize("level", ["light", "strong"])
def test_compress_makes_the_file_smaller_and_draws_the_same(level: str) -> None:
    made = _operate("compress", level=level)
    assert len(made) < len(sample("nine.pdf"))
    assert psnr(rendered(sample("nine.pdf"), 4), rendered(made, 4)) == 99


def test_compress_gives_the_upload_back_where_nothing_is_gained() -> None:
    once = _operate("compress")
    reply = convert(once, "pdf", "pdf", operation="compress")
    assert len(reply.file) <= len(once)


@pytest.mark.parametrize(
    ("operation", "options"), [("linearise", {}), ("compress", {"linearise": True})]
)
def test_a_linearised_file_is_approved_as_such(operation: str, options: dict[str, object]) -> None:
    made = _operate(operation, **options)
    assert "File is linearized" in qpdf_approves(made)
    assert _first_words(made) == _NINE


def test_protect_encrypts_with_aes_256_and_opens_with_either_password() -> None:
    made = convert(
        sample("nine.pdf"),
        "pdf",
        "pdf",
        operation="protect",
        **_NEW,
    ).file
    said = qpdf_approves(made, "--password=ünlock")
    assert "R = 6" in said
    assert "AESv3" in said
    assert _first_words(made, "-upw", "ünlock") == _NINE
    assert _first_words(made, "-opw", "boss") == _NINE
    assert b"alpha" not in made


def test_protect_states_what_readers_may_do() -> None:
    made = convert(sample("nine.pdf"), "pdf", "pdf", operation="protect", allow="print").file
    told = run("pdfinfo", "-", stdin=made).decode()
    assert "print:yes copy:no change:no addNotes:no" in told


def test_a_restriction_is_not_lifted_by_an_empty_owner_password() -> None:
    made = convert(sample("nine.pdf"), "pdf", "pdf", operation="protect", allow="none").file
    assert "Supplied password is owner password" not in qpdf_approves(made)


def test_unlock_removes_encryption_with_the_password() -> None:
    made = convert(sample("encrypted.pdf"), "pdf", "pdf", operation="unlock", **_KEY).file
    assert "File is not encrypted" in qpdf_approves(made)
    assert _first_words(made) == ["alpha", "bravo"]


def test_unlock_lifts_restrictions_of_a_file_that_opens_without_password() -> None:
    made = convert(sample("restricted.pdf"), "pdf", "pdf", operation="unlock").file
    assert "File is not encrypted" in qpdf_approves(made)


def test_unlocking_what_is_not_locked_says_so() -> None:
    reply = convert(sample("nine.pdf"), "pdf", "pdf", operation="unlock")
    assert reply.warnings == ("the document was not encrypted",)


@pytest.mark.parametrize(
    "operation",
    ["merge", "pages", "rotate", "split", "compress", "linearise", "protect", "unlock", "text"],
)
@pytest.mark.parametrize("password", ["", "wrong"])
def test_an_encrypted_document_asks_for_its_password(operation: str, password: str) -> None:
    options = {"user_password": "x"} if operation == "protect" else {}
    target = "txt" if operation == "text" else "pdf"
    reply = convert(
        sample("encrypted.pdf"), "pdf", target, operation=operation, password=password, **options
    )
    assert reply.error == "PasswordRequired"
    assert "option password" in reply.detail


@pytest.mark.parametrize(
    "operation", ["merge", "pages", "rotate", "split", "compress", "linearise"]
)
def test_an_encrypted_document_with_its_password_is_worked_on_and_the_loss_said(
    operation: str,
) -> None:
    reply = convert(sample("encrypted.pdf"), "pdf", "pdf", operation=operation, **_KEY)
    assert not reply.error
    assert any("not encrypted" in warning for warning in reply.warnings)


def test_text_is_what_poppler_reads() -> None:
    made = convert(sample("nine.pdf"), "pdf", "txt").file.decode()
    assert made.split() == words(sample("nine.pdf")).split()
    assert [page.split()[0] for page in made.split("\f")] == _NINE


def test_text_of_some_pages_apart_by_blank_lines() -> None:
    made = convert(sample("nine.pdf"), "pdf", "txt", pages="2,4", separator="blank-line").file
    assert made == b"bravo nine\n\ndelta nine\n"


def test_text_of_an_encrypted_document_with_its_password() -> None:
    made = convert(sample("encrypted.pdf"), "pdf", "txt", **_KEY).file
    assert made.decode().split() == ["alpha", "locked", "bravo", "locked"]


def test_a_document_without_text_says_so() -> None:
    scan = convert(sample("grey.jpg"), "jpeg", "pdf").file
    reply = convert(scan, "pdf", "txt")
    assert any("no text" in warning for warning in reply.warnings)


def test_too_many_pages_are_refused() -> None:
    for target, operation in (("pdf", "rotate"), ("txt", "text")):
        reply = convert(
            sample("nine.pdf"), "pdf", target, operation=operation, bounds=Bounds(pages_max=8)
        )
        assert reply.error == "SourceTooComplex"


def test_a_result_beyond_the_limit_is_refused() -> None:
    for operation in ("rotate", "merge", "split", "protect"):
        options = {"user_password": "x"} if operation == "protect" else {}
        reply = convert(
            sample("nine.pdf"),
            "pdf",
            "pdf",
            operation=operation,
            bounds=Bounds(output_bytes_max=900),
            **options,
        )
        assert reply.error == "TargetTooLarge", operation


def test_the_judge_sees_images_too() -> None:
    assert Seen(sample("photo.png"), "png").size == (320, 240)
