"""Use every packer and unpacker once, on files small enough to cost nothing."""

from itertools import product
from typing import get_args

from engine.converter import Work
from engine.converters.archive.catalogue import (
    CONVERTERS,
    ExtractOptions,
    ListOptions,
    NamesEncoding,
    PackOptions,
    RepackOptions,
)
from engine.converters.archive.files import extract, pack_files
from engine.converters.archive.members import Budget, Lost, Member
from engine.converters.archive.pack import pack
from engine.converters.archive.repack import list_members, repack
from engine.converters.archive.unpack import DAMAGE
from engine.converters.archive.zip_methods import METHODS, unpacked
from engine.converters.capped import CappedBuffer
from engine.errors import EngineError
from engine.formats import ANY
from engine.job import Bounds, Buffer
from engine.rehearsal import Rehearsal

_SECRET = "warm"  # noqa: S105  # protects nothing
_MEMBERS = (
    Member(name="folder", content=None, modified=0),
    Member(name="folder/wörm.txt", content=b"warm" * 9, modified=1_700_000_000, executable=True),
)
_AR = b"!<arch>\nname/           0           0     0     644     4         `\nwarm"


def warm() -> list[Rehearsal]:
    """Repack and list each format, whole, cut off and encrypted."""
    repacking = CONVERTERS[0]
    samples = {target: _packed(target, RepackOptions()) for target in repacking.targets}
    samples |= {"ar": _AR, "jar": samples["zip"], "apk": samples["zip"]}
    for source in repacking.sources:
        for upload in (samples[source], samples[source][: len(samples[source]) // 2]):
            _attempt(upload, source, "zip", RepackOptions(include="*.txt"))
            _attempt(upload, source, "json", ListOptions())
    locked = {kind: _packed(kind, RepackOptions(password_out=_SECRET)) for kind in ("7z", "zip")}
    for kind, password in product(locked, (_SECRET, "", "x")):
        _attempt(locked[kind], kind, "zip", RepackOptions(password=password))
    # It reads as repacking does, and 7z takes a twentieth of a second to make a key of a password.
    _attempt(locked["zip"], "zip", ANY, ExtractOptions(password=_SECRET))
    _attempt(samples["zip"], ANY, "zip", PackOptions(password_out=_SECRET))
    for method in METHODS:
        _try_method(method)
    for encoding in get_args(NamesEncoding):
        "x".encode(encoding if encoding != "auto" else "ascii")
    return [Rehearsal("archive.repack", "zip", "tgz", samples["zip"])]


def _packed(target: str, options: RepackOptions) -> bytes:
    buffer = CappedBuffer(Bounds().output_bytes_max)
    members = _MEMBERS if target in {"zip", "7z"} or target.startswith("t") else _MEMBERS[1:]
    pack(iter(members), target, buffer, options, Lost())
    return bytes(buffer.take())


def _attempt(upload: Buffer, source: str, target: str, options: object) -> None:
    work = Work(
        sources=(source,), target=target, inputs=(upload,), options=options, bounds=Bounds()
    )
    run = {"json": list_members, ANY: extract}.get(target, repack)
    try:
        (pack_files if source == ANY else run)(work)
    except EngineError:
        return


def _try_method(method: int) -> None:
    """Unpack what is damaged: that loads a codec as well."""
    try:
        unpacked(memoryview(bytes(32)), method, 1, Budget(32))
    except (EngineError, *DAMAGE):
        return
