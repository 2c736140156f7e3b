"""Equal requests have equal fingerprints, different ones do not, however they are cut."""

import pytest

from gateway.errors import RequestMalformed
from gateway.idempotency import checked_key, fingerprint


def test_the_order_of_the_parameters_does_not_matter() -> None:
    one = fingerprint("POST", "/v1", {"a": "1", "b": "2"}, [b"x"])
    assert one == fingerprint("POST", "/v1", {"b": "2", "a": "1"}, [bytearray(b"x")])


@pytest.mark.parametrize(
    "other",
    [
        ("PUT", "/v1", {"a": "1"}, [b"xy"]),
        ("POST", "/v2", {"a": "1"}, [b"xy"]),
        ("POST", "/v1", {"a": "2"}, [b"xy"]),
        ("POST", "/v1", {"a1": ""}, [b"xy"]),
        ("POST", "/v1", {}, [b"xy"]),
        ("POST", "/v1", {"a": "1"}, [b"x", b"y"]),
        ("POST", "/v1", {"a": "1"}, [b"xz"]),
        ("POST", "/v1a", {"": "1"}, [b"xy"]),
    ],
)
def test_whatever_differs_the_fingerprint_differs(
    other: tuple[str, str, dict[str, str], list[bytes]],
) -> None:
    assert fingerprint("POST", "/v1", {"a": "1"}, [b"xy"]) != fingerprint(*other)


@pytest.mark.parametrize("header", ["", "x" * 256, "a\tb", "schlüssel", "a\x00b"])
def test_a_key_that_cannot_be_kept_is_refused(header: str) -> None:
    with pytest.raises(RequestMalformed, match="Idempotency-Key"):
        checked_key(header)


def test_a_key_is_taken_as_it_is() -> None:
    assert checked_key(None) is None
    assert checked_key("0193-abc def") == "0193-abc def"
