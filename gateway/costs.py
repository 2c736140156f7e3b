"""What a converter's price is weighed against: the CPU that a usual file of its kind takes.

A conversion costs what the operator pays for it, and that is CPU: memory is bounded by the family
and given back at the end. The figures are those of `python -m bench catalogue`, in all, so with the
worker's own fork and confinement, in milliseconds on the machine of bench/README.md; what counts is
which step they fall on. A converter whose price stands on another step has its reason here; a test
sees to both. docs/pricing.md is printed by `python -m gateway.costs > docs/pricing.md`.
"""

import sys
from collections.abc import Iterator, Mapping

import msgspec

from engine import registry
from gateway.pricing import MIB, SIZE_STEPS


class CpuStep(msgspec.Struct, frozen=True, kw_only=True):
    """Conversions that take up to this long cost so many credits."""

    cpu_ms_max: float
    credits: int


# The first is what most conversions need with the cost of their worker; the others are about a
# credit for every 0.6 to 1.2 s, because large prices should not depend on small differences.
CPU_STEPS: tuple[CpuStep, ...] = (
    CpuStep(cpu_ms_max=600, credits=1),
    CpuStep(cpu_ms_max=1_800, credits=2),
    CpuStep(cpu_ms_max=3_000, credits=3),
    CpuStep(cpu_ms_max=6_000, credits=5),
    CpuStep(cpu_ms_max=12_000, credits=8),
    CpuStep(cpu_ms_max=float("inf"), credits=13),
)


class Usual(msgspec.Struct, frozen=True):
    """A usual file for a converter, and the CPU that it takes."""

    file: str
    cpu_ms: int


MEASURED: Mapping[str, Usual] = {
    "image.convert": Usual("12 MP JPEG to WebP of 1,600 pixels", 336),
    "photo.convert": Usual("12 MP HEIC to JPEG", 877),
    "vector.convert": Usual("SVG of 300 shapes to PNG", 154),
    "pdf.render": Usual("10 pages to JPEG", 398),
    "pdf.images": Usual("12 MP JPEG on a page", 58),
    "pdf.text": Usual("10 pages", 50),
    "pdf.editable": Usual("10 pages to Word", 208),
    "pdf.tables": Usual("tables of 10 pages to Excel", 877),
    "pdf.merge": Usual("10 documents of 10 pages", 106),
    "pdf.compress": Usual("10 pages", 72),
    "pdf.protect": Usual("10 pages", 64),
    "pdf.redact": Usual("10 pages, something removed from each", 4_231),
    "pdf.pdfa": Usual("9 pages of text", 30),
    "ocr.searchable": Usual("one scanned page", 1_027),
    "data.sheets": Usual("50,000 cells, Excel to CSV", 156),
    "data.convert": Usual("50,000 cells, CSV to Excel", 426),
    "browser.print": Usual("a bill of one page", 190),
    "browser.capture": Usual("a bill of one page", 321),
    "office.text.pdf": Usual("10 pages, Word to PDF", 635),
    "office.slides.pdf": Usual("10 slides", 1_306),
    "office.sheet.pdf": Usual("2,000 cells", 219),
    "document.typeset": Usual("10 pages, Markdown to PDF", 504),
    "document.restructure": Usual("10 pages, Word to HTML", 449),
    "document.compare": Usual("10 pages of Word with some hundred changes", 280),
    "archive.pack": Usual("12 MP JPEG into a ZIP", 118),
    "media.audio": Usual("30 s of WAV to MP3", 1_119),
    "media.video": Usual("10 s of 720p to WebM", 3_572),
    "media.animation": Usual("10 s of 720p to GIF", 1_982),
    "solid.drawing": Usual("drawing of 5,000 lines to PDF", 1_390),
}

_PAGES = "a page takes a second, and most scans have more than one"
_BROWSER = "the bill is a small page without scripts; others take two to five times that"
_OFFICE = "one price for the family, whose conversions take 0.2 to 1.3 s"
_CAMERA = "decoded, developed and encoded like other photographs; cameras' files are larger"
# Whose price is another than their figure says, or that have a price above 1 and no figure.
REASONS: Mapping[str, str] = {
    **dict.fromkeys(("ocr.searchable", "ocr.recognise"), _PAGES),
    **dict.fromkeys(("browser.print", "browser.capture"), _BROWSER),
    **dict.fromkeys(("photo.develop", "photo.sheets"), _CAMERA),
    **{
        one.name: _OFFICE
        for _, converters in registry.DECLARED
        for one in converters
        if one.family == "office" and one.name not in {"office.text.pdf", "office.slides.pdf"}
    },
}


def credits_for(cpu_ms: float) -> int:
    """What a conversion costs that takes so long."""
    return next(step.credits for step in CPU_STEPS if cpu_ms <= step.cpu_ms_max)


def page() -> str:
    """docs/pricing.md."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# What a conversion costs, and why"
    yield ""
    yield "Printed by `python -m gateway.costs > docs/pricing.md`."
    yield ""
    yield (
        "A conversion costs its converter's credits (docs/formats.md, `GET /v1/formats`) times a"
        " factor of the upload's size, known before it runs; one that fails costs nothing. The"
        " credits follow the CPU that a usual file takes, because that is what an operator pays"
        " for; the factor stands for larger files."
    )
    yield ""
    yield "| CPU of a usual file | credits |"
    yield "|---|---|"
    for step in CPU_STEPS:
        limit = "longer" if step.cpu_ms_max == float("inf") else f"up to {step.cpu_ms_max:,} ms"
        yield f"| {limit} | {step.credits} |"
    yield ""
    yield "| upload | factor |"
    yield "|---|---|"
    for size in SIZE_STEPS:
        limit = f"up to {size.input_bytes_max // MIB} MiB" if size.input_bytes_max else "larger"
        yield f"| {limit} | {size.factor} |"
    yield ""
    yield "## Measured"
    yield ""
    yield (
        "By `python -m bench catalogue`, in milliseconds of CPU with the worker's start, on the"
        " machine of bench/README.md. Converters that are not here cost 1 credit."
    )
    yield ""
    yield "| converter | usual file | CPU ms | credits | where it is another step |"
    yield "|---|---|---|---|---|"
    for name in (*MEASURED, *(one for one in REASONS if one not in MEASURED)):
        usual = MEASURED.get(name)
        told = f"{usual.file} | {usual.cpu_ms:,}" if usual else "| "
        yield f"| {name} | {told} | {_CREDITS[name]} | {REASONS.get(name, '')} |"


_CREDITS = {one.name: one.credits for _, converters in registry.DECLARED for one in converters}


if __name__ == "__main__":
    sys.stdout.write(page())
