"""Find streams that a document holds more than once, and let all point at the first.

Documents that were merged carry the same fonts, profiles and logos many times. Two streams are the
same when their packed bytes and their dictionaries are; those dictionaries may point at streams
that are the same, so the search goes on until it finds nothing.
"""

import hashlib
from typing import Any

import pikepdf
from pikepdf import Array, Dictionary, Name, Stream

from engine.converters.pdf.files import reading

Ids = tuple[int, int]

# Streams whose identity means something, or that others may still change.
_SINGULAR = frozenset({"/Metadata", "/ObjStm", "/XRef", "/EmbeddedFile"})
# A mask, a picture that has it, a form that has that: deeper chains are rare.
_ROUNDS_MAX = 4
_DEPTH_MAX = 50


def join_duplicates(document: pikepdf.Pdf) -> int:
    """Returns how many streams are no longer needed."""
    joined = 0
    with reading():
        for _ in range(_ROUNDS_MAX):
            instead = _duplicates(document)
            if not instead:
                break
            joined += len(instead)
            for thing in document.objects:
                if isinstance(thing, (Dictionary, Array, Stream)):
                    _redirect(thing, instead, 0)
    return joined


def _duplicates(document: pikepdf.Pdf) -> dict[Ids, Stream]:
    """The first of its kind, by the numbers of each that is like it."""
    first: dict[bytes, Stream] = {}
    instead: dict[Ids, Stream] = {}
    for thing in document.objects:
        if not isinstance(thing, Stream) or str(thing.get(Name.Type)) in _SINGULAR:
            continue
        if "/StructParent" in thing or "/StructParents" in thing:
            continue
        key = hashlib.sha256(thing.read_raw_bytes())
        for name, value in sorted(thing.items()):
            if name != "/Length":
                key.update(name.encode() + b" " + _written(value) + b"\n")
        kept = first.setdefault(key.digest(), thing)
        if kept.objgen != thing.objgen:
            instead[thing.objgen] = kept
    return instead


def _written(value: Any) -> bytes:
    """A value as it stands in the file; a reference as its number."""
    if isinstance(value, pikepdf.Object):
        return value.unparse()
    return repr(value).encode()


def _redirect(holder: Any, instead: dict[Ids, Stream], depth: int) -> None:
    if depth > _DEPTH_MAX:
        return
    entries = list(holder.items()) if not isinstance(holder, Array) else list(enumerate(holder))
    for key, value in entries:
        if not isinstance(value, (Dictionary, Array, Stream)):
            continue
        if value.is_indirect:
            if value.objgen in instead:
                holder[key] = instead[value.objgen]
        else:
            _redirect(value, instead, depth + 1)
