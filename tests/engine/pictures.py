"""One small file of every kind of picture, and who may judge it."""

from tests.engine.calls import FILES, sample
from tests.engine.judges import _CONVERT, Seen, run

# What ImageMagick of Debian 12 does not read; another decoder than the one under test judges these.
UNSEEN = frozenset({"icns", "jxl", "qoi", "jxr", "dng", "pnm", "cur"})


def upload(name: str) -> bytes:
    """The file of this format; the picture is the same in all of them."""
    if name == "jpeg":
        return sample("orientation-1.jpg")
    own = FILES / "image" / f"photo.{name}"
    return own.read_bytes() if own.exists() else sample(f"photo.{name}")


def seen(data: bytes, name: str) -> Seen:
    """As ImageMagick sees it, which shows a Targa image last row first unless told not to."""
    if name == "tga":
        data, name = run(_CONVERT, "tga:-", "-auto-orient", "png:-", stdin=data), "png"
    return Seen(data, name)
