"""`CONNECTION/path`: a file in a customer's own storage, as a request names it."""

import re

import msgspec

from gateway.connections.storages import encoded
from gateway.errors import RequestMalformed

# Object stores take names of 1,024 bytes; what they are in is the connection's.
PATH_BYTES_MAX = 1024
_ID = re.compile(r"[0-9A-Za-z]{16}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SEPARATOR = re.compile(r"[/\\]")


class Place(msgspec.Struct, frozen=True):
    """A path below a connection's root. One that ends in `/` is a folder."""

    connection_id: str
    path: str

    def __str__(self) -> str:
        return f"{self.connection_id}/{self.path}"

    @property
    def encoded(self) -> str:
        """The path as a URL has it."""
        return encoded(self.path)

    def called(self, name: str) -> "Place":
        """The file itself: in a folder, the one of this name. Raises RequestMalformed."""
        if self.path and not self.path.endswith("/"):
            return self
        return place_of("deliver_to", f"{self.connection_id}/{self.path}{name}")


def place_of(parameter: str, text: str, *, folder: bool = False) -> Place:
    """Read one. Only where a `folder` will do the path may end in `/`, or be empty.

    Raises RequestMalformed. What would be another path to one server or another (`..`, `//`, a
    backslash in their place) is refused, so that a path stays below its root.
    """
    connection_id, slash, path = text.partition("/")
    if not slash or not _ID.fullmatch(connection_id):
        raise RequestMalformed(
            f"{parameter}: it is CONNECTION/path, as GET /v1/connections has ids"
        )
    try:
        size = len(path.encode())
    except UnicodeEncodeError as error:
        raise RequestMalformed(f"{parameter}: the path is not UTF-8") from error
    if size > PATH_BYTES_MAX or _CONTROL.search(path):
        raise RequestMalformed(
            f"{parameter}: a path has at most {PATH_BYTES_MAX} bytes and no control characters"
        )
    whole = path[:-1] if folder and path.endswith("/") else path
    parts = _SEPARATOR.split(whole)
    if not (folder and path == "") and not all(part.strip(".") for part in parts):
        raise RequestMalformed(
            f"{parameter}: a path names a file below the connection's root: not empty, without"
            " empty parts and parts of dots"
        )
    return Place(connection_id, path)
