"""What is refused before a worker, a credit or a byte of memory is spent on it."""

import pytest

from engine import errors
from engine.engine import Engine
from engine.job import Job
from tests.engine.calls import FILES

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100
JPEG = b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 100
PDF = b"%PDF-1.7\n" + b"\0" * 100


def plan(source: str, target: str, *uploads: bytes, **options: str) -> Job:
    return Engine.plan(source, target, options, uploads)


def test_a_pair_and_its_options_become_a_job_that_names_its_converter() -> None:
    job = plan("PNG", "jpg", PNG, width="100")
    assert (job.converter, job.family, job.source, job.target) == (
        "image.convert",
        "image",
        "png",
        "jpeg",
    )
    assert job.options.width == 100  # type: ignore[attr-defined]
    assert job.input_bytes == len(PNG)


def test_auto_looks_at_the_bytes() -> None:
    assert plan("auto", "webp", JPEG).source == "jpeg"


def test_auto_on_bytes_that_look_like_nothing_asks_for_a_name() -> None:
    with pytest.raises(errors.SourceUnrecognised, match="name its format"):
        plan("auto", "webp", bytes(range(1, 256)) * 3)


def test_a_file_that_is_something_else_is_refused_saying_what_it_looks_like() -> None:
    with pytest.raises(errors.SourceMismatch, match="PDF"):
        plan("png", "jpeg", PDF)


def test_a_file_that_is_nothing_known_is_refused_as_well() -> None:
    with pytest.raises(errors.SourceMismatch, match="nothing known"):
        plan("png", "jpeg", b"\x01\x02\x03" * 50)


def test_an_encrypted_office_document_is_whichever_it_is_said_to_be() -> None:
    locked = (FILES / "samples/sample.ooxml-encrypted").read_bytes()
    assert plan("xlsx", "csv", locked).source == "xlsx"
    assert plan("auto", "csv", locked).source == "ooxml-encrypted"
    with pytest.raises(errors.SourceMismatch, match="encrypted Office document"):
        plan("odt", "html", locked)


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(errors.SourceEmpty):
        plan("png", "jpeg", b"")


def test_no_file_at_all_is_refused() -> None:
    with pytest.raises(errors.SourceEmpty):
        plan("png", "jpeg")


@pytest.mark.parametrize(("source", "target"), [("nonsense", "jpeg"), ("png", "nonsense")])
def test_an_unknown_format_is_refused_by_name(source: str, target: str) -> None:
    with pytest.raises(errors.FormatUnknown, match="nonsense"):
        plan(source, target, PNG)


def test_a_pair_that_nothing_converts_is_refused() -> None:
    with pytest.raises(errors.ConversionUnsupported):
        plan("pdf", "mp3", PDF)


def test_an_unknown_option_is_refused_by_name() -> None:
    with pytest.raises(errors.OptionInvalid, match="widht"):
        plan("png", "jpeg", PNG, widht="100")


def test_an_option_out_of_range_is_refused_with_its_range() -> None:
    with pytest.raises(errors.OptionInvalid, match=r"quality.*100"):
        plan("png", "jpeg", PNG, quality="101")


def test_several_files_where_one_is_taken_are_refused() -> None:
    with pytest.raises(errors.SourceCountInvalid):
        plan("png", "jpeg", PNG, PNG)


def test_several_pdfs_without_an_operation_are_merged() -> None:
    assert plan("pdf", "pdf", PDF, PDF).converter == "pdf.merge"


def test_pictures_of_different_formats_go_into_one_pdf() -> None:
    job = plan("auto", "pdf", JPEG, PNG)
    assert job.sources == ("jpeg", "png")


def test_a_document_among_pictures_is_refused() -> None:
    with pytest.raises(errors.ConversionUnsupported, match="does not take pdf"):
        plan("auto", "pdf", JPEG, PDF)
