"""The same conversions in real workers, in the whole sandbox: nothing is opened, all is there."""

import csv
import io
import json

import pytest

from engine import errors
from engine.engine import Engine, EngineConfig
from engine.registry import FAMILIES
from tests.engine.calls import convert, sample
from tests.engine.judges import Seen, qpdf_approves, words
from tests.engine.test_pdf_content_text import CHINESE, chinese

_NAMES = {family.name for family in FAMILIES}


async def _run(engine: Engine, target: str, upload: bytes, **options: str) -> bytes:
    output = await engine.convert(Engine.plan("auto", target, options, [upload]))
    return bytes(output.files[0])


async def test_everything_that_is_taken_out_of_a_document_comes_out_of_a_jail() -> None:
    engine = await Engine.start(EngineConfig(slots=1, started=("pdf",)))
    photo = convert(sample("orientation-1.jpg"), "jpeg", "pdf").file
    nine = sample("nine.pdf")
    try:
        for target in ("jpeg", "png", "webp", "avif", "gif", "tiff"):
            made = await _run(engine, target, nine, pages="1", dpi="36")
            assert Seen(made, target).size == (100, 150)
        assert b"alpha" in await _run(engine, "txt", nine, order="layout")
        assert b"alpha" in await _run(engine, "txt", nine, order="reading")
        for target in ("docx", "pptx", "html", "md"):
            assert len(await _run(engine, target, nine)) > 100
        assert json.loads(await _run(engine, "json", nine, operation="inspect"))["page_count"] == 9
        picture = await _run(engine, "jpeg", photo, operation="extract_images")
        assert Seen(picture, "jpeg").size == (160, 120)
        with pytest.raises(errors.TargetImpossible):
            await _run(engine, "csv", nine)
        read = csv.reader(io.StringIO((await _run(engine, "csv", chinese())).decode("utf-8-sig")))
        assert list(read) == CHINESE
        with pytest.raises(errors.PasswordRequired):
            await _run(engine, "docx", sample("encrypted.pdf"))
    finally:
        await engine.close()


@pytest.mark.skipif("ocr" not in _NAMES, reason="tesseract is not installed")
async def test_text_is_recognised_in_a_jail() -> None:
    engine = await Engine.start(EngineConfig(slots=1, started=("ocr",)))
    scan = convert(sample("nine.pdf"), "pdf", "png", pages="1", dpi="200").file
    try:
        assert b"alpha nine" in await _run(engine, "txt", scan, operation="recognise")
        made = await _run(engine, "pdf", scan, operation="searchable")
        qpdf_approves(made)
        assert "alpha nine" in words(made)
        told = json.loads(await _run(engine, "json", scan, operation="recognise"))
        assert told["pages"][0]["lines"][0]["words"][0]["text"] == "alpha"
        assert (
            io.BytesIO(await _run(engine, "hocr", scan, operation="recognise")).read(5) == b"<?xml"
        )
    finally:
        await engine.close()
