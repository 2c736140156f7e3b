"""How many large files may arrive at once."""

import pytest

from engine.arrivals import Arrivals
from engine.errors import EngineBusy


def test_one_account_cannot_hold_all_places() -> None:
    arrivals = Arrivals(places=4, account_places=2)
    with arrivals.place("one"), arrivals.place("one"):
        with pytest.raises(EngineBusy, match="of this account") as busy:
            arrivals.check("one", retry_after_s=3.0)
        assert busy.value.retry_after_s == 3.0
        arrivals.check("another", retry_after_s=3.0)
    arrivals.check("one", retry_after_s=3.0)


def test_all_accounts_together_have_so_many_places() -> None:
    arrivals = Arrivals(places=2, account_places=2)
    with arrivals.place("one"), arrivals.place("another"), pytest.raises(EngineBusy):
        arrivals.check("third", retry_after_s=1.0)


def test_a_place_that_was_left_early_is_not_left_twice() -> None:
    arrivals = Arrivals(places=2, account_places=1)
    with arrivals.place("one") as leave, arrivals.place("two"):
        leave()
        assert len(arrivals) == 1
        leave()
    assert len(arrivals) == 0


def test_accounts_that_are_through_are_forgotten() -> None:
    arrivals = Arrivals(places=1, account_places=1)
    with arrivals.place("one"):
        pass
    assert not arrivals._by_account
