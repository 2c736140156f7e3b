"""What a request's head asks for: formats, options, and the headers that change what is done."""

from collections.abc import Mapping

import msgspec
from aiohttp import web

from engine.errors import OptionInvalid
from gateway import idempotency, receipt_desk


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion as the address and the headers want it."""

    source: str
    target: str
    options: Mapping[str, str]
    # The client's own name for this request.
    key: str | None
    receipt: bool

    @property
    def digests(self) -> bool:
        """Whether the uploads' digests are needed; hashing costs, so only then."""
        return self.receipt or self.key is not None


def asked_of(request: web.Request) -> Asked:
    """Read it. Raises RequestMalformed, OptionInvalid."""
    return Asked(
        source=request.match_info["source"],
        target=request.match_info["target"],
        options=options_of(request),
        key=idempotency.checked_key(request.headers.get(idempotency.HEADER)),
        receipt=receipt_desk.wanted(request),
    )


def options_of(request: web.Request) -> dict[str, str]:
    """The query as options. A name that comes twice is refused: which one counts is a guess.

    Raises OptionInvalid.
    """
    options = dict(request.query)
    if len(options) < len(request.query):
        twice = next(name for name in options if len(request.query.getall(name)) > 1)
        raise OptionInvalid(f"{twice[:40]}: this option is given more than once")
    return options
