"""Parameters in order, whatever carried them: names in any case, arrays by index or by repetition.

ConvertAPI's clients write the same array as `Files[0]=…&Files[1]=…`, as `files[0]=…`, as
`Files=…&Files=…` and in JSON; Go and Java write all names in lower case. Pure.
"""

import re
from collections.abc import Iterable

import msgspec

from gateway.compat.convertapi.call import Value
from gateway.errors import ParametersInvalid

# More than the longest list of parameters of any converter, with one for each file of a request.
FIELDS_MAX = 1000
NAME_CHARS_MAX = 100
# An empty one of these says nothing: clients send it beside the indexed ones.
_FILES = frozenset({"file", "files"})
_INDEXED = re.compile(r"(.+?)\[(\d{0,6})\]")


class Field(msgspec.Struct, frozen=True):
    """One value as it came."""

    name: str
    value: Value


class Fields(msgspec.Struct, frozen=True, kw_only=True):
    """All values by name in lower case, and the names as the client wrote them."""

    values: dict[str, list[Value]]
    spelled: dict[str, str]

    def take(self, name: str) -> str | None:
        """Take a parameter out; its last value that is text and not empty."""
        values = self.values.pop(name.lower(), [])
        texts = [one.strip() for one in values if isinstance(one, str)]
        return next((one for one in reversed(texts) if one), None)


def collected(given: Iterable[Field]) -> Fields:
    """Put values together by name, those of an array by index. Raises ParametersInvalid."""
    placed: dict[str, list[tuple[int, Value]]] = {}
    spelled: dict[str, str] = {}
    count = 0
    for field in given:
        count += 1
        match = _INDEXED.fullmatch(field.name)
        name = (match[1] if match else field.name).strip()
        if count > FIELDS_MAX or len(name) > NAME_CHARS_MAX:
            sentence = (
                f"At most {FIELDS_MAX} names of at most {NAME_CHARS_MAX} characters are taken."
            )
            raise ParametersInvalid({name[:NAME_CHARS_MAX]: [sentence]})
        key = name.lower()
        if not key or (key in _FILES and field.value == ""):
            continue
        spelled.setdefault(key, name)
        values = placed.setdefault(key, [])
        # Without an index: after those that came before.
        index = int(match[2]) if match and match[2] else len(values)
        values.append((index, field.value))
    return Fields(
        values={
            key: [value for _, value in sorted(values, key=lambda one: one[0])]
            for key, values in placed.items()
        },
        spelled=spelled,
    )
