"""No line of the gateway can bring a customer's bytes onto a disk by aiohttp's form reader."""

import ast
from pathlib import Path

import pytest

import gateway

PACKAGE = Path(gateway.__file__).parent


@pytest.mark.claim("C-DISK-3")
def test_no_module_calls_the_form_reader_that_spools_to_temporary_files() -> None:
    calls = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr == "post"
        # The way out of the service is another thing: it sends.
        if "outbound" not in ast.unparse(node.value).lower()
    ]
    assert calls == []


def test_no_module_of_the_service_imports_tempfile() -> None:
    imports = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        and "tempfile" in {getattr(node, "module", None), *(name.name for name in node.names)}
    ]
    assert imports == []
