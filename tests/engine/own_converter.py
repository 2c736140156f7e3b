"""Convert by one family's converter of a pair, whatever other families offer for the same."""

from collections.abc import Callable

import msgspec

from engine import task
from engine.job import Bounds, TaskReply, TaskRequest
from engine.registry import CONVERTERS, family_of, parse_options
from tests.engine.calls import Reply


def of_family(family: str) -> Callable[..., Reply]:
    """A function as `calls.convert`, of this family alone."""

    def convert(
        upload: bytes, source: str, target: str, *, bounds: Bounds | None = None, **options: object
    ) -> Reply:
        converter = next(
            one
            for one in CONVERTERS
            if one.family == family and source in one.sources and target in one.targets
        )
        texts = {
            name: str(value).lower() if isinstance(value, bool) else str(value)
            for name, value in options.items()
        }
        request = TaskRequest(
            converter=converter.name,
            sources=(source,),
            target=target,
            options=msgspec.to_builtins(parse_options(converter, texts, target=target)),
            bounds=bounds or family_of(converter).bounds,
        )
        header, files = task.handle(msgspec.msgpack.encode(request), [upload])
        reply = msgspec.msgpack.decode(header, type=TaskReply)
        return Reply(reply.error, reply.detail, reply.warnings, [bytes(file) for file in files])

    return convert
