"""What a conversion is made of, from the checked request to the result.

A `Job` exists only after everything that can be refused without running has been refused:
the gateway prices it, the engine runs it. `TaskRequest` and `TaskReply` are the same thing as it
crosses the pipe (msgpack, arrays): the worker's side is untrusted, so the reply is decoded into
its declared type and nothing else.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from sandbox.limits import Limits

Buffer = bytes | bytearray | memoryview

# Of all names in a request or a reply: a thousand as long as file systems allow (NAME_MAX). They
# are in a frame's header (`sandbox/wire.py`).
NAMES_BYTES_MAX = 255 * 1024


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """Limits that only a codec can check, from the header before decoding where it can."""

    # 100 megapixels is a 12,000 x 8,333 scan; times 4 bytes, twice, stays below the address space.
    pixels_max: int = 100_000_000
    frames_max: int = 2_000
    # Pixels of all frames together: an animation is re-encoded whole, so they live in memory at the
    # same time, 4 bytes each: 1 GB of the 2 GiB that a worker of the image family may have.
    animation_pixels_max: int = 250_000_000
    pages_max: int = 10_000
    output_bytes_max: int = 512 * 1024 * 1024


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A checked conversion, ready to price and run. `options` is the converter's own struct."""

    converter: str
    family: str
    # One format name an input; they differ only where a converter takes a mixture.
    sources: tuple[str, ...]
    target: str
    options: msgspec.Struct
    inputs: tuple[Buffer, ...]
    # Of an input that went into a worker while it arrived, and is not among `inputs`.
    received_bytes: int = 0
    # What the client called each input, "" where it did not; or nothing, where none has a name.
    names: tuple[str, ...] = ()

    @property
    def source(self) -> str:
        """The format of the first input."""
        return self.sources[0]

    @property
    def input_bytes(self) -> int:
        """Size of all uploads together, in bytes."""
        return self.received_bytes + sum(len(upload) for upload in self.inputs)


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a conversion. `files` holds one buffer a file, in order."""

    target: str
    files: Sequence[Buffer]
    warnings: tuple[str, ...] = ()
    # What the worker wants each file called, where files have names of their own: not to be used
    # as they are.
    names: tuple[str, ...] = ()
    # Host-side wall seconds: waiting for a worker, and in the worker.
    queue_s: float = 0.0
    convert_s: float = 0.0
    # The worker's own user + system CPU seconds for this conversion, as it reported them.
    cpu_s: float = 0.0
    worker: str = ""
    # How far its worker was shared: "per-conversion", "per-request" or "per-account".
    isolation: str = "per-conversion"
    # What the worker attested before it got the file, and what it was limited to.
    layers: tuple[str, ...] = ()
    limits: Limits = Limits()


class TaskRequest(msgspec.Struct, frozen=True, array_like=True):
    """The frame's header on the way in; the files' bytes follow it on the pipe."""

    converter: str
    sources: tuple[str, ...]
    target: str
    options: dict[str, Any]
    bounds: Bounds
    names: tuple[str, ...] = ()


class TaskReply(msgspec.Struct, frozen=True, array_like=True):
    """The frame's header on the way out. `error` is a name from `engine.errors`, or empty."""

    error: str = ""
    detail: str = ""
    warnings: tuple[str, ...] = ()
    cpu_s: float = 0.0
    names: tuple[str, ...] = ()
