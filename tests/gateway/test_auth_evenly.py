"""Answers that are not to be timed, in a time that only moves when everybody waits."""

import asyncio

import pytest

from gateway.people.evenly import evenly
from tests import fake_time


@pytest.mark.parametrize("work_s", [0.0, 0.01, 0.039])
def test_what_is_quicker_takes_as_long_as_the_rest(work_s: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with evenly(0.04):
            await asyncio.sleep(work_s)
        assert loop.time() == pytest.approx(0.04)
        with pytest.raises(KeyError):
            async with evenly(0.04):
                raise KeyError
        assert loop.time() == pytest.approx(0.08)

    fake_time.run(main)


def test_what_takes_longer_is_not_held_up() -> None:
    async def main() -> None:
        async with evenly(0.04):
            await asyncio.sleep(0.05)
        assert asyncio.get_running_loop().time() == pytest.approx(0.05)

    fake_time.run(main)
