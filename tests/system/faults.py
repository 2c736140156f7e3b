"""A family whose files can order their own misfortune: the entry of test zygotes, run in the jail.

A file that holds `FAULT name` makes its worker do what `tests/sandbox/entries.py` calls so; every
other one is converted as always.
"""

import re
from collections.abc import Sequence

from engine import task
from engine.job import Buffer
from engine.progress import Tell
from tests.sandbox import entries

_ORDER = re.compile(rb"FAULT ([a-z_]+(?: \d+)?)")


def file(fault: str) -> bytes:
    """What looks like a PNG from outside."""
    return b"\x89PNG\r\n\x1a\n" + bytes(8) + b"FAULT " + fault.encode() + bytes(50)


def warm_with_few_processes() -> None:
    task.warm()
    entries.warm_with_few_processes()


def handle(
    header: bytes, inputs: Sequence[Buffer], tell: Tell | None = None
) -> tuple[bytes, Sequence[Buffer]]:
    order = _ORDER.search(bytes(inputs[0][:100]))
    if order is None:
        return task.handle(header, inputs, tell)
    return entries.handle(order[1], [bytes(upload) for upload in inputs])
