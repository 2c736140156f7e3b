"""Who counts as this machine."""

import pytest

from gateway.middleware import _is_loopback


@pytest.mark.parametrize(
    ("remote", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:10.0.0.1", False),
        ("10.0.0.1", False),
        ("fe80::1%eth0", False),
        (None, False),
    ],
)
def test_only_loopback_is_this_machine(remote: str | None, local: bool) -> None:
    assert _is_loopback(remote) is local
