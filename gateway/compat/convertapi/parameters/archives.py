"""Files into an archive, and out of one."""

from gateway.compat.convertapi.parameters.kinds import Choice, Text
from gateway.compat.convertapi.parameters.shared import FILE, FILES, PASSWORD
from gateway.compat.convertapi.parameters.terms import Counterpart, Parameter, Sets, To

_LEVELS: dict[str, str | None] = {
    "Optimal": "9",
    "Medium": None,
    "Fastest": "1",
    "NoCompression": "0",
}

COUNTERPARTS = (
    Counterpart(
        sources=("file",),
        target="zip",
        steps=(To("zip", "pack"),),
        parameters=(
            FILES,
            Parameter(
                name="CompressionLevel",
                kind=Choice(tuple(_LEVELS)),
                effect=Sets(option="level", words=_LEVELS),
                default="Optimal",
            ),
            Parameter(name="Password", kind=Text(secret=True), effect=Sets(option="password_out")),
        ),
        note="Encrypted with AES-256 where a password is sent.",
    ),
    Counterpart(
        sources=("zip",),
        target="extract",
        steps=(To("any", "extract"),),
        parameters=(FILE, PASSWORD),
        also=("7z", "tar", "tgz", "jar"),
        note="Every file under its own name.",
    ),
)
