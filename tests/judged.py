"""`python -m tests.judged`: bandit over the four packages; every finding was judged by somebody.

Ruff has bandit's rules as well, under the same numbers with an S. So a finding counts as judged
where its statement carries `noqa: S<number>` with a reason, and no line needs two comments for one
thing. What ruff does not ask is judged here, for the whole project, with a reason.
"""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("engine", "gateway", "ledger", "sandbox")
# Rule to a pattern of the source line, and the reason why such a line is fine.
JUDGED = {
    "B404": (r"^\s*import subprocess$", "the import does nothing; its calls are looked at"),
    "B406": (
        r"^from xml\.sax\.saxutils import escape, quoteattr$",
        "they write XML; nothing is parsed",
    ),
    "B106": (r"(password|token)=\"\"", "no password at all"),
    "B608": (
        r"into = f\"INSERT INTO \{quote_name\(",
        "part of a script that a customer gets; nobody here executes it",
    ),
    "B603": (
        r"^\s*(tried|guardian) = subprocess\.(run|Popen)\($",
        "our own interpreter with constant arguments",
    ),
}
_NOQA = r"#\s*noqa:[^#]*\bS{number}\b[\s,A-Z0-9]*[-(#:]"


def findings() -> list[dict[str, Any]]:
    """What bandit finds."""
    command = [str(Path(sys.executable).with_name("bandit")), "-q", "-f", "json", "-r", *PACKAGES]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    if report["errors"]:
        raise SystemExit(f"bandit could not read everything: {report['errors']}")
    found: list[dict[str, Any]] = report["results"]
    return found


def judged(finding: dict[str, Any], text: str, tree: ast.AST) -> bool:
    """Whether somebody has given a reason."""
    lines = text.splitlines()
    rule, number = finding["test_id"], finding["line_number"]
    known = JUDGED.get(rule)
    if known is not None and re.search(known[0], lines[number - 1]):
        return True
    first, last = statement(tree, number)
    wanted = _NOQA.replace("{number}", rule.removeprefix("B"))
    return any(re.search(wanted, line) for line in lines[first - 1 : last])


def statement(tree: ast.AST, number: int) -> tuple[int, int]:
    """The lines of the smallest statement that holds this line."""
    spans = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= number <= (node.end_lineno or node.lineno)
    ]
    return min(spans, key=lambda span: span[1] - span[0])


def main() -> int:
    """Print what nobody has judged; 1 if there is anything."""
    left = []
    for finding in findings():
        text = (ROOT / finding["filename"]).read_text(encoding="utf-8")
        if not judged(finding, text, ast.parse(text)):
            left.append(finding)
    for finding in left:
        place = f"{finding['filename']}:{finding['line_number']}"
        sys.stdout.write(f"{place}: {finding['test_id']} {finding['issue_text']}\n")
    if left:
        sys.stdout.write("change the code, or say why it is fine: noqa: S<number> (why)\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
