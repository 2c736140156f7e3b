"""Office documents to PDF against the `soffice` of this machine: page counts, and all pages' look.

Ours in a sandboxed worker, the reference as anybody starts it, with a profile and a disk, and with
our fonts' stand-ins, so that only the sandbox differs. `bench office_corpus` asks the same of some
dozens of documents of other people; here are few, but all of their pages are looked at.
"""

import asyncio
import os
import shutil
import tempfile
from pathlib import Path

from bench import catalogue_inputs as made
from bench.quality_judge import least_alike, pages, printed_by_office
from engine import registry
from engine.converters.office import settings
from engine.engine import Engine, EngineConfig
from tests.engine.calls import FILES

# The same program with the same fonts: what differs is the rounding of a shadow.
_ALIKE = 0.995
_DPI = 75
REASONS = {
    "2,000 cells.xlsx": "the native program prints logical values as 1 and 0 there, ours as TRUE"
    " and FALSE, as Excel shows them; nothing else differs",
}
_COMMITTED = ("document/suite.docx", "document/suite.odt", "office/*.docx", "office/*.pptx")


def table() -> list[str]:
    """Print the table; the rows that are worse."""
    office = shutil.which("soffice")
    if office is None or not any(family.name == "office" for family in registry.FAMILIES):
        print("\nleft out: LibreOffice is not installed")
        return []
    documents = {
        "10 pages.docx": made.docx(),
        "10 pages.doc": made.doc(),
        "10 slides.pptx": made.pptx(),
        "2,000 cells.xlsx": made.xlsx_printed(),
    }
    for pattern in (*_COMMITTED, "office/*.xlsx"):
        documents |= {path.name: path.read_bytes() for path in sorted(FILES.glob(pattern))}
    return asyncio.run(_compared(office, documents))


async def _compared(office: str, documents: dict[str, bytes]) -> list[str]:
    print(
        f"\noffice documents, against native LibreOffice\n{'document':20} {'pages':>6}"
        f" {'native':>7} {'least SSIM':>11} {'CPU s':>6}  verdict"
    )
    worse = []
    engine = await Engine.start(EngineConfig(slots=1, spares=1, started=("office",)))
    try:
        for name, document in documents.items():
            source = name.rpartition(".")[2]
            options = {"operation": "pdf"} if source in {"docx", "odt"} else {}
            output = await engine.convert(Engine.plan(source, "pdf", options, [document]))
            ours = bytes(output.files[0])
            native = await asyncio.to_thread(_natively, office, name, document)
            likeness = await asyncio.to_thread(least_alike, native, ours, _DPI)
            bad = likeness < _ALIKE
            print(
                f"{name:20} {pages(ours):6} {pages(native):7} {likeness:11.4f} {output.cpu_s:6.2f}"
                f"  {'worse' if bad else 'the same'}",
                flush=True,
            )
            if bad:
                worse.append(f"{name}: {pages(ours)} pages of {pages(native)}, {likeness:.4f}")
    finally:
        await engine.close()
    return worse


def _natively(office: str, name: str, document: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as home:
        (fonts := Path(home, "fonts.conf")).write_text(settings.fonts())
        (path := Path(home, name.replace(" ", "-"))).write_bytes(document)
        environment = os.environ | {"HOME": home, "FONTCONFIG_FILE": str(fonts)}
        return printed_by_office(office, path, "pdf", environment)
