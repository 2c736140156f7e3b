"""What a batch answers: a manifest of every file, and the results, as an archive or as parts.

Pure. The results are not copied: both forms are lists of buffers, and theirs are among them.
"""

import secrets
from collections.abc import Sequence
from typing import Literal

import msgspec
from aiohttp import hdrs

from engine.job import Buffer, Output
from gateway import downloads
from gateway.problems import Problem
from gateway.storing import StoredAnswer

NAME = "manifest.json"
MULTIPART = "multipart/mixed"


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of one file. `number` counts the files of the request from 1."""

    number: int
    status: Literal["converted", "failed"]
    # Names the conversion in the account's entries.
    conversion_id: str
    credits: int = 0
    # Paid for by an earlier request with the same idempotency key.
    repeat: bool = False
    # The results by their names in the answer; a file can have several.
    files: tuple[str, ...] = ()
    bytes: int = 0
    # Where results are stored in place of being in the answer: one for each of `files`.
    stored: tuple[StoredAnswer, ...] = ()
    warnings: tuple[str, ...] = ()
    problem: Problem | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What became of each file: the first member or part of the answer, or all of it."""

    request_id: str
    isolation: str
    converted: int
    failed: int
    credits: int
    items: tuple[Item, ...]


def names(number: int, count: int, claimed: str | None, output: Output) -> tuple[str, ...]:
    """Names for the results of one file of `count`; they sort as the files came."""
    base = f"{number:0{len(str(count))}}-{downloads.stem(claimed)}"
    folder = f"{base}/" if output.names else ""
    return tuple(f"{folder}{name}" for name, _ in downloads.named(output, base))


def archive(manifest: Manifest, results: Sequence[tuple[str, Buffer]]) -> list[Buffer]:
    """A ZIP. Takes a while where the results are large: each has a checksum."""
    return downloads.zipped([(NAME, msgspec.json.encode(manifest)), *results])


def parts(
    manifest: Manifest, results: Sequence[tuple[str, Buffer]], media_type: str
) -> tuple[str, list[Buffer]]:
    """`multipart/mixed` (RFC 2046): its Content-Type, and its pieces."""
    boundary = secrets.token_hex(16)
    pieces: list[Buffer] = []
    first = (NAME, "application/json", msgspec.json.encode(manifest))
    for name, kind, content in (first, *((name, media_type, file) for name, file in results)):
        head = (
            f"--{boundary}\r\n{hdrs.CONTENT_TYPE}: {kind}\r\n"
            f"{hdrs.CONTENT_DISPOSITION}: {downloads.disposition(name)}\r\n"
            f"{hdrs.CONTENT_LENGTH}: {len(content)}\r\n\r\n"
        )
        pieces += (head.encode(), content, b"\r\n")
    pieces.append(f"--{boundary}--\r\n".encode())
    return f"{MULTIPART}; boundary={boundary}", pieces


def wants_parts(accept: str) -> bool:
    """Whether an Accept header names `multipart/mixed`, and an archive not before it."""
    kinds = [one.partition(";")[0].strip().lower() for one in accept.split(",")]
    known = [one for one in kinds if one in {MULTIPART, downloads.ZIP_MEDIA_TYPE}]
    return known[:1] == [MULTIPART]
