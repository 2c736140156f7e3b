"""How many large files may arrive at once, and who is let wait for a place."""

import asyncio

import pytest

from engine.arrivals import Arrivals
from engine.errors import EngineBusy


def test_one_account_cannot_hold_all_places() -> None:
    arrivals = Arrivals(places=4, account_places=2)
    with arrivals.place("one"), arrivals.place("one"):
        with pytest.raises(EngineBusy, match="of this account") as busy:
            arrivals.check("one", lambda: 3.0)
        assert busy.value.retry_after_s == 3.0
        arrivals.check("another", lambda: 3.0)
    arrivals.check("one", lambda: 3.0)


def test_all_accounts_together_have_so_many_places() -> None:
    arrivals = Arrivals(places=2, account_places=2)
    with arrivals.place("one"), arrivals.place("another"), pytest.raises(EngineBusy):
        arrivals.check("third", lambda: 1.0)


def test_a_place_that_was_left_early_is_not_left_twice() -> None:
    arrivals = Arrivals(places=2, account_places=1)
    with arrivals.place("one") as place, arrivals.place("two"):
        place.leave()
        assert len(arrivals) == 1
        place.leave()
    assert len(arrivals) == 0


def test_accounts_that_are_through_are_forgotten() -> None:
    arrivals = Arrivals(places=1, account_places=1)
    with arrivals.place("one"):
        pass
    assert not arrivals._by_account
    assert not arrivals.complete


async def _begun(*coroutines: object) -> list[asyncio.Task[bool]]:
    tasks = [asyncio.ensure_future(one) for one in coroutines]  # type: ignore[call-overload]
    for _ in range(3):
        await asyncio.sleep(0)
    return tasks


async def test_nobody_waits_for_a_file_that_still_arrives() -> None:
    arrivals = Arrivals(places=2, account_places=1)
    with arrivals.place("one"):
        assert not await arrivals.place_soon("one")
        assert await arrivals.place_soon("another")


async def test_behind_a_file_that_is_all_here_the_next_waits_for_its_place() -> None:
    arrivals = Arrivals(places=2, account_places=1)
    with arrivals.place("one") as place:
        place.complete()
        (next_,) = await _begun(arrivals.place_soon("one"))
        assert not next_.done()
        place.leave()
        assert await next_
    assert not arrivals._waiting
    assert not arrivals.complete


async def test_places_go_to_those_who_wait_longest_and_nobody_overtakes() -> None:
    arrivals = Arrivals(places=3, account_places=2)
    with arrivals.place("one") as first, arrivals.place("one") as second:
        first.complete()
        second.complete()
        waiting = await _begun(*(arrivals.place_soon("one") for _ in range(3)))
        first.leave()
        with arrivals.place("one") as quick:  # before the one that was woken looks
            await _begun()
            assert [one.done() for one in waiting] == [False] * 3
            quick.complete()
            quick.leave()
            await _begun()
            assert [one.done() for one in waiting] == [True, False, False]
            (late,) = await _begun(arrivals.place_soon("one"))
            assert not late.done()
            second.leave()
            await _begun()
            assert [one.done() for one in (*waiting, late)] == [True, True, True, True]


async def test_when_nothing_is_left_to_wait_for_all_who_wait_take_another_way() -> None:
    arrivals = Arrivals(places=3, account_places=2)
    with arrivals.place("one"), arrivals.place("one") as complete:
        complete.complete()
        waiting = await _begun(*(arrivals.place_soon("one") for _ in range(3)))
        complete.leave()
        with arrivals.place("one"):  # somebody's who has only begun to arrive
            assert [await one for one in waiting] == [False] * 3


async def test_one_who_gives_up_waiting_is_forgotten() -> None:
    arrivals = Arrivals(places=1, account_places=1)
    with arrivals.place("one") as place:
        place.complete()
        (next_,) = await _begun(arrivals.place_soon("one"))
        next_.cancel()
        await asyncio.gather(next_, return_exceptions=True)
        assert not arrivals._waiting
