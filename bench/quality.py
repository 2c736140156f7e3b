"""Is any result larger, coarser or different from what the programs people compare with make?

Four tables, each beside a reference: pictures and sharp (libvips), compressed PDFs and qpdf and
LibreOffice, office documents and native LibreOffice, drawn and recognised pages and poppler (which
`bench quality_pdf` alone prints as well). A row that is worse needs a reason in bench/README.md;
one without is the answer 1. References are fetched into temporary directories; what cannot be had
is printed as left out.
"""

import argparse
from collections.abc import Callable

from bench import quality_compress, quality_images, quality_office, quality_pdf

_PARTS: dict[str, Callable[[], list[str]]] = {
    "images": quality_images.table,
    "compress": quality_compress.table,
    "office": quality_office.table,
    "pages": lambda: ["pages: see the tables above"] if quality_pdf.main([]) else [],
}
# By how a row begins: why it may be worse. The manual for readers is bench/README.md.
_REASONS: dict[str, str] = {**quality_images.REASONS, **quality_office.REASONS}


def main(argv: list[str]) -> int:
    """Print the tables and what is worse; 1 where something is without a reason."""
    parser = argparse.ArgumentParser(prog="python -m bench quality")
    parser.add_argument("part", nargs="*", default=list(_PARTS), help=", ".join(_PARTS))
    options = parser.parse_args(argv)
    if unknown := set(options.part) - set(_PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(_PARTS)}")
    failed = 0
    for part in options.part:
        print(f"\n-- {part}", flush=True)
        for row in _PARTS[part]():
            reason = next((why for begin, why in _REASONS.items() if row.startswith(begin)), "")
            failed += not reason
            print(f"worse: {row}: {reason or 'WITHOUT A REASON'}")
    return int(failed > 0)
