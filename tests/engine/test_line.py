"""The waiting line: bounded, fair between accounts, and no slot is ever lost."""

import asyncio
import random

import pytest

from engine.errors import EngineBusy
from engine.line import Line
from tests import fake_time


def line(slots: int = 1, waiting_max: int = 10, wait_max_s: float = 30.0) -> Line:
    return Line(slots=slots, waiting_max=waiting_max, wait_max_s=wait_max_s)


async def hold(line: Line, account: str, order: list[str], seconds: float = 1.0) -> None:
    async with line.slot(account):
        order.append(account)
        await asyncio.sleep(seconds)


def test_an_account_with_many_requests_does_not_delay_the_first_of_another() -> None:
    async def main() -> None:
        queue, order = line(), []
        async with asyncio.TaskGroup() as group:
            for _ in range(5):
                group.create_task(hold(queue, "greedy", order))
            await asyncio.sleep(0)
            group.create_task(hold(queue, "modest", order))
        assert order == ["greedy", "greedy", "modest", "greedy", "greedy", "greedy"]

    fake_time.run(main)


def test_within_an_account_who_came_first_goes_first() -> None:
    async def main() -> None:
        queue, order = line(), []

        async def numbered(number: int) -> None:
            async with queue.slot("one"):
                order.append(number)
                await asyncio.sleep(1)

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(numbered(number))
        assert order == [0, 1, 2, 3, 4]

    fake_time.run(main)


def test_a_full_line_refuses_at_once_and_says_when_to_come_back() -> None:
    async def main() -> None:
        queue, order = line(waiting_max=2), []
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(hold(queue, "a", order, seconds=10))
            await asyncio.sleep(0)
            with pytest.raises(EngineBusy) as refused:
                async with queue.slot("a"):
                    pytest.fail("the line was full")
            assert asyncio.get_running_loop().time() == 0.0
            assert refused.value.retry_after_s >= 1
        assert len(order) == 3

    fake_time.run(main)


def test_waiting_ends_at_its_limit_and_the_place_is_given_back() -> None:
    async def main() -> None:
        queue = line(wait_max_s=5)
        async with queue.slot("a"):
            with pytest.raises(EngineBusy):
                async with queue.slot("b"):
                    pytest.fail("the slot was never free")
            assert asyncio.get_running_loop().time() == 5
            assert queue.waiting == 0
        assert queue.busy == 0

    fake_time.run(main)


def test_a_slot_handed_over_in_the_tick_of_a_cancellation_is_not_lost() -> None:
    async def main() -> None:
        queue = line()
        held = asyncio.Event()

        async def holder() -> None:
            async with queue.slot("a"):
                held.set()
                await asyncio.sleep(1)

        async def waiter() -> None:
            async with queue.slot("b"):
                await asyncio.sleep(1)

        first = asyncio.create_task(holder())
        await held.wait()
        second = asyncio.create_task(waiter())
        await asyncio.sleep(0)
        first.add_done_callback(lambda _: second.cancel())
        await asyncio.wait([first, second])
        assert (queue.busy, queue.waiting) == (0, 0)

    fake_time.run(main)


def test_growing_starts_those_who_wait_and_shrinking_lets_the_running_finish() -> None:
    async def main() -> None:
        queue, order = line(), []
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(hold(queue, "a", order))
            await asyncio.sleep(0)
            assert (queue.busy, queue.waiting) == (1, 3)
            queue.resize(3)
            await asyncio.sleep(0)
            assert (queue.busy, queue.waiting) == (3, 1)
            queue.resize(1)
            assert (queue.busy, queue.waiting) == (3, 1)
        assert (queue.busy, queue.waiting) == (0, 0)
        assert asyncio.get_running_loop().time() == 2

    fake_time.run(main)


@pytest.mark.parametrize("seed", range(20))
def test_after_any_mixture_of_arrivals_timeouts_and_cancellations_all_slots_are_free(
    seed: int,
) -> None:
    chance = random.Random(seed)  # noqa: S311 - repeatable, not secret

    async def main() -> None:
        queue = line(slots=3, waiting_max=12, wait_max_s=4)
        running = peak = 0

        async def one() -> None:
            nonlocal running, peak
            try:
                async with queue.slot(chance.choice("abc")):
                    running += 1
                    peak = max(peak, running)
                    try:
                        await asyncio.sleep(chance.random() * 3)
                    finally:
                        running -= 1
            except EngineBusy:
                pass

        tasks = []
        for _ in range(200):
            tasks.append(asyncio.create_task(one()))
            await asyncio.sleep(chance.random() * 0.5)
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert (queue.busy, queue.waiting, running) == (0, 0, 0)
        assert peak == 3

    fake_time.run(main)


def test_who_has_a_seat_counts_as_waiting_and_is_not_refused() -> None:
    async def main() -> None:
        queue, order = line(waiting_max=1), []
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(queue, "a", order))
            await asyncio.sleep(0)
            with queue.seat("b") as seat:
                assert queue.waiting == 1
                with pytest.raises(EngineBusy):
                    queue.check("c")
                group.create_task(hold(queue, "c", order))  # has none, and stands in line
                await asyncio.sleep(0)
                async with queue.slot("b", seat=seat):
                    order.append("b")
                assert queue.waiting == 0
            assert queue.waiting == 0
        assert sorted(order) == ["a", "b", "c"]

    fake_time.run(main)


def test_seats_of_one_account_do_not_keep_another_out() -> None:
    async def main() -> None:
        queue = line(slots=1, waiting_max=3)
        async with queue.slot("a"):
            with queue.seat("greedy"), queue.seat("greedy"), queue.seat("greedy"):
                queue.check("modest")
                with pytest.raises(EngineBusy):
                    queue.check("greedy")
                with queue.seat("modest"), queue.seat("modest"), pytest.raises(EngineBusy):
                    queue.check("modest")
            with queue.seat("one"), queue.seat("two"), queue.seat("three"):
                with pytest.raises(EngineBusy):
                    queue.check("four")
                queue.check("four", weight=2.0)
            queue.check("greedy")

    fake_time.run(main)
