"""What a client of ConvertAPI asked for, in whichever of five encodings; and what becomes of it.

A `Call` is decoded once, at the edge (`request.py`), and believed from there on. The maps
(`parameters/`) turn it into a `Plan` in our own words, which `converting.py` runs.
"""

import msgspec

from engine.pipeline import Step


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose bytes came with the request: a form's part, base64 of JSON, or the raw body.

    The bytes are wiped when the request is over.
    """

    body: bytearray
    # The client's claim.
    name: str | None = None

    def __repr__(self) -> str:
        return f"Part({len(self.body)} bytes)"


# Text: a parameter's value, or what stands for a file (an id, a URL of ours or of somebody else).
Value = str | Part


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request to convert. Formats are as the address names them, in lower case."""

    # `any`, `*`, `file`, `web` and `url` among them.
    source: str
    target: str
    # `/converter/{name}`, which names one of several engines.
    converter: str | None = None
    # By names in lower case, without an index; the values of one name in the order of their index.
    # What the surface itself understands (`general.py`) and who asks are not among them.
    parameters: dict[str, list[Value]] = {}
    # The names as the client wrote them, by those in lower case: for answers that name them.
    spelled: dict[str, str] = {}

    def texts(self, name: str) -> list[str]:
        """The values of a parameter that are text, by its name in any case."""
        return [one for one in self.parameters.get(name.lower(), ()) if isinstance(one, str)]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The same in our own words: as the query of a conversion, or of a pipeline, would say it."""

    source: str  # `auto` looks at the bytes
    target: str
    # None: the pair's default.
    operation: str | None = None
    options: dict[str, str] = {}
    # Parameters that hold files, in lower case and in the order of the converter's inputs.
    files: tuple[str, ...] = ("file", "files")
    # Names that mean nothing here, as the client wrote them: told in X-Ignored-Parameters.
    ignored: tuple[str, ...] = ()
    # Conversions after the first one, each of the one file that the one before made.
    steps: tuple[Step, ...] = ()
