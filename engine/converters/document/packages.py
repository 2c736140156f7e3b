"""A touch to the packages that pandoc writes, where it says more than anybody wants to hear."""

import io
import re
import zipfile

# pandoc describes a picture by its address; ours are the pictures themselves, a third larger.
_ADDRESS = re.compile(rb'(?:&#10;|\s)*data:image/[\w.+-]+;base64,[A-Za-z0-9+/=]+(?=")')
_FIXED = (1980, 1, 1, 0, 0, 0)


def without_addresses(content: bytes) -> bytes:
    """The same package, with no data address in an attribute of its parts."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for part in source.infolist():
            kept = source.read(part)
            if part.filename.endswith(".xml"):
                kept = _ADDRESS.sub(b"", kept)
            copy = zipfile.ZipInfo(part.filename, _FIXED)
            copy.compress_type = part.compress_type
            target.writestr(copy, kept)
    return buffer.getvalue()
