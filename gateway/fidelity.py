"""How true a conversion's result is to its source: an honest word for each converter.

A tier is what a careful person would expect of a usual file; the warnings of a conversion say what
one file lost. A test compares this table with the registry, so a new converter must be judged.
"""

from collections.abc import Mapping
from typing import Literal

Tier = Literal["exact", "faithful", "approximate", "content"]

MEANING: Mapping[Tier, str] = {
    "exact": "Nothing is lost that the target can hold; what is described is read, not guessed.",
    "faithful": "Looks or sounds the same to a person; codecs may lose what nobody notices.",
    "approximate": "Mostly right, made anew: layout, fonts or positions differ here and there.",
    "content": "Text, values and structure only; how it looked is not kept.",
}

FIDELITY: Mapping[str, Tier] = {
    **dict.fromkeys(
        (
            *("image.metadata", "image.optimise", "image.qr", "image.barcode", "photo.restore"),
            *("photo.metadata", "photo.optimise", "pdf.merge", "pdf.pages", "pdf.delete"),
            *("pdf.split", "pdf.rotate", "pdf.crop", "pdf.resize", "pdf.nup", "pdf.booklet"),
            *("pdf.remove_blank", "pdf.watermark", "pdf.number", "pdf.bates", "pdf.overlay"),
            *("pdf.linearise", "pdf.protect", "pdf.unlock", "pdf.metadata", "pdf.set_metadata"),
            *("pdf.strip_metadata", "pdf.attach", "pdf.attachments", "pdf.extract_attachments"),
            *("pdf.bookmarks", "pdf.set_bookmarks", "pdf.fields", "pdf.fill", "pdf.sanitise"),
            *("pdf.extract_images", "pdf.inspect", "signing.sign", "signing.signatures"),
            *("data.convert", "archive.repack", "archive.list", "archive.pack"),
            *("archive.extract", "media.info", "document.compare", "document.metadata"),
            *("misc.font-info", "misc.calendar", "misc.calendar-from-data", "misc.contacts"),
            *("misc.contacts-from-data", "misc.places-from-table", "misc.subtitles-from-json"),
            "solid.measure",
        ),
        "exact",
    ),
    **dict.fromkeys(
        (
            *("image.convert", "image.watermark", "image.pdf", "photo.convert", "photo.encode"),
            *("photo.pdf", "vector.convert", "vector.pdf", "pdf.flatten", "pdf.redact"),
            *("pdf.compress", "pdf.pdfa", "pdf.render", "pdf.images", "ocr.searchable"),
            *("document.compile", "media.audio", "media.video", "media.animation", "media.frame"),
            *("media.waveform", "misc.subtitles", "misc.places", "solid.drawing"),
            *("misc.font", "solid.mesh", "browser.print", "browser.capture"),
        ),
        "faithful",
    ),
    **dict.fromkeys(
        (
            *("image.blurhash", "photo.develop", "photo.sheets", "pdf.repair", "pdf.editable"),
            *("pdf.tables", "ocr.recognise", "office.text.pdf", "office.sheet.pdf"),
            *("office.slides.pdf", "office.drawing.pdf", "office.locked.pdf", "office.page.pdf"),
            *("office.image", "office.text.convert", "office.page.convert"),
            *("office.sheet.convert", "office.slides.convert", "office.drawing.convert"),
        ),
        "approximate",
    ),
    **dict.fromkeys(
        (
            *("pdf.text", "data.sheets", "data.values", "office.cells.convert"),
            *("document.restructure", "document.typeset", "document.mail", "document.mail-pages"),
        ),
        "content",
    ),
}
