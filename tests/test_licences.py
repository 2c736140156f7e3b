"""Whose code is in this service, and under which licence: nothing that nobody has judged."""

import ast
import importlib.util
import json
import re
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "gateway", "ledger", "sandbox")
_COPYLEFT = re.compile(r"(?<!L)GPL|AGPL|SSPL|BUSL")


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "deploy" / "sbom.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sbom"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sbom() -> ModuleType:
    return _loaded()


@pytest.fixture(scope="module")
def document(sbom: ModuleType) -> dict[str, Any]:
    made: dict[str, Any] = sbom.document()
    return made


def _expressions(document: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["licenses"][0]["expression"] for one in document["components"]}


def _allowed(expression: str, allowed: set[str]) -> bool:
    """Whether one may use it: all of what AND joins, any of what OR does. No brackets are known."""
    choices = [part.split(" AND ") for part in expression.split(" OR ")]
    return any(all(one.strip() in allowed for one in choice) for choice in choices)


def test_every_package_is_under_a_licence_that_is_allowed_or_excused(
    sbom: ModuleType, document: dict[str, Any]
) -> None:
    said = sbom.words()
    strays = {
        name: expression
        for name, expression in _expressions(document).items()
        if not _allowed(expression, set(said["allowed"])) and name not in said["exceptions"]
    }
    assert strays == {}


def test_nothing_that_is_imported_is_under_the_gpl(
    sbom: ModuleType, document: dict[str, Any]
) -> None:
    gpl = {name for name, text in _expressions(document).items() if _COPYLEFT.search(text)}
    assert gpl == set()
    # What wheels hold besides: programs that are executed, and the two of the extra `media`.
    held = {
        part["name"]
        for one in document["components"]
        for part in one.get("components", ())
        if _COPYLEFT.search(part["licenses"][0]["expression"])
    }
    assert held == {"pandoc", "x264", "x265"}
    del sbom


def test_every_exception_and_every_word_of_ours_is_still_needed(
    sbom: ModuleType, document: dict[str, Any]
) -> None:
    said, names = sbom.words(), set(_expressions(document))
    for table in ("exceptions", "spdx", "contains"):
        assert set(said[table]) - names == set(), table
    for name, reason in said["exceptions"].items():
        assert not _allowed(_expressions(document)[name], set(said["allowed"])), name
        assert len(reason) > 20
    assert all(said["allowed"].values())


def test_everything_that_the_code_imports_is_locked(document: dict[str, Any]) -> None:
    """A package that happens to be installed here is not one that customers get."""
    trees = [ast.parse(path.read_text()) for one in PACKAGES for path in (ROOT / one).rglob("*.py")]
    imported = {
        name.partition(".")[0] for tree in trees for node in ast.walk(tree) for name in _names(node)
    }
    foreign = imported - set(PACKAGES) - sys.stdlib_module_names
    owners = metadata.packages_distributions()
    locked = set(_expressions(document))
    missing = {
        name
        for name in foreign
        if not any(re.sub(r"[-_.]+", "-", one).lower() in locked for one in owners.get(name, ()))
    }
    assert missing == set()


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def test_the_bill_of_materials_is_complete_consistent_and_without_addresses(
    sbom: ModuleType, document: dict[str, Any]
) -> None:
    text = json.dumps(document)
    assert "://" not in text
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    assert document == sbom.document()
    refs = [one["bom-ref"] for one in document["components"]]
    assert len(refs) == len(set(refs))
    known = {*refs, document["metadata"]["component"]["bom-ref"]}
    for one in document["dependencies"]:
        assert {one["ref"], *one["dependsOn"]} <= known
    # Locked for this machine and not in it: what only other machines get.
    pinned = {one.name for one in sbom.locked(sbom.LOCK.read_text())}
    assert pinned - set(_expressions(document)) <= {"brotlicffi"}
    for one in document["components"]:
        assert one["licenses"][0]["expression"], one["name"]
        assert one["properties"], one["name"]


def test_a_licence_that_nobody_judged_is_noticed() -> None:
    allowed = {"MIT", "Apache-2.0"}
    assert _allowed("MIT OR GPL-3.0-only", allowed)
    assert not _allowed("MIT AND GPL-3.0-only", allowed)
    assert not _allowed("", allowed)
    assert _COPYLEFT.search("AGPL-3.0-only")
    assert not _COPYLEFT.search("LGPL-2.1-or-later")
