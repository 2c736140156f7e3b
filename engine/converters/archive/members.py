"""Members of archives, and the three things that must be true of each before it is passed on.

Its name stays below where it is unpacked, it is a file or a folder and nothing else, and all of
them together are not more than the limits, counted while they are unpacked.
"""

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase

import msgspec

from engine.errors import PasswordRequired, SourceTooComplex
from engine.job import Buffer
from sandbox.limits import MIB

MEMBERS_MAX = 20_000
UNPACKED_MAX = 1024 * MIB
# Text packs ten to one, logs fifty to one; what goes beyond is zeros, or a bomb.
_RATIO_MAX = 250
_RATIO_FROM = 64 * MIB
# File systems' limits on one part of a path, and on all of it (NAME_MAX, PATH_MAX).
_PART_MAX, _PATH_MAX = 255, 4096
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_DRIVE = re.compile(r"^[A-Za-z]:")


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a folder whose content is None. `modified` in seconds since 1970, UTC."""

    name: str
    content: Buffer | None
    modified: int | None = None
    executable: bool = False

    @property
    def size(self) -> int:
        """Bytes of a file."""
        return 0 if self.content is None else len(self.content)


class Budget:
    """What may still be unpacked."""

    def __init__(self, packed: int) -> None:
        self._packed = packed
        self._unpacked = 0
        self._members = 0

    def take(self, size: int) -> None:
        """Count bytes. Raises SourceTooComplex."""
        self._unpacked += size
        if self._unpacked > UNPACKED_MAX:
            raise SourceTooComplex(
                f"the archive unpacks to more than {UNPACKED_MAX // MIB} MiB, the limit"
            )
        if self._unpacked > _RATIO_FROM and self._unpacked > self._packed * _RATIO_MAX:
            raise SourceTooComplex(
                f"the archive unpacks to more than {_RATIO_MAX} times its size, the limit: it looks"
                " like a decompression bomb"
            )

    def count(self) -> None:
        """Count a member. Raises SourceTooComplex."""
        self._members += 1
        if self._members > MEMBERS_MAX:
            raise SourceTooComplex(f"the archive has more than {MEMBERS_MAX} members, the limit")


class Lost:
    """What was left out or changed, by reason."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def note(self, reason: str) -> None:
        """Count one member."""
        self._counts[reason] = self._counts.get(reason, 0) + 1

    def warnings(self) -> tuple[str, ...]:
        """One sentence a reason, with how many members it is about."""
        return tuple(f"{reason}: {count}" for reason, count in self._counts.items())


def locked() -> PasswordRequired:
    """What is said of an encrypted archive without its password."""
    return PasswordRequired(
        "the archive is encrypted and this password does not open it;"
        " pass its password in the option password"
    )


def is_special(mode: int, lost: Lost) -> bool:
    """Whether a Unix mode is that of a link, a device, a pipe or a socket."""
    if mode & 0o170000 in {0, 0o100000, 0o040000}:
        return False
    lost.note("links and devices, left out")
    return True


def safe_name(name: str, lost: Lost) -> str | None:
    """The name as it may be unpacked anywhere, or None for a member that is left out."""
    plain = name.replace("\\", "/")
    if plain.startswith("/") or _DRIVE.match(plain):
        lost.note("members with an absolute path, made relative")
        plain = _DRIVE.sub("", plain).lstrip("/")
    parts = [part for part in plain.split("/") if part not in {"", "."}]
    if ".." in parts:
        lost.note("members that would be unpacked outside of their folder, left out")
        return None
    if not parts:
        return None
    clean = [_FORBIDDEN.sub("_", part) for part in parts]
    if clean != parts:
        lost.note("members whose names hold control characters, replaced")
    if max(len(part.encode()) for part in clean) > _PART_MAX or len(plain) > _PATH_MAX:
        lost.note("members with names longer than file systems allow, left out")
        return None
    return "/".join(clean)


def apart(members: Iterator[Member], lost: Lost) -> Iterator[Member]:
    """The members with names that no two share, whether or not case counts."""
    files: set[str] = set()
    folders: set[str] = set()
    for member in members:
        name, low = member.name, member.name.lower()
        if member.content is None:
            if low not in folders:
                folders.add(low)
                yield member
            continue
        number = 1
        while low in files or low in folders:
            number += 1
            stem, dot, extension = member.name.rpartition(".")
            name = (
                f"{stem} ({number}){dot}{extension}"
                if dot and "/" not in extension and stem
                else f"{member.name} ({number})"
            )
            low = name.lower()
        files.add(low)
        if name != member.name:
            lost.note("members with the same name as another, numbered")
        yield msgspec.structs.replace(member, name=name)


def chosen(name: str, include: str, exclude: str) -> bool:
    """Whether the patterns want this member."""
    wanted = _patterns(include)
    if wanted and not any(fnmatchcase(name, pattern) for pattern in wanted):
        return False
    return not any(fnmatchcase(name, pattern) for pattern in _patterns(exclude))


def _patterns(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]
