"""The door: nobody new comes in, those inside finish or are shown out."""

import asyncio

import pytest

from gateway.drain import Door
from gateway.errors import ServiceDraining


async def _stay(door: Door, leave: asyncio.Event) -> str:
    with door.enter():
        await leave.wait()
    return "finished"


async def test_a_closed_door_lets_nobody_in() -> None:
    door = Door()
    door.close()
    with pytest.raises(ServiceDraining), door.enter():
        pass


async def test_those_inside_may_finish() -> None:
    door, leave = Door(), asyncio.Event()
    guest = asyncio.create_task(_stay(door, leave))
    await asyncio.sleep(0)
    door.close()
    assert door.inside == 1
    leave.set()
    assert await door.wait_empty(10)
    assert await guest == "finished"
    assert await door.show_out() == 0


async def test_whoever_does_not_finish_is_told_that_the_service_stops() -> None:
    door = Door()
    guest = asyncio.create_task(_stay(door, asyncio.Event()))
    await asyncio.sleep(0)
    door.close()
    assert not await door.wait_empty(0)
    assert await door.show_out() == 1
    with pytest.raises(ServiceDraining):
        await guest


async def test_a_client_that_hangs_up_is_cancelled_and_not_told() -> None:
    door = Door()
    guest = asyncio.create_task(_stay(door, asyncio.Event()))
    await asyncio.sleep(0)
    guest.cancel()
    with pytest.raises(asyncio.CancelledError):
        await guest
    assert door.inside == 0


async def test_showing_out_waits_for_the_clean_up() -> None:
    door, cleaned = Door(), asyncio.Event()

    async def guest() -> None:
        with door.enter():
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                cleaned.set()

    task = asyncio.create_task(guest())
    await asyncio.sleep(0)
    await door.show_out()
    assert cleaned.is_set()
    with pytest.raises(ServiceDraining):
        await task
