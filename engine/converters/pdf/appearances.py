"""What form fields look like, drawn where a document left that to its reader."""

import pikepdf
from pikepdf import Name
from pikepdf.form import ExtendedAppearanceStreamGenerator

from engine.converters.pdf.files import reading


def draw_fields(document: pikepdf.Pdf) -> None:
    """Give every text or choice field an appearance that lacks one, so that flattening keeps it."""
    with reading():
        form = document.acroform
        if not form.exists:
            return
        pen = ExtendedAppearanceStreamGenerator(document, form)
        redraw = form.needs_appearances
        for field in form.fields:
            drawn = all(Name.AP in one.obj for one in form.get_annotations_for_field(field))
            if drawn and not redraw:
                continue
            if field.is_text:
                pen.generate_text(field)
            elif field.is_choice:
                pen.generate_choice(field)
        if "/NeedAppearances" in document.Root.AcroForm:
            del document.Root.AcroForm.NeedAppearances


def flatten(document: pikepdf.Pdf, which: str = "all") -> None:
    """Make comments and filled fields part of their pages (`which`: as qpdf's flattening has it).

    Buttons without a drawing and links show nothing, so nothing of them stays.
    """
    draw_fields(document)
    with reading():
        document.flatten_annotations(which)
