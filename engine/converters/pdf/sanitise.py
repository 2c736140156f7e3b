"""pdf.sanitise: a document that only shows itself, and reaches for nothing."""

from collections import Counter

import msgspec
import pikepdf
from pikepdf import Array, Dictionary, Name, Stream
from pikepdf.sanitize import Sanitizer

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_safety import SanitiseOptions
from engine.converters.pdf.files import losses, open_document, read_pages, reading, save
from engine.converters.pdf.metadata import remove_metadata
from engine.converters.pdf.objects import dictionaries
from engine.errors import TargetImpossible

_WEB = "web links"
# Kinds of actions (ISO 32000-2, 12.6.4) by what customers call them, and an entry that such an
# action must have where other things have the same kind.
_ACTIONS = {
    "/JavaScript": ("scripts", "/JS"),
    "/Launch": ("actions that start programs", ""),
    "/SubmitForm": ("actions that send data", ""),
    "/ImportData": ("actions that load data", ""),
    "/GoToR": ("links to other files", ""),
    "/GoToE": ("links to other files", ""),
    "/Rendition": ("media", ""),
    "/Movie": ("media", ""),
    "/Sound": ("media", ""),
    "/RichMediaExecute": ("media", ""),
    "/URI": (_WEB, "/URI"),
}
# Comments that are nothing but a file, a film, a sound or a model.
_CARRIERS = frozenset({"/FileAttachment", "/Movie", "/Sound", "/Screen", "/RichMedia", "/3D"})


def sanitise(work: Work) -> Result:
    """Remove, and check in the written result that it is gone."""
    options: SanitiseOptions = work.options
    with open_document(work, 0, options.password) as document:
        read_pages(document, work.bounds)
        warnings = list(losses(document))
        found = active_content(document)
        remove_active_content(document, keep_links=options.keep_links)
        if options.strip_metadata:
            remove_metadata(document)
        written = save(document, work)
    with open_document(msgspec.structs.replace(work, inputs=(written,)), 0, "") as document:
        left = set(active_content(document)) - ({_WEB} if options.keep_links else set())
    if left:
        raise TargetImpossible(f"{', '.join(sorted(left))} could not be removed")
    removed = [name for name in found if not (options.keep_links and name == _WEB)]
    told = f"removed: {', '.join(sorted(removed))}" if removed else "nothing active was found"
    return Result(files=(written,), warnings=(told, *warnings))


def active_content(document: pikepdf.Pdf) -> Counter[str]:
    """What the document could do or carry, by what customers call it."""
    found: Counter[str] = Counter()
    with reading():
        for thing in dictionaries(document):
            name, needed = _ACTIONS.get(str(thing.get("/S")), ("", ""))
            if name and (not needed or needed in thing):
                found[name] += 1
            if "/EF" in thing:
                found["attached files"] += 1
            if isinstance(thing, Stream) and ("/F" in thing or "/Ref" in thing):
                found["references to other files"] += 1
            if "/XFA" in thing:
                found["XFA forms"] += 1
    return found


def remove_active_content(
    document: pikepdf.Pdf, *, keep_links: bool, keep_files: bool = False
) -> None:
    """Take out of the open document what acts, plays, carries files or refers outward."""
    web = _web_actions(document) if keep_links else []
    cleaner = (
        Sanitizer()
        .remove_javascript()
        .remove_external_access()
        .remove_multimedia()
        .remove_search_index()
        .remove_web_capture()
        .remove_thumbnails()
        .remove_private_app_data()
    )
    if not keep_files:
        cleaner.remove_attachments().remove_collection()
    with reading():
        _drop_carriers(document)
        cleaner.apply(document)
        for holder, action in web:
            holder["/A"] = action
        form = document.Root.get("/AcroForm")
        if isinstance(form, Dictionary) and "/XFA" in form:
            del form["/XFA"]
        if "/URI" in document.Root:  # what links without a beginning are added to
            del document.Root["/URI"]
        _cut_off(document)


def _drop_carriers(document: pikepdf.Pdf) -> None:
    for page in document.pages:
        held = page.obj.get("/Annots")
        if isinstance(held, Array):
            kept = [one for one in held if not _is_carrier(one)]
            if len(kept) < len(held):
                page.obj.Annots = Array(kept)


def _cut_off(document: pikepdf.Pdf) -> None:
    """Streams and forms whose content is in another file are left empty."""
    for thing in document.objects:
        if isinstance(thing, Stream) and "/F" in thing:
            thing.write(b"")
            del thing["/F"]
        if isinstance(thing, Stream) and "/Ref" in thing:
            del thing["/Ref"]


def _is_carrier(one: object) -> bool:
    return isinstance(one, Dictionary) and str(one.get("/Subtype")) in _CARRIERS


def _web_actions(document: pikepdf.Pdf) -> list[tuple[pikepdf.Object, pikepdf.Object]]:
    """Link comments and bookmarks whose action opens a web page, with just that."""
    kept: list[tuple[pikepdf.Object, pikepdf.Object]] = []
    with reading():
        for thing in dictionaries(document):
            action = thing.get("/A")
            if isinstance(action, Dictionary) and action.get("/S") == Name.URI:
                address = str(action.get("/URI", ""))
                if address.lower().startswith(("http:", "https:", "mailto:")):
                    plain = Dictionary(S=Name.URI, URI=pikepdf.String(address))
                    kept.append((thing, plain))
    return kept
