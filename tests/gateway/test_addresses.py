"""Where a client asks from: the operator's own proxies are believed, and nobody else."""

import ipaddress

import pytest

from gateway import config
from gateway.addresses import address_of
from gateway.errors import ConfigError

TRUSTED = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("192.0.2.7", [], "192.0.2.7"),
        ("::ffff:192.0.2.7", [], "192.0.2.7"),
        ("2001:db8::7", [], "2001:db8::7"),
        (None, [], None),
        ("", ["192.0.2.7"], None),
        # Whoever is no proxy of ours may say what they like.
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("::ffff:10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.1, 192.0.2.7, 10.0.0.2", "fd00::3"], "192.0.2.7"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.2"], "10.0.0.2"),
        # What cannot be read hides whoever stands behind it.
        ("10.0.0.1", ["192.0.2.7, unknown"], None),
        ("10.0.0.1", [""], None),
        ("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("10.0.0.1", ["192.0.2.7" + ", 10.0.0.9" * 50], "10.0.0.9"),
    ],
)
def test_the_client_is_the_first_from_the_right_who_is_no_proxy_of_ours(
    remote: str | None, forwarded: list[str], client: str | None
) -> None:
    found = address_of(remote, forwarded, TRUSTED)
    assert (None if found is None else str(found)) == client


def test_proxies_are_named_as_networks() -> None:
    settings = config.load(
        {"EPHEMERA_HOME": "/x", "EPHEMERA__SERVER__TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1"}
    )
    assert settings.server.trusted_proxies == ("10.0.0.0/8", "192.0.2.1")
    with pytest.raises(ConfigError, match="server"):
        config.load({"EPHEMERA_HOME": "/x", "EPHEMERA__SERVER__TRUSTED_PROXIES": "proxy.example"})
