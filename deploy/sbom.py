"""`python deploy/sbom.py > sbom.json`: what this service is made of, as CycloneDX 1.6.

From the lock file (versions, hashes of the archives), the metadata of what is installed (licences,
who needs whom) and deploy/licences.toml (words of ours about licences, parts of wheels). The same
lock gives the same document: no time and no address is in it, and its serial number is made of it.
"""

# ruff: noqa: INP001 -- a script, and no package

import hashlib
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid5

FOLDER = Path(__file__).resolve().parent
LOCK = FOLDER / "requirements.lock"
LICENCES = FOLDER / "licences.toml"
# A name space of ours for serial numbers (RFC 9562, version 5).
_SPACE = UUID("9d5c7b0e-8f1a-4b6e-9a53-0c1f4e2d7a68")
_PINNED = re.compile(r"([a-z0-9][a-z0-9.-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
# How metadata names a licence in one word, in SPDX's identifiers.
_PLAIN = {
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "MIT License": "MIT",
    "PSFL": "PSF-2.0",
}


class Locked(NamedTuple):
    """One line of the lock file."""

    name: str
    version: str
    hashes: tuple[str, ...]


def locked(text: str) -> Iterator[Locked]:
    """Everything that is pinned, also what another machine would install."""
    for block in re.split(r"\n(?=[a-z0-9])", text):
        if match := _PINNED.match(block):
            yield Locked(match[1], match[2], tuple(_HASH.findall(block)))


def words() -> dict[str, Any]:
    """deploy/licences.toml."""
    return tomllib.loads(LICENCES.read_text(encoding="utf-8"))


def licence_of(name: str, said: dict[str, Any]) -> str:
    """The SPDX expression of an installed package; empty where nothing can be made out."""
    if name in said["spdx"]:
        return str(said["spdx"][name])
    facts = metadata.metadata(name)
    fields = ("License-Expression", "License")
    text = next((facts[field].strip() for field in fields if field in facts), "")
    return _PLAIN.get(text, text)


def installed(one: Locked) -> bool:
    """Whether this is what this machine has."""
    try:
        return metadata.version(one.name) == one.version
    except metadata.PackageNotFoundError:
        return False


def document() -> dict[str, Any]:
    """The whole document."""
    text, said = LOCK.read_text(encoding="utf-8"), words()
    here = [one for one in locked(text) if installed(one)]
    refs = {one.name: f"pkg:pypi/{one.name}@{one.version}" for one in here}
    own = metadata.metadata("ephemera")
    root = f"pkg:pypi/ephemera@{own['Version']}"
    needs = {root: _needs("ephemera", refs)} | {
        refs[one.name]: _needs(one.name, refs) for one in here
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid5(_SPACE, hashlib.sha256(text.encode()).hexdigest()).urn,
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "ephemera",
                "version": own["Version"],
                "licenses": [{"expression": own["License-Expression"]}],
            }
        },
        "components": [_component(one, refs[one.name], said) for one in here],
        "dependencies": [
            {"ref": ref, "dependsOn": sorted(others)} for ref, others in sorted(needs.items())
        ],
    }


def _component(one: Locked, ref: str, said: dict[str, Any]) -> dict[str, Any]:
    parts = [
        {
            "type": "library",
            "bom-ref": f"{ref}#{part['name']}",
            "name": part["name"],
            "licenses": [{"expression": part["licence"]}],
            "properties": [{"name": "ephemera:because", "value": part["because"]}],
        }
        for part in said["contains"].get(one.name, ())
    ]
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": ref,
        "name": one.name,
        "version": one.version,
        "purl": ref,
        "licenses": [{"expression": licence_of(one.name, said)}],
        # Of the archives that may be installed under this version, one for each kind of machine.
        "properties": [
            {"name": "ephemera:archive:sha256", "value": digest} for digest in one.hashes
        ],
    }
    return component | ({"components": parts} if parts else {})


def _needs(name: str, refs: dict[str, str]) -> set[str]:
    """The references of what a package asks for, as far as it is locked."""
    asked = metadata.requires(name) or []
    names = (re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in asked)
    return {refs[known] for one in names if (known := normal(one)) in refs}


def normal(name: str) -> str:
    """A package's name as lock files write it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1, sort_keys=True)
    sys.stdout.write("\n")
