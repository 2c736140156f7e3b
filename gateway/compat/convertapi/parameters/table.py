"""All tables put together: which counterpart serves an address, and whether it exists here.

A counterpart whose converters are not installed does not exist: `/info` does not list it, and its
address answers as that of a converter that nobody has.
"""

import functools

from engine import errors, formats, registry
from gateway.compat.convertapi.parameters import (
    absent,
    archives,
    content,
    documents,
    drawings,
    images,
    marks,
    office,
    pages,
    rendering,
    revisions,
    texts,
    web,
)
from gateway.compat.convertapi.parameters.terms import Counterpart, Holds, Parameter

COUNTERPARTS: tuple[Counterpart, ...] = (
    *images.COUNTERPARTS,
    *pages.COUNTERPARTS,
    *documents.COUNTERPARTS,
    *marks.COUNTERPARTS,
    *rendering.COUNTERPARTS,
    *content.COUNTERPARTS,
    *office.COUNTERPARTS,
    *web.COUNTERPARTS,
    *texts.COUNTERPARTS,
    *drawings.COUNTERPARTS,
    *archives.COUNTERPARTS,
    *revisions.COUNTERPARTS,
)
# Addresses leave the source open with these; the file decides.
WILD = frozenset({"any", "*", "file"})
# One format, several names: ConvertAPI's own comes first in its addresses.
_ALIASES = {
    "jpeg": "jpg",
    "jpe": "jpg",
    "tif": "tiff",
    "htm": "html",
    "markdown": "md",
    "mht": "mhtml",
    "text": "txt",
    "url": "web",
}
# ConvertAPI's names of formats that ours do not know; None: the bytes say it.
_OURS = {
    "potx": "pptx",
    "images": "auto",
    "office": "auto",
    "file": "any",
    "web": "html",
}
_BY_PAIR = {
    (source, one.target): one
    for one in reversed(COUNTERPARTS)
    for source in (*one.also, *one.sources)
} | {(source, one.target): one for one in COUNTERPARTS for source in one.sources}


def find(source: str, target: str, seen: str | None = None) -> Counterpart:
    """The counterpart of an address. Raises ConversionUnsupported with the reason."""
    wanted = canonical(target)
    for name in _names(canonical(source), seen):
        found = _served(name, wanted)
        if found is not None:
            return found
    named = canonical(source)
    why = absent.REASONS.get((named, wanted), "GET /info lists what there is")
    raise errors.ConversionUnsupported(f"{named[:32]} to {wanted[:32]} is not served: {why}")


def canonical(name: str) -> str:
    """A format's name as the tables have it."""
    lower = name.lower().removeprefix(".")
    return _ALIASES.get(lower, lower)


def source_of(counterpart: Counterpart, source: str, seen: str | None = None) -> str:
    """Our name of the format that the first step is told; `auto` looks at the bytes."""
    for name in _names(canonical(source), seen):
        if name in (*counterpart.sources, *counterpart.also):
            return ours(name, counterpart)
    raise errors.ConversionUnsupported(f"{source[:32]} is not one of {counterpart.sources}")


def ours(name: str, counterpart: Counterpart) -> str:
    """Our name of a source of ConvertAPI's."""
    if name == "file":
        return "any" if counterpart.target == "zip" else "auto"
    return _OURS.get(name) or formats.find(name).name


def _names(source: str, seen: str | None) -> tuple[str, ...]:
    """What a source can mean: what the file is, where that is open and known, else any file."""
    if source not in WILD:
        return (source,)
    return (*((canonical(seen), *_extensions(seen)) if seen else ()), "file")


def _extensions(seen: str) -> tuple[str, ...]:
    try:
        return formats.find(seen).extensions
    except errors.FormatUnknown:
        return ()


@functools.cache
def _served(source: str, target: str) -> Counterpart | None:
    """Asked of every request; what is installed does not change while the service runs."""
    found = _BY_PAIR.get((source, target))
    return found if found is not None and is_served(found, source) else None


def is_served(counterpart: Counterpart, source: str) -> bool:
    """Whether every one of its conversions is declared and installed here."""
    return _serves(counterpart, source, registry.CONVERTERS)


def is_declared(counterpart: Counterpart, source: str) -> bool:
    """The same where everything is installed: for the page, which is of all machines."""
    declared = tuple(one for _, converters in registry.DECLARED for one in converters)
    return _serves(counterpart, source, declared)


def _serves(
    counterpart: Counterpart, source: str, converters: tuple[registry.Converter, ...]
) -> bool:
    name = ours(source, counterpart)
    for step in counterpart.steps:
        target = formats.find(step.target).name
        if not any(
            (name in one.sources or name == "auto")
            and target in one.targets
            and step.operation in {None, one.operation}
            for one in converters
        ):
            return False
        name = target
    return True


def pairs() -> list[tuple[str, Counterpart]]:
    """Each source of each counterpart that is served here, as ConvertAPI counts them."""
    return [
        (source, one) for one in COUNTERPARTS for source in one.sources if is_served(one, source)
    ]


def file_names(counterpart: Counterpart) -> tuple[str, ...]:
    """Its parameters that hold files, in lower case and in the order of the inputs."""
    named = [
        one.name.lower()
        for one in counterpart.parameters
        if isinstance(one.effect, Holds) and not one.effect.why
    ]
    # Clients send File where ConvertAPI says Files, and the other way round.
    return tuple(dict.fromkeys([named[0], "file", "files", *named[1:]]))


def parameters_of(counterpart: Counterpart) -> dict[str, Parameter]:
    """Its parameters by name in lower case."""
    return {one.name.lower(): one for one in counterpart.parameters}
