"""That nobody gets around the limits of keys: a rule for whoever writes another way to convert."""

import ast
from pathlib import Path


def test_nothing_is_debited_before_it_was_asked_whether_it_is_allowed() -> None:
    """Whoever calls `.debit(` in the gateway hands over the terms, and asks before."""
    strays = []
    for path in (Path(__file__).parents[2] / "gateway").rglob("*.py"):
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        debits = [call for call in calls if _name(call) == "debit"]
        terms = all(any(word.arg == "terms" for word in call.keywords) for call in debits)
        asked = any(_name(call) in {"check", "permit", "_permit"} for call in calls)
        if debits and not (terms and asked):
            strays.append(path.name)
    assert strays == []


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""
