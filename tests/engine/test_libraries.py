"""Every codec that a family's converters import is named, so that a receipt can say its version."""

import ast
import importlib.metadata
from pathlib import Path

import pytest

from engine import converters, libraries, registry

SHARED = Path(str(converters.__file__)).parent


@pytest.mark.parametrize("family", [family.name for family in registry.FAMILIES])
def test_a_family_names_every_library_that_it_imports(family: str) -> None:
    by_module = importlib.metadata.packages_distributions()
    imported = {
        by_module[name.partition(".")[0]][0].lower()
        for path in (SHARED / family).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in _names(node)
        if name.partition(".")[0] in by_module
    }
    own = {"ephemera", "msgspec"}
    assert imported - own <= set(libraries.LIBRARIES[family])
    assert set(libraries.versions(family)) == set(libraries.LIBRARIES[family])


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
