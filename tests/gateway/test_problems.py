"""Every error has its status and its page."""

from collections.abc import Iterator
from uuid import UUID

import msgspec
import pytest
from aiohttp import web

from engine.errors import EngineBusy, SourceEmpty
from gateway import problems
from gateway.api.documents import PAGES
from gateway.errors import KeyMissing, MethodNotAllowed
from ledger.errors import InsufficientCredits
from sandbox.errors import SandboxError

REQUEST = UUID("01930000-0000-7000-8000-000000000001")


def _subclasses(root: type[Exception]) -> Iterator[type[Exception]]:
    for child in root.__subclasses__():
        yield child
        yield from _subclasses(child)


def test_every_error_of_every_root_has_an_entry() -> None:
    missing = [
        error.__qualname__
        for root in problems.ROOTS
        for error in _subclasses(root)
        if error not in problems.KINDS and error not in problems.BOOT_ONLY
    ]
    assert missing == []


def test_no_error_of_the_sandbox_has_an_entry_because_the_engine_translates_them() -> None:
    assert not any(issubclass(error, SandboxError) for error in problems.KINDS)
    assert problems.kind_of(SandboxError("x")) is problems.UNFORESEEN


def test_a_code_has_one_status_and_one_answer_about_retries() -> None:
    seen: dict[str, tuple[int, bool]] = {}
    for kind in problems.KINDS.values():
        assert seen.setdefault(kind.code, (kind.status, kind.retryable)) == (
            kind.status,
            kind.retryable,
        )


def test_every_code_has_a_page_with_a_meaning() -> None:
    assert {kind.code for kind in problems.KINDS.values()} <= PAGES.keys()
    assert all(page.meaning for page in PAGES.values())


def test_a_problem_document_says_all_that_a_client_needs() -> None:
    response = problems.response_to(InsufficientCredits(cost=3, balance=1), REQUEST)
    assert response.status == 402
    assert response.content_type == "application/problem+json"
    assert isinstance(response.body, bytes)
    assert msgspec.json.decode(response.body) == {
        "type": "/problems/insufficient-credits",
        "title": "Not enough credits",
        "status": 402,
        "detail": "this costs 3 credits and the account has 1; add credits first",
        "instance": f"urn:uuid:{REQUEST}",
        "code": "insufficient-credits",
        "request_id": str(REQUEST),
        "charged": False,
        "retryable": False,
    }


def test_what_nobody_foresaw_gives_nothing_away() -> None:
    problem = problems.problem_of(ZeroDivisionError("/home/secret.py"), REQUEST)
    assert problem.status == 500
    assert "secret" not in problem.detail


def test_retry_after_is_a_whole_number_of_seconds_rounded_up() -> None:
    response = problems.response_to(EngineBusy("busy", retry_after_s=1.2), REQUEST)
    assert response.headers["Retry-After"] == "2"


def test_no_retry_after_where_waiting_does_not_help() -> None:
    assert "Retry-After" not in problems.response_to(SourceEmpty("empty"), REQUEST).headers


def test_a_401_says_how_to_authenticate() -> None:
    response = problems.response_to(KeyMissing("no key"), REQUEST)
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_405_says_what_is_allowed() -> None:
    error = MethodNotAllowed("x", allowed=frozenset({"GET", "HEAD"}))
    assert problems.response_to(error, REQUEST).headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (web.HTTPNotFound(), 404),
        (web.HTTPMethodNotAllowed("GET", {"POST"}), 405),
        (web.HTTPRequestEntityTooLarge(1, 2), 413),
        (web.HTTPBadRequest(), 400),
    ],
)
def test_what_aiohttp_refuses_becomes_a_problem_too(error: web.HTTPException, status: int) -> None:
    assert problems.kind_of(problems.from_http(error)).status == status
