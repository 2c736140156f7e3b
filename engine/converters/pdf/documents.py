"""Operations on a whole document: linearise, protect, unlock (by pikepdf, over qpdf)."""

import os

from pikepdf import Encryption, Permissions

from engine.converter import Result, Work
from engine.converters.pdf.catalogue_documents import ProtectOptions
from engine.converters.pdf.files import (
    losses,
    open_document,
    read_pages,
    save,
)


def linearise(work: Work) -> Result:
    """Order the objects so that the first page comes first (ISO 32000-1, annex F)."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        written = save(document, work, linearize=True)
        return Result(files=(written,), warnings=losses(document))


def protect(work: Work) -> Result:
    """Encrypt with AES-256 and state permissions; readers enforce those, mathematics does not."""
    options: ProtectOptions = work.options
    with open_document(work, 0, options.password) as document:
        read_pages(document, work.bounds)
        encryption = Encryption(
            user=options.user_password,
            # With an empty one anybody could lift the restrictions.
            owner=options.owner_password or os.urandom(24).hex(),
            R=6,
            allow=_permissions(options.allow),
        )
        return Result(files=(save(document, work, encryption=encryption),))


def _permissions(allow: str) -> Permissions:
    named = set(allow.split(","))

    def may(name: str) -> bool:
        return name in named or allow == "all"

    return Permissions(
        accessibility=True,  # ISO 32000-2 asks to allow it always
        extract=may("copy"),
        modify_annotation=may("annotate"),
        modify_assembly=may("assemble"),
        modify_form=may("forms"),
        modify_other=may("modify"),
        print_lowres=may("print"),
        print_highres=may("print"),
    )


def unlock(work: Work) -> Result:
    """Save without encryption."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        warnings = () if document.is_encrypted else ("the document was not encrypted",)
        return Result(files=(save(document, work),), warnings=warnings)
