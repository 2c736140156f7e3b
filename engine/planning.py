"""Planning: everything about a conversion that can be checked without running it. Pure."""

import functools
from collections.abc import Mapping, Sequence

from engine import errors, formats, likeness, registry
from engine.formats import ANY
from engine.job import Buffer, Job
from engine.sniff import sniff

# Of a claimed name: no file system takes longer ones, and a thousand of them fit into one header.
NAME_BYTES_MAX = 255


def plan(
    source: str,
    target: str,
    options: Mapping[str, str],
    uploads: Sequence[Buffer],
    names: Sequence[str | None] = (),
) -> Job:
    """Check everything that can be checked without running, and name the converter.

    `source` may be `auto`: the first bytes decide. `names` are what the client called the uploads,
    where it did. Raises the refusals of `engine.errors`.
    """
    if not uploads:
        raise errors.SourceEmpty("no file came: the request has no body")
    for upload in uploads:
        check_any(upload)
    wanted = formats.find(target).name
    first = _first(source, uploads[0], wanted)
    options = dict(options)
    operation = options.pop("operation", None)
    converter = registry.converter_for(first, wanted, operation, inputs=len(uploads))
    if len(uploads) < converter.inputs_min:
        raise errors.SourceCountInvalid(
            f"{converter.name} takes at least {converter.inputs_min} files and {len(uploads)} came"
        )
    claimed = "auto" if converter.companions else source
    unknown = ANY if converter.takes(ANY) else None
    sources = (first, *(sniffed(claimed, upload, unknown) for upload in uploads[1:]))
    for other in sources[1:]:
        if other not in converter.companions and (
            converter.companions or not converter.takes(other)
        ):
            raise errors.ConversionUnsupported(
                f"{converter.name} does not take {other} files"
                f"{' beside the first' if converter.companions else ''}; it takes "
                f"{', '.join(converter.companions or converter.sources)}"
            )
    job = Job(
        converter=converter.name,
        family=converter.family,
        sources=sources,
        target=wanted,
        options=registry.parse_options(converter, options, target=wanted),
        inputs=tuple(uploads),
        names=_cut(names) if converter.named else (),
    )
    check_size(job, registry.family_of(converter).limits.input_bytes_max)
    return job


def check(
    source: str, target: str, options: Mapping[str, str], *, several: bool
) -> registry.Converter | None:
    """Refuse what formats and options alone give away; the converter, where they name one.

    `several`: there may be more than one file, which can decide between converters. Raises
    FormatUnknown, ConversionUnsupported, OptionInvalid.
    """
    wanted = formats.find(target).name
    if source.lower() == "auto":
        return None
    options = dict(options)
    operation = options.pop("operation", None)
    try:
        converter = registry.converter_for(formats.find(source).name, wanted, operation)
    except errors.OptionInvalid:
        if several and operation is None:
            return None
        raise
    registry.parse_options(converter, options, target=wanted)
    return converter


def check_size(job: Job, input_bytes_max: int) -> None:
    """Raise SourceTooLarge where the files together are beyond the family's limit."""
    if job.input_bytes > input_bytes_max:
        raise errors.SourceTooLarge(
            f"the upload has {job.input_bytes} bytes; {job.family} conversions take at most "
            f"{input_bytes_max}"
        )


def check_any(upload: Buffer) -> None:
    """Raise SourceEmpty for a file of no bytes."""
    if not len(upload):
        raise errors.SourceEmpty("the file is empty: it has zero bytes")


def sniffed(claimed: str, upload: Buffer, unknown: str | None = None) -> str:
    """The upload's format by name: found for `auto`, otherwise compared with the claim.

    What is not recognised is `unknown`, where that is a format. Raises SourceUnrecognised,
    SourceMismatch, FormatUnknown.
    """
    seen = sniff(upload)
    if claimed.lower() == "auto":
        seen = seen or unknown
        if seen is None:
            raise errors.SourceUnrecognised(
                "the file looks like nothing known here; name its format instead of auto"
            )
        return seen
    source = formats.find(claimed)
    if likeness.fits(source.name, seen):
        return source.name
    looks = f"it looks like {formats.title(seen)}" if seen else "it looks like nothing known here"
    raise errors.SourceMismatch(f"the file is not what it claims to be ({source.title}): {looks}")


def _first(claimed: str, upload: Buffer, target: str) -> str:
    """The format of the first file, which decides about the converter."""
    unknown = ANY if _is_made_of_any(target) else None
    found = sniffed(claimed, upload, unknown)
    return _served(found, target) if claimed.lower() == "auto" else found


@functools.cache
def _is_made_of_any(target: str) -> bool:
    """Whether something becomes this format (a format's name) whatever it is."""
    return any(one.takes(ANY) for one in registry.CONVERTERS if target in one.targets)


def _cut(names: Sequence[str | None]) -> tuple[str, ...]:
    return tuple(
        (name or "").encode(errors="replace")[:NAME_BYTES_MAX].decode(errors="ignore")
        for name in names
    )


def _served(seen: str, target: str) -> str:
    """The format, or the first one it is a kind of that becomes the target: a notebook is JSON."""
    for name in likeness.known(seen):
        if any(name in one.sources and target in one.targets for one in registry.CONVERTERS):
            return name
    return seen
