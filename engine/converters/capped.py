"""The only place converters write to: memory, with an end."""

import io

from engine.errors import TargetTooLarge
from engine.job import Buffer

_MIB = 1024 * 1024


class CappedBuffer(io.BytesIO):
    """A BytesIO that refuses to grow beyond its limit, so an oversize result fails early."""

    def __init__(self, bytes_max: int) -> None:
        super().__init__()
        self._bytes_max = bytes_max

    def write(self, data: Buffer, /) -> int:  # type: ignore[override]  # memoryview counts bytes, as BytesIO does
        """Write, or raise TargetTooLarge."""
        if self.tell() + memoryview(data).nbytes > self._bytes_max:
            raise TargetTooLarge(
                f"the result would be larger than {self._bytes_max // _MIB} MiB;"
                " ask for a smaller size or a lower quality"
            )
        return super().write(data)

    def take(self) -> Buffer:
        """Hand over what was written, without copying it."""
        return self.getbuffer()
