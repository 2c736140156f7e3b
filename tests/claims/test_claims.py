"""Nothing is claimed that no test can refute, and no test refutes what nobody claims.

Claims are made in docs/security.md, and by the sentences of the privacy page with everything that
can be on.
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from gateway.privacy.policy import policy_of
from ledger.privacy.inventory import inventory
from tests.gateway.service import with_settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
# What adds sentences to the privacy page.
ALL_ON = {
    "fetch": {"enabled": True},
    "billing": {"packs": [{"id": "a", "title": "A", "credits": 1, "amount": 1, "currency": "EUR"}]},
}
CLAIM = re.compile(r"\bC-[A-Z]+-\d+\b")


def _claimed() -> list[str]:
    """The ids in the first column of a table: where a claim is made."""
    rows = (line for line in PAGE.read_text().splitlines() if line.startswith("| C-"))
    return [CLAIM.findall(row)[0] for row in rows]


def _promised() -> list[str]:
    """The ids of the privacy page's sentences."""
    page = policy_of(with_settings(**ALL_ON), inventory(), str, "ephemera").page
    return [one.claim for section in page.sections for one in section.sentences]


@cache
def _carried() -> dict[str, set[str]]:
    """By id, the tests that carry it."""
    found = defaultdict(set)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for claim in _ids(function):
                    found[claim].add(f"{path.relative_to(ROOT)}::{function.name}")
    return found


def _ids(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    for mark in function.decorator_list:
        if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.claim":
            assert function.name.startswith("test_"), f"{function.name} is no test"
            yield ast.literal_eval(mark.args[0])


def test_every_claim_has_a_test() -> None:
    carried = _carried()
    assert [claim for claim in (*_claimed(), *_promised()) if claim not in carried] == []


def test_every_test_of_a_claim_names_one_that_is_made() -> None:
    claimed = {*_claimed(), *_promised()}
    strays = {claim: tests for claim, tests in _carried().items() if claim not in claimed}
    assert strays == {}


def test_a_claim_is_made_once_and_spoken_of_only_where_it_is_made() -> None:
    claimed = _claimed()
    assert len(claimed) == len(set(claimed)) > 20
    assert set(CLAIM.findall(PAGE.read_text())) == set(claimed)


def test_a_sentence_of_the_privacy_page_is_said_once() -> None:
    promised = _promised()
    assert len(promised) == len(set(promised)) > 20
    own = {claim for claim in promised if claim.startswith("C-PRIV-")}
    assert set(promised) - own <= set(_claimed())
