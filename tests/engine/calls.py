"""Call converters as a worker does: through `engine.task.handle`, options from strings."""

from pathlib import Path
from typing import NamedTuple

import msgspec

from engine import task
from engine.job import Bounds, Buffer, TaskReply, TaskRequest
from engine.registry import converter_for, family_of, parse_options

FILES = Path(__file__).parent.parent / "files"


class Reply(NamedTuple):
    """What came back: the class name of an error or "", its sentence, warnings, files."""

    error: str
    detail: str
    warnings: tuple[str, ...]
    files: list[bytes]
    names: tuple[str, ...] = ()

    @property
    def file(self) -> bytes:
        """The only file of a conversion that succeeded."""
        assert not self.error, f"{self.error}: {self.detail}"
        assert len(self.files) == 1
        return self.files[0]


def sample(name: str) -> bytes:
    """One of the committed inputs."""
    return (FILES / name).read_bytes()


def convert(
    uploads: Buffer | list[Buffer],
    source: str,
    target: str,
    *,
    operation: str | None = None,
    bounds: Bounds | None = None,
    companions: tuple[str, ...] = (),
    called: tuple[str, ...] = (),
    **options: object,
) -> Reply:
    """Convert; options are turned into the strings that a query would hold.

    `companions` are the formats of the uploads after the first, where they are not `source`;
    `called` what the client calls them.
    """
    inputs = uploads if isinstance(uploads, list) else [uploads]
    converter = converter_for(source, target, operation, inputs=len(inputs))
    texts = {name: _as_query(value) for name, value in options.items()}
    request = TaskRequest(
        converter=converter.name,
        sources=(source, *companions) if companions else (source,) * len(inputs),
        target=target,
        options=msgspec.to_builtins(parse_options(converter, texts, target=target)),
        bounds=bounds or family_of(converter).bounds,
        names=called,
    )
    header, files = task.handle(msgspec.msgpack.encode(request), list(inputs))
    reply = msgspec.msgpack.decode(header, type=TaskReply)
    made = [bytes(file) for file in files]
    return Reply(reply.error, reply.detail, reply.warnings, made, reply.names)


def _as_query(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
