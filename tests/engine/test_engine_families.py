"""A family is there with all it has, or not at all."""

import ast
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest

from engine import registry
from engine.registry import FAMILIES, Family

CONVERTERS = Path(__file__).parent.parent.parent / "engine" / "converters"
ABSENT = """
import json, sys
sys.modules["pikepdf"] = None  # how Python says that there is no such module
from engine import errors, registry
from engine.engine import Engine
try:
    Engine.plan("pdf", "txt", {}, [b"%PDF-1.7 and so on"])
except errors.EngineError as refusal:
    said = type(refusal).__name__
tables = (registry.FAMILIES, registry.CONVERTERS)
print(json.dumps([[one.name for one in table] for table in tables] + [said]))
"""


def test_a_family_whose_library_is_not_installed_is_in_no_table_and_no_plan() -> None:
    done = subprocess.run([sys.executable, "-c", ABSENT], capture_output=True, check=True)
    families, converters, said = json.loads(done.stdout)
    without = [family.name for family in FAMILIES if "pikepdf" in family.needs]
    assert families == [family.name for family in FAMILIES if family.name not in without]
    assert "pdf" in without
    assert converters
    assert not [name for name in converters if name.partition(".")[0] in without]
    assert said == "ConversionUnsupported"


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_names_every_foreign_module_that_it_imports(family: Family) -> None:
    imported = {
        name.partition(".")[0]
        for file in (CONVERTERS / family.name).glob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        for name in _imports(node)
    }
    ours = {"engine", "sandbox", "msgspec"}
    assert imported - ours - set(sys.stdlib_module_names) - set(family.needs) == set()


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's workers are somebody else")
def test_a_family_whose_files_its_workers_cannot_reach_does_not_exist() -> None:
    family = next(one for one in FAMILIES if one.name == "image")
    readable = Path(tempfile.mkdtemp())
    try:
        readable.chmod(0o755)
        (readable / "font").write_bytes(b"")
        (readable / "font").chmod(0o644)
        reading = msgspec.structs.replace(family, reads=(str(readable / "font"), "/not/there"))
        assert registry._is_installed(reading)
        readable.chmod(0o700)
        assert not registry._is_installed(reading)
    finally:
        shutil.rmtree(readable)
