"""pdf.inspect: what pages are made of, as JSON: boxes, fonts, pictures; protection and actions.

What a document says about itself, its title and the like, is told by pdf.metadata.
"""

from collections import Counter
from typing import Any

import msgspec
import pikepdf

from engine.converter import Result, Work
from engine.converters.pageparts import Parts, walk
from engine.converters.pdf.content.options import InspectOptions
from engine.converters.pdf.ranges import parse_pages
from engine.converters.qpdf import open_document, read_pages, reading

_BOXES = ("MediaBox", "CropBox", "BleedBox", "TrimBox", "ArtBox")
# A reader may run what these say, or go elsewhere (ISO 32000-1, 12.6.4).
_ACTIVE = frozenset({"/JavaScript", "/Launch", "/ImportData", "/SubmitForm", "/GoToR"})


def inspect(work: Work) -> Result:
    """Tell. Raises the errors of opening: an encrypted document needs its password."""
    options: InspectOptions = work.options
    with open_document(work, 0, options.password) as document:
        count = read_pages(document, work.bounds)
        chosen = parse_pages(options.pages, count, pages_max=work.bounds.pages_max)
        parts = walk(document, chosen, work.bounds)
        with reading():
            told = {
                "page_count": count,
                "encryption": _encryption(document),
                "active_content": _active(document),
                "fonts": [msgspec.structs.asdict(font) for font in parts.fonts],
                "pictures": _pictures(parts),
                "pages": [_page(document, index) for index in chosen],
            }
    return Result(files=(msgspec.json.format(msgspec.json.encode(told), indent=1),))


def _encryption(document: pikepdf.Pdf) -> dict[str, Any] | None:
    if not document.is_encrypted:
        return None
    how, allow = document.encryption, document.allow
    return {
        "method": how.stream_method.name,
        "revision": how.R,
        "bits": how.bits,
        "owner": document.owner_password_matched,
        "allowed": sorted(name for name, may in allow._asdict().items() if may),
    }


def _active(document: pikepdf.Pdf) -> list[str]:
    """The kinds of action that are anywhere in the document; none of them was run."""
    found = set()
    for one in document.objects:
        if isinstance(one, pikepdf.Dictionary):
            actions = (one, one.get("/A"), one.get("/OpenAction"))
            found |= {_kind(action) for action in actions if isinstance(action, pikepdf.Dictionary)}
    names = document.Root.get("/Names")
    if isinstance(names, pikepdf.Dictionary) and "/JavaScript" in names:
        found.add("/JavaScript")
    return sorted(kind.removeprefix("/") for kind in found & _ACTIVE)


def _kind(action: Any) -> str:
    kind = action.get("/S")
    return str(kind) if isinstance(kind, pikepdf.Name) else ""


def _pictures(parts: Parts) -> dict[str, Any]:
    coded = Counter(_coding(one) for one in parts.pictures)
    return {"count": len(parts.pictures), "coded": dict(sorted(coded.items()))}


def _coding(stream: Any) -> str:
    filters = stream.get("/Filter")
    last = filters[-1] if isinstance(filters, pikepdf.Array) and len(filters) else filters
    return str(last).removeprefix("/").removesuffix("Decode") if last is not None else "none"


def _page(document: pikepdf.Pdf, index: int) -> dict[str, Any]:
    """Its boxes in the units of the page, and its size in points as it is seen."""
    page = document.pages[index]
    unit = float(page.obj.get("/UserUnit", 1))
    across, down = _side(page.cropbox, 0) * unit, _side(page.cropbox, 1) * unit
    if page.rotation % 180:
        across, down = down, across
    own = {
        name: [float(side) for side in page.obj[f"/{name}"]]
        for name in _BOXES
        if f"/{name}" in page.obj
    }
    own.setdefault("MediaBox", [float(side) for side in page.mediabox])
    return {
        "page": index + 1,
        "width": round(across, 3),
        "height": round(down, 3),
        "rotation": page.rotation % 360,
        "boxes": {name.removesuffix("Box").lower(): box for name, box in own.items()},
    }


def _side(box: Any, axis: int) -> float:
    return abs(float(box[axis + 2]) - float(box[axis]))
