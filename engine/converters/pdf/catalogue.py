"""What the pdf family offers: declarations only, no codec."""

from engine.converter import Converter, Family
from engine.converters.pdf import (
    catalogue_documents,
    catalogue_images,
    catalogue_layout,
    catalogue_marks,
    catalogue_pages,
    catalogue_parts,
    catalogue_safety,
)
from engine.converters.pdf.content import catalogue as catalogue_content
from engine.job import Bounds
from sandbox.limits import MIB, Limits

# Each topic has a module of its own that holds its options and its converters; the order is that
# of lists shown to people, and the first that takes several files is chosen for several.
_TOPICS = (
    catalogue_pages,
    catalogue_layout,
    catalogue_marks,
    catalogue_documents,
    catalogue_parts,
    catalogue_safety,
    catalogue_content,
    catalogue_images,
)
CONVERTERS: tuple[Converter, ...] = tuple(
    converter for topic in _TOPICS for converter in topic.CONVERTERS
)

FAMILY = Family(
    name="pdf",
    needs=(
        "PIL",
        "fontTools",
        "img2pdf",
        "lxml",
        "pdf_oxide",
        "pdfminer",
        "pdfplumber",
        "pikepdf",
        "pypdfium2",
        "xlsxwriter",
    ),
    preload=("engine.task", "engine.converters.pdf.warm"),
    warm="engine.converters.pdf.warm:warm",
    limits=Limits(address_space_bytes=1536 * MIB, cpu_s=60, wall_s=60.0),
    bounds=Bounds(),
)
