"""What a request's head asks for: formats, options, and the words that change what is done."""

from collections.abc import Mapping

import msgspec
from aiohttp import web

from engine.errors import OptionInvalid
from gateway import idempotency, receipt_desk
from gateway.connections.places import Place, place_of
from gateway.errors import RequestMalformed
from ledger.files.limits import FileLimits

# Of the query of a conversion; a test sees to it that no converter has options of these names.
STORE, LIFETIME, FILE, URL = "store", "lifetime_s", "file", "url"
SOURCE_FROM, DELIVER_TO = "source_from", "deliver_to"
# The ledger counts in 63 bits; 18 digits are below that, and nobody has more entries.
DIGITS_MAX = 18


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One conversion as the address and the headers want it."""

    source: str
    target: str
    options: Mapping[str, str]
    # The client's own name for this request.
    key: str | None
    receipt: bool
    # Where the result is to be stored: for how many seconds.
    stored_s: float | None = None
    # The handles of stored files that are converted, in place of a body.
    files: tuple[str, ...] = ()
    # Where the files are fetched that are converted, in place of a body.
    urls: tuple[str, ...] = ()
    # The same, in storage of the customer's own; and where there the result goes.
    places: tuple[Place, ...] = ()
    deliver_to: Place | None = None

    @property
    def remote(self) -> "tuple[str | Place, ...]":
        """The files that this service asks for, in their order."""
        return self.urls or self.places

    @property
    def digests(self) -> bool:
        """Whether the uploads' digests are needed; hashing costs, so only then."""
        return self.receipt or self.key is not None

    @property
    def parameters(self) -> Mapping[str, str]:
        """What else decides the answer, besides formats and files."""
        stored = {} if self.stored_s is None else {STORE: "true"}
        delivered = {} if self.deliver_to is None else {DELIVER_TO: str(self.deliver_to)}
        return {**self.options, **stored, **delivered} if stored or delivered else self.options


def asked_of(request: web.Request, limits: FileLimits | None = None) -> Asked:
    """Read it; with limits, a result may be stored. Raises RequestMalformed, OptionInvalid."""
    options = options_of(request, apart=(FILE, URL, SOURCE_FROM) if limits else ())
    stored_s = stored_s_of(options, limits) if limits else None
    target = options.pop(DELIVER_TO, None) if limits else None
    return Asked(
        source=request.match_info["source"],
        target=request.match_info["target"],
        options=options,
        key=idempotency.checked_key(request.headers.get(idempotency.HEADER)),
        receipt=receipt_desk.wanted(request),
        stored_s=stored_s,
        files=tuple(request.query.getall(FILE, ())) if limits else (),
        urls=tuple(request.query.getall(URL, ())) if limits else (),
        places=places_of(request) if limits else (),
        deliver_to=None if target is None else place_of(DELIVER_TO, target, folder=True),
    )


def places_of(request: web.Request) -> tuple[Place, ...]:
    """Files in storage of the customer's own. Raises RequestMalformed."""
    return tuple(place_of(SOURCE_FROM, one) for one in request.query.getall(SOURCE_FROM, ()))


def options_of(request: web.Request, *, apart: str | tuple[str, ...] = ()) -> dict[str, str]:
    """The query as options. A name that comes twice is refused: which one counts is a guess.

    What is called `apart` is left out. Raises OptionInvalid.
    """
    left_out = (apart,) if isinstance(apart, str) else apart
    given = [(name, value) for name, value in request.query.items() if name not in left_out]
    options = dict(given)
    if len(options) < len(given):
        twice = next(name for name in options if len(request.query.getall(name)) > 1)
        raise OptionInvalid(f"{twice[:40]}: this option is given more than once")
    return options


def lifetime_of(text: str | None, limits: FileLimits) -> float:
    """For how many seconds a file is to be stored. Raises OptionInvalid."""
    if text is None:
        return limits.lifetime_s
    whole = text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX
    if not whole or not 1 <= int(text) <= limits.lifetime_s_max:
        raise OptionInvalid(
            f"{LIFETIME}: a whole number of seconds from 1 to {limits.lifetime_s_max:.0f}"
        )
    return float(text)


def whole_of(request: web.Request, name: str, default: int) -> int:
    """A query parameter that is a whole number. Raises RequestMalformed."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdigit() or len(text) > DIGITS_MAX:
        raise RequestMalformed(f"{name} is a whole number, as a page before gave it")
    return int(text)


def stored_s_of(options: dict[str, str], limits: FileLimits) -> float | None:
    """Take what is said of storing out of the options. Raises OptionInvalid."""
    store, lifetime = options.pop(STORE, "false"), options.pop(LIFETIME, None)
    if store not in {"true", "false"}:
        raise OptionInvalid(f"{STORE}: it is true or false")
    if store == "true":
        return lifetime_of(lifetime, limits)
    if lifetime is not None:
        raise OptionInvalid(f"{LIFETIME}: it goes with {STORE}=true")
    return None
