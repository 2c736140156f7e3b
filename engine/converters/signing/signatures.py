"""signing.signatures: who signed a document, when, and whether its bytes are unchanged since."""

import msgspec

from engine.converter import Result, Work
from engine.converters.qpdf import open_document, read_pages
from engine.converters.signing.fields import find_signatures, judge

_UNTRUSTED = "whether the certificates are to be trusted was not judged"


def signatures(work: Work) -> Result:
    """A list, the latest last; empty for a document that nobody signed."""
    with open_document(work, 0, work.options.password) as document:
        read_pages(document, work.bounds)
        told = [judge(one, work.inputs[0]) for one in find_signatures(document)]
    warnings = (_UNTRUSTED,) if told else ()
    return Result(files=(msgspec.json.format(msgspec.json.encode(told)),), warnings=warnings)
