"""pdf.pdfa: PDF/A (ISO 19005), by pikepdf's preparation and validator.

The validator approves only what it knows to conform, so a refusal may be a false alarm and an
approval should not be. Nothing here is a certificate. What PDF/A forbids and nobody sees (scripts,
actions, files) is removed first; fonts that readers are expected to bring are embedded where one
with the same widths is at hand.
"""

import functools
from collections.abc import Sequence
from importlib import resources

import pikepdf
from pikepdf import Name
from pikepdf import pdfa as conformity

from engine.converter import Result, Work
from engine.converters.capped import CappedBuffer
from engine.converters.pdf.appearances import flatten
from engine.converters.pdf.catalogue_safety import PdfaOptions
from engine.converters.pdf.files import losses, open_document, read_pages, reading
from engine.converters.pdf.geometry import view
from engine.converters.pdf.pdfium import drawn, seen_by_pdfium
from engine.converters.pdf.raster import become_picture
from engine.converters.pdf.sanitise import active_content, remove_active_content
from engine.converters.pdf.standard_fonts import embed_standard_fonts
from engine.errors import TargetImpossible
from engine.job import Buffer

_RULES_MAX = 5
_FILES = "attached files"
# What the validator says of every attached file, since it does not look into them.
_UNCHECKED = "pikepdf:embedded-file"


def load() -> None:
    """Read what pikepdf has beside its code. Called where files can still be opened."""
    _profile()
    with pikepdf.new() as blank:
        blank.add_blank_page()
        for level in ("1b", "2b", "3b"):
            conformity.check(blank, level)


@functools.cache
def _profile() -> bytes:
    """The colours of screens, as pikepdf brings them for PDF/A of all parts."""
    found = resources.files("pikepdf.pdfa").joinpath("data", "sRGB.icc")
    return found.read_bytes()


def pdfa(work: Work) -> Result:
    """Make the document conform. Raises TargetImpossible where it cannot, and says the rules."""
    options: PdfaOptions = work.options
    warnings: list[str] = []
    with open_document(work, 0, options.password) as document:
        read_pages(document, work.bounds)
        warnings += losses(document)
        _remove_forbidden(document, options.level, warnings)
        if "/AcroForm" in document.Root:
            warnings += flatten(document, "screen")
            if "/AcroForm" in document.Root:
                del document.Root["/AcroForm"]
            warnings.append("form fields and comments became part of their pages")
        embed_standard_fonts(document, plain=options.level == "1b")
        written, broken = _write(document, options.level, work)
    if broken and options.fallback == "refuse":
        named = ", ".join(broken[:_RULES_MAX])
        raise TargetImpossible(
            f"the document does not conform to PDF/A-{options.level} (rules {named});"
            " fallback=picture makes pictures of its pages"
        )
    if broken:
        written = _as_pictures(work)
        warnings.append("pages were made pictures: their text cannot be searched, links have ended")
    warnings.append(f"conforms to PDF/A-{options.level} as far as pikepdf's validator can tell")
    return Result(files=(written,), warnings=tuple(warnings))


def _remove_forbidden(document: pikepdf.Pdf, level: str, warnings: list[str]) -> None:
    found = set(active_content(document)) - {"web links"}
    if not found:
        return
    keeps = level == "3b" and _FILES in found
    remove_active_content(document, keep_links=True, keep_files=keeps)
    if document.Root.get("/PageMode") == Name.UseAttachments:
        del document.Root["/PageMode"]
    gone = found - ({_FILES} if keeps else set())
    if gone:
        warnings.append(f"removed, since PDF/A forbids it: {', '.join(sorted(gone))}")
    if keeps:
        warnings.append("attached files stay; the validator does not look into them")


def _write(document: pikepdf.Pdf, level: str, work: Work) -> tuple[Buffer, list[str]]:
    """The document as PDF/A, and the rules that it breaks."""
    with reading():
        conformity.prepare(
            document, level, output_intent=_profile(), output_condition_identifier="sRGB"
        )
    buffer = CappedBuffer(work.bounds.output_bytes_max)
    how = conformity.resolve_save_kwargs(level)
    with reading():
        document.save(buffer, **how)
    buffer.seek(0)
    report = conformity.validate_written(buffer, level, how)
    findings = [one for one in report.findings if not (level == "3b" and one.rule == _UNCHECKED)]
    return buffer.take(), _rules(findings)


def _rules(findings: Sequence[conformity.Finding]) -> list[str]:
    """The numbers of the rules, each once; the rest of a finding quotes the document."""
    return list(dict.fromkeys(finding.rule.rpartition(":")[2] for finding in findings))


def _as_pictures(work: Work) -> Buffer:
    """Every page as a picture, which always conforms. Raises TargetImpossible if it does not."""
    options: PdfaOptions = work.options
    with open_document(work, 0, options.password) as source, pikepdf.new() as target:
        count = read_pages(source, work.bounds)
        with seen_by_pdfium(source, range(count), work) as seen:
            for index in range(count):
                size = view(source.pages[index]).size
                page = target.add_blank_page(page_size=size)
                become_picture(target, page, drawn(seen, index, options.dpi, work), size)
        with reading():
            for name, value in source.docinfo.items():
                if isinstance(value, pikepdf.String):
                    target.docinfo[name] = pikepdf.String(bytes(value))
        written, broken = _write(target, options.level, work)
    if broken:
        raise TargetImpossible(f"even pictures break the rules {', '.join(broken[:_RULES_MAX])}")
    return written
