"""The clients are the ones that we name, to the byte, wherever they are fetched from."""

import re

import msgspec

from tests.compat.clients import HERE


def test_python_clients_are_pinned_by_hash_and_name_no_address() -> None:
    locks = sorted((HERE / "python").glob("*.lock"))
    assert [lock.name for lock in locks] == [
        "convertapi-1.8.0.lock",
        "convertapi-2.0.1.lock",
        "requests.lock",
    ]
    for lock in locks:
        text = lock.read_text()
        pinned = re.findall(r"^[a-z0-9][^\s=]*==\S+ \\$", text, re.MULTILINE)
        assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 0
        assert "--hash=sha256:" in text
        assert "://" not in text


def test_the_node_client_is_pinned_by_hash_and_names_no_address() -> None:
    text = (HERE / "node" / "package-lock.json").read_text()
    assert "://" not in text
    packages = msgspec.json.decode(text)["packages"]
    del packages[""]
    assert packages["node_modules/convertapi"]["version"] == "1.15.0"
    for package in packages.values():
        assert package["integrity"].startswith("sha512-")
        assert package["license"] == "MIT"
