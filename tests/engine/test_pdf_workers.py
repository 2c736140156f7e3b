"""Every operation on PDF documents in a real sandboxed worker, which can open no file."""

from engine.converter import Converter
from engine.engine import Engine, EngineConfig
from engine.job import Job
from engine.registry import CONVERTERS, parse_options
from tests.engine.calls import sample
from tests.engine.judges import qpdf_approves
from tests.engine.test_pdf_parts import operate

_OPTIONS = {
    "pdf.compress": {"preset": "screen"},
    "pdf.crop": {"mode": "auto"},
    "pdf.delete": {"pages": "1"},
    "pdf.fill": {"values": '{"name": "Ω filled"}'},
    "pdf.pdfa": {"level": "3b"},
    "pdf.protect": {"user_password": "x"},
    "pdf.redact": {"words": '["bravo"]'},
    "pdf.set_bookmarks": {"bookmarks": '[{"title": "x", "page": 1}]'},
    "pdf.set_metadata": {"title": "x"},
    "pdf.watermark": {"angle": "30"},
    "signing.sign": {"key_password": "secret", "visible": "true", "width_mm": "40"},
}
_BESIDE = {
    "pdf.attach": ("png", "alpha.png"),
    "pdf.merge": ("pdf", "nine.pdf"),
    "pdf.overlay": ("pdf", "nine.pdf"),
    "pdf.watermark": ("png", "alpha.png"),
    "signing.sign": ("p12", "pdf/rsa.p12"),
}
_MINE = [
    one
    for one in CONVERTERS
    if one.family in {"pdf", "signing"} and ".content." not in one.run and one.name != "pdf.images"
]


async def test_every_operation_works_in_a_sandboxed_worker() -> None:
    engine = await Engine.start(EngineConfig(slots=1, started=("pdf", "signing")))
    try:
        for converter in _MINE:
            output = await engine.convert(_job(converter))
            assert all(len(file) for file in output.files), converter.name
            if output.target == "pdf" and converter.name != "pdf.protect":
                for file in output.files:
                    qpdf_approves(bytes(file))
    finally:
        await engine.close()


def _job(converter: Converter) -> Job:
    kind, beside = _BESIDE.get(converter.name, ("", ""))
    upload = sample("form.pdf")
    if converter.name == "pdf.extract_attachments":
        upload = operate("attach", [upload, b"text"], "pdf", "txt").file
    return Job(
        converter=converter.name,
        family=converter.family,
        sources=("pdf", kind) if beside else ("pdf",),
        target=converter.targets[0],
        options=parse_options(converter, _OPTIONS.get(converter.name, {})),
        inputs=(upload, sample(beside)) if beside else (upload,),
    )
