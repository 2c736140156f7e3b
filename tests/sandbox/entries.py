"""Entries that test workers run inside the jail."""

from collections.abc import Sequence


def warm() -> None:
    pass


def touch() -> None:
    pass


def handle(header: bytes, inputs: list[bytes]) -> tuple[bytes, Sequence[bytes]]:
    return header, inputs
