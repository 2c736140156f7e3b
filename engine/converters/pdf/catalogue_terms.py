"""What the declarations of the pdf family share: options that several operations take."""

from typing import Any

import msgspec

from engine.converter import Converter
from engine.converters.paged import PASSWORD_MAX, DocumentOptions, Pages, Password

__all__ = ["FILES_MAX", "PASSWORD_MAX", "DocumentOptions", "Pages", "Password", "declare"]

# Uploads in one request. They are in memory together, so their sum is what bounds them first.
FILES_MAX = 100


def declare(
    operation: str,
    title: str,
    options: type[msgspec.Struct],
    *,
    module: str,
    **more: Any,
) -> Converter:
    """A converter pdf.<operation>, PDF to PDF where nothing else is said."""
    return Converter(
        **{
            "name": f"pdf.{operation}",
            "family": "pdf",
            "title": title,
            "sources": ("pdf",),
            "targets": ("pdf",),
            "options": options,
            "run": f"engine.converters.pdf.{module}:{operation}",
            **more,
        }
    )
