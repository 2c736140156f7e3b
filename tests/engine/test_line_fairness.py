"""Fair between families, then between accounts; bounded each; paused and resumed."""

import asyncio

import pytest

from engine.errors import EngineBusy
from engine.line import RETRY_AFTER_MAX_S, RETRY_WHEN_PAUSED_S, Line
from tests import fake_time


def line(slots: int = 1, waiting_max: int = 100, wait_max_s: float = 1000.0) -> Line:
    return Line(slots=slots, waiting_max=waiting_max, wait_max_s=wait_max_s)


async def hold(
    queue: Line, order: list[str], name: str, seconds: float = 1.0, weight: float = 1.0
) -> None:
    """`name` is "family/account"."""
    family, _, account = name.partition("/")
    async with queue.slot(account, family=family, weight=weight):
        order.append(name)
        await asyncio.sleep(seconds)


def test_a_burst_on_one_family_does_not_delay_the_first_of_another() -> None:
    async def main() -> None:
        queue, order = line(), []
        async with asyncio.TaskGroup() as group:
            for number in range(50):
                group.create_task(hold(queue, order, f"image/{number}"))
            await asyncio.sleep(0)
            group.create_task(hold(queue, order, "pdf/a"))
        assert order.index("pdf/a") <= 2

    fake_time.run(main)


def test_families_share_the_seconds_whatever_one_conversion_of_theirs_takes() -> None:
    async def main() -> None:
        queue, order = line(slots=2, waiting_max=5000), []
        async with asyncio.TaskGroup() as group:
            for _ in range(40):
                group.create_task(hold(queue, order, "document/a", seconds=10))
            for _ in range(2000):
                group.create_task(hold(queue, order, "image/b", seconds=0.1))
            await asyncio.sleep(200)
            seconds = {
                "document": 10 * sum(name == "document/a" for name in order),
                "image": 0.1 * sum(name == "image/b" for name in order),
            }
        assert seconds["image"] >= 0.4 * sum(seconds.values())
        assert seconds["document"] >= 0.4 * sum(seconds.values())

    fake_time.run(main)


def test_an_account_has_turns_by_its_weight() -> None:
    async def main() -> None:
        queue, order = line(), []
        async with asyncio.TaskGroup() as group:
            group.create_task(hold(queue, order, "image/first"))
            await asyncio.sleep(0)
            for _ in range(30):
                group.create_task(hold(queue, order, "image/plain"))
                group.create_task(hold(queue, order, "image/heavy", weight=3))
        assert order[1:21].count("image/heavy") == 15

    fake_time.run(main)


def test_a_full_line_of_one_family_leaves_the_others_theirs() -> None:
    async def main() -> None:
        queue, order = line(waiting_max=2), []
        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(hold(queue, order, "image/a"))
            await asyncio.sleep(0)
            with pytest.raises(EngineBusy):
                await hold(queue, order, "image/a")
            group.create_task(hold(queue, order, "pdf/a"))
            await asyncio.sleep(0)
            assert (queue.waiting_of("image"), queue.waiting_of("pdf")) == (2, 1)
        assert len(order) == 4

    fake_time.run(main)


def test_in_a_full_line_the_greediest_account_makes_room_for_a_modest_one() -> None:
    async def main() -> None:
        queue, order = line(waiting_max=4), []
        greedy = [asyncio.create_task(hold(queue, order, "image/greedy")) for _ in range(5)]
        await asyncio.sleep(0)
        modest = [asyncio.create_task(hold(queue, order, "image/modest")) for _ in range(3)]
        await asyncio.gather(*greedy, *modest, return_exceptions=True)
        # Two each: the third of the modest would have had more than its half.
        assert order.count("image/modest") == 2
        assert [isinstance(task.exception(), EngineBusy) for task in greedy[3:]] == [True, True]
        assert isinstance(modest[2].exception(), EngineBusy)
        assert (queue.busy, queue.waiting) == (0, 0)

    fake_time.run(main)


def test_ten_thousand_requests_of_one_account_neither_delay_nor_refuse_anothers_first() -> None:
    async def main() -> None:
        queue, order = line(slots=2, waiting_max=256), []
        greedy = [asyncio.create_task(hold(queue, order, "image/greedy")) for _ in range(10_000)]
        await asyncio.sleep(0)
        await hold(queue, order, "image/modest")
        assert order.index("image/modest") <= 4
        await asyncio.gather(*greedy, return_exceptions=True)

    fake_time.run(main)


def test_a_paused_line_holds_everybody_and_goes_on_when_resumed() -> None:
    async def main() -> None:
        queue, order = line(slots=2), []
        queue.pause()
        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(hold(queue, order, f"image/{number}"))
            await asyncio.sleep(100)
            assert (order, queue.busy, queue.waiting) == ([], 0, 3)
            assert queue.retry_after_s("image") >= RETRY_WHEN_PAUSED_S
            queue.resize(3)
            assert queue.busy == 0
            queue.resume()
            await asyncio.sleep(0.5)
            assert (queue.busy, queue.waiting) == (3, 0)
        assert (queue.busy, queue.waiting) == (0, 0)

    fake_time.run(main)


def test_what_ends_while_the_line_is_paused_frees_its_slot_for_later() -> None:
    async def main() -> None:
        queue, order = line(wait_max_s=5), []
        first = asyncio.create_task(hold(queue, order, "image/a"))
        await asyncio.sleep(0)
        second = asyncio.create_task(hold(queue, order, "image/b", seconds=2))
        queue.pause()
        await first
        assert (queue.busy, queue.waiting) == (0, 1)
        queue.resume()
        await second
        queue.pause()
        with pytest.raises(EngineBusy):
            await hold(queue, order, "image/c")
        queue.resume()
        await hold(queue, order, "image/d")
        assert order == ["image/a", "image/b", "image/d"]

    fake_time.run(main)


def test_retry_after_is_the_time_that_this_familys_line_takes() -> None:
    async def main() -> None:
        queue, order = line(slots=2), []
        for _ in range(60):
            await hold(queue, order, "image/a", seconds=2)
        async with asyncio.TaskGroup() as group:
            for number in range(12):
                group.create_task(hold(queue, order, f"image/{number}", seconds=2))
            await asyncio.sleep(0)
            # Ten wait, with the asker eleven, at two seconds, by two slots.
            assert queue.retry_after_s("image") == pytest.approx(11, abs=0.5)
            # A family without a line has only its turns to wait for.
            assert queue.retry_after_s("pdf") == 1.0
            for number in range(40):
                group.create_task(hold(queue, order, f"pdf/{number}", seconds=0.2))
            await asyncio.sleep(0)
            # Eight seconds of PDF work come in between.
            assert queue.retry_after_s("image") == pytest.approx(15, abs=0.5)
            assert queue.retry_after_s("image") < RETRY_AFTER_MAX_S

    fake_time.run(main)
