"""What a connection is made of: three kinds of storage, each with its address and credentials.

These documents stand sealed in the ledger as JSON. None of them shows its values where it is
printed, and a refusal of one never quotes it.
"""

import re
from typing import Annotated, Literal
from urllib.parse import quote, unquote, urlsplit

import msgspec
from msgspec import Meta

from gateway.outbound.asking import may_send

# Of an address; the paths below it are longer.
ADDRESS_CHARS_MAX = 1000
_Address = Annotated[str, Meta(min_length=1, max_length=ADDRESS_CHARS_MAX)]
# The longest that sessions of Amazon have are 2 KB; a header's value has 4 KiB at most.
_Token = Annotated[str, Meta(min_length=1, max_length=4000)]
_Secret = Annotated[str, Meta(min_length=1, max_length=1000)]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# Names of buckets as Amazon had them at first; stricter ones are the storage's business.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")
_HOST_LABELS = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9-]{1,64}")
# It stands between slashes and commas in the Authorization header.
_KEY_ID = re.compile(r"[!-+.0-~-]{1,256}")
_SEPARATOR = re.compile(r"[/\\]")
_DOTS = frozenset({".", ".."})


class _Storage(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __post_init__(self) -> None:
        """Raise ValueError for what no storage is asked with."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, str) and _CONTROL.search(value):
                raise ValueError(f"{name} holds control characters")


class S3(_Storage, frozen=True, kw_only=True, tag="s3", forbid_unknown_fields=True):
    """A bucket of Amazon S3, or of anything that speaks its protocol."""

    # `https://s3.eu-central-1.amazonaws.com`, without the bucket.
    endpoint: _Address
    bucket: Annotated[str, Meta(min_length=3, max_length=255)]
    region: Annotated[str, Meta(min_length=1, max_length=64)] = "us-east-1"
    access_key_id: Annotated[str, Meta(min_length=1, max_length=256)]
    secret_access_key: _Secret
    # Of temporary credentials.
    session_token: _Token | None = None
    # `path`: the bucket is in the path; `virtual`: in the host's name.
    style: Literal["path", "virtual"] = "path"

    def __post_init__(self) -> None:
        """Raise ValueError for what no bucket is asked with."""
        super().__post_init__()
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError("bucket is not the name of one")
        if not _REGION.fullmatch(self.region):
            raise ValueError("region is not the name of one; where there are none: us-east-1")
        if not _KEY_ID.fullmatch(self.access_key_id):
            raise ValueError("access_key_id has characters that none has")
        if self.session_token is not None and not may_send(
            "X-Amz-Security-Token", self.session_token
        ):
            raise ValueError("session_token has characters that none has")
        if self.style == "virtual" and not _HOST_LABELS.fullmatch(self.bucket):
            raise ValueError("a bucket of this name is not part of a host's name; take style=path")
        check_address("endpoint", self.endpoint)

    @property
    def root(self) -> str:
        """The address below which its files are."""
        parts = urlsplit(self.endpoint)
        base = encoded(unquote(parts.path).strip("/"))
        folder = "/".join(one for one in (base, self.bucket if self.style == "path" else "") if one)
        host = parts.netloc if self.style == "path" else f"{self.bucket}.{parts.netloc}"
        return f"{parts.scheme}://{host}/{folder}".rstrip("/")


class WebDav(_Storage, frozen=True, kw_only=True, tag="webdav", forbid_unknown_fields=True):
    """A folder of a WebDAV server."""

    url: _Address
    username: Annotated[str, Meta(min_length=1, max_length=255)]
    password: _Secret

    def __post_init__(self) -> None:
        """Raise ValueError for what no server is asked with."""
        super().__post_init__()
        if ":" in self.username:
            raise ValueError("username holds a colon, which Basic authentication does not have")
        check_address("url", self.url)

    @property
    def root(self) -> str:
        """The address below which its files are."""
        return _plain(self.url)


class HeaderField(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A header that opens a server."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    value: _Token

    def __repr__(self) -> str:
        """Nothing of the value."""
        return "HeaderField()"


class Http(_Storage, frozen=True, kw_only=True, tag="http", forbid_unknown_fields=True):
    """A server that files are fetched from with GET and written to with PUT."""

    url: _Address
    # `Authorization: Bearer …`, or a header of another name.
    bearer: _Token | None = None
    header: HeaderField | None = None

    def __post_init__(self) -> None:
        """Raise ValueError for what no server is asked with."""
        super().__post_init__()
        if (self.bearer is None) == (self.header is None):
            raise ValueError("give bearer or header: one of them opens the server")
        if not all(may_send(name, value) for name, value in self.opening.items()):
            raise ValueError("the header is none that can be sent")
        if self.header is not None and self.header.name.lower().startswith("content-"):
            raise ValueError("the header says what a body is; that is not for a connection to say")
        check_address("url", self.url)

    @property
    def opening(self) -> dict[str, str]:
        """The header that opens it."""
        if self.header is not None:
            return {self.header.name: self.header.value}
        return {"Authorization": f"Bearer {self.bearer}"}

    @property
    def root(self) -> str:
        """The address below which its files are."""
        return _plain(self.url)


Storage = S3 | WebDav | Http


def check_address(name: str, url: str) -> None:
    """Raise ValueError for an address that no path can be put behind."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"{name} is not well formed; it looks like https://host/folder") from None
    if parts.query or parts.fragment or "?" in url or "#" in url:
        raise ValueError(f"{name} ends with its path: no query, no fragment")
    if _DOTS & set(_SEPARATOR.split(unquote(parts.path))):
        raise ValueError(f"{name} has . or .. in its path")


def encoded(path: str) -> str:
    """A path in a URL, in the one spelling that signatures are made over (RFC 3986)."""
    return "/".join(quote(part, safe="") for part in path.split("/"))


def _plain(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/{encoded(unquote(parts.path).strip('/'))}".rstrip("/")
