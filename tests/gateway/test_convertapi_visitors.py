"""The quota of an address, without a service: what counts, and until when."""

from typing import Any

import pytest

from gateway.compat.convertapi import visitors
from gateway.compat.convertapi.visitors import ConvertApiConfig, Visitors
from gateway.errors import VisitorQuotaExceeded, VisitorsCrowded

HERE, THERE = "192.0.2.1", "192.0.2.2"


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(visitors, "time", clock)
    return clock


def counted(**config: Any) -> Visitors:
    accounts: Any = None  # no upload of these tests reaches the ledger
    return Visitors(ConvertApiConfig(**config), accounts)


def keep(known: Visitors, file_id: str, size: int, address: str = HERE) -> None:
    with known.share(address) as share:
        share.grow(size)
        share.keep(file_id, known.config.visitor_lifetime_s)


def refused(known: Visitors, size: int = 1, address: str = HERE) -> VisitorQuotaExceeded | None:
    try:
        with known.share(address) as share:
            share.grow(size)
    except VisitorQuotaExceeded as error:
        return error
    return None


@pytest.mark.usefixtures("clock")
def test_files_and_bytes_are_counted_for_each_address() -> None:
    known = counted(visitor_files_max=3, visitor_bytes_max=10)
    keep(known, "a", 6)
    assert refused(known, 5)
    assert not refused(known, 4)
    assert not refused(known, 5, THERE)
    keep(known, "b", 1)
    keep(known, "c", 1)
    assert refused(known)


def test_what_has_expired_counts_no_more(clock: Clock) -> None:
    known = counted(visitor_files_max=1, visitor_lifetime_s=60)
    keep(known, "a", 1)
    error = refused(known)
    assert error
    assert error.retry_after_s == 60
    clock.now_s += 45
    error = refused(known)
    assert error
    assert error.retry_after_s == 15
    clock.now_s += 15
    assert not refused(known)


@pytest.mark.usefixtures("clock")
def test_what_is_deleted_or_fails_counts_no_more() -> None:
    known = counted(visitor_files_max=1)
    keep(known, "a", 1)
    known.deleted("another file")
    assert refused(known)
    known.deleted("a")
    assert not refused(known)
    with pytest.raises(ZeroDivisionError), known.share(HERE) as share:
        share.grow(1 // 0)
    assert not refused(known)
    assert known._shares == {}


@pytest.mark.usefixtures("clock")
def test_an_upload_under_way_counts() -> None:
    known = counted(visitor_files_max=1)
    with known.share(HERE):
        assert refused(known)


def test_addresses_that_never_come_back_are_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "ADDRESSES_MAX", 3)
    known = counted(visitor_lifetime_s=60)
    for number in range(5):
        keep(known, str(number), 1, f"192.0.2.{number}")
    clock.now_s += 61
    keep(known, "new", 1)
    assert set(known._shares) == {HERE}


def test_only_so_many_are_inside_of_one_address_and_in_all() -> None:
    known = counted(visitor_at_once_max=1, visitors_at_once_max=2)
    with known.enter(HERE), known.enter(THERE):
        for address in (HERE, "192.0.2.3"):
            with pytest.raises(VisitorsCrowded), known.enter(address):
                pass
    with known.enter(HERE):
        pass
    assert not known._inside


@pytest.mark.parametrize(
    "config",
    [
        {"visitor_files_max": -1},
        {"visitor_bytes_max": -1},
        {"visitor_lifetime_s": 3 * 3600 + 1},
        {"visitor_lifetime_s": 0},
        {"visitor_at_once_max": 0},
        {"visitor_at_once_max": 3, "visitors_at_once_max": 2},
    ],
)
def test_limits_that_are_none_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="visitor"):
        ConvertApiConfig(**config)
