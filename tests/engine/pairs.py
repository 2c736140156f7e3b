"""What each converter is tried with: a file of each source format, and what else it needs.

Imports neither the engine's front door nor pytest: a probe of the jail reads it too.
"""

from collections.abc import Mapping

from engine.errors import FormatUnknown
from engine.formats import find
from tests.engine.calls import FILES

# Formats of which there is no file, and why.
WITHOUT_SAMPLE = dict.fromkeys(
    ("arw", "cr2", "cr3", "nef", "orf", "pef", "raf", "rw2"),
    "cameras write them, and no photograph may be passed on with this project",
)
# What a converter cannot do without, beside its file.
OPTIONS: Mapping[str, Mapping[str, str]] = {
    "pdf.delete": {"pages": "1"},
    "pdf.watermark": {"text": "DRAFT"},
    "pdf.protect": {"user_password": "sesame"},
    "pdf.set_metadata": {"title": "Stock"},
    "pdf.fill": {"values": '{"name": "Ada"}'},
    "pdf.redact": {"words": '["workshop"]'},
    "signing.sign": {"key_password": "secret"},
}
# What files of a format need wherever the converter knows the option.
NEEDED = {"ooxml-encrypted": {"password": "sesame"}, "sub": {"fps": "25"}}
# What a target asks for.
ASKED = {"sub": {"fps_out": "25"}}
# Files of a kind of their own that converters need, made into the source where they are not it.
FIRST: Mapping[str, str] = {
    "image.barcode": "samples/code.png",
    "pdf.fill": "form.pdf",
    "pdf.pdfa": "nine.pdf",
    "misc.subtitles-from-json": "misc/lines.srt",
    "misc.places-from-table": "misc/places.csv",
    "misc.calendar-from-data": "misc/meeting.ics",
    "misc.contacts-from-data": "misc/people.vcf",
}
# Those that come after the first.
OTHERS: Mapping[str, tuple[str, ...]] = {
    "image.watermark": ("alpha.png",),
    "pdf.overlay": ("nine.pdf",),
    "pdf.attach": ("photo.jpg",),
    "signing.sign": ("pdf/ec.p12",),
    "document.compare": ("document/suite.docx",),
}
# What they look for is in few files: "there is none" is the answer about the others.
FINDERS = frozenset({"image.barcode", "photo.restore", "media.audio", "ocr.recognise"})


def sample(name: str) -> bytes | None:
    """The smallest file of a format."""
    found = list((FILES / "samples").glob(f"sample.{name}")) or [
        path for path in FILES.rglob("*.*") if format_of(path.suffix) == name
    ]
    return min(found, key=lambda path: path.stat().st_size).read_bytes() if found else None


def format_of(suffix: str) -> str | None:
    try:
        return find(suffix).name
    except FormatUnknown:
        return None
