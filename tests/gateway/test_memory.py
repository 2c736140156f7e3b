"""The bytes in flight of all requests: bounded, and given back whatever happens."""

import pytest

from gateway.errors import MemoryFull
from gateway.uploads import Memory


def test_two_requests_share_the_memory() -> None:
    memory = Memory(100)
    with memory.hold() as one, memory.hold() as two:
        one.grow_to(60)
        one.grow_to(50)
        two.grow_to(40)
        assert memory.taken == 100
        with pytest.raises(MemoryFull):
            two.grow_to(41)
    assert memory.taken == 0


def test_memory_is_given_back_when_a_request_fails() -> None:
    memory = Memory(100)
    hold = memory.hold()
    with pytest.raises(ZeroDivisionError), hold:
        hold.grow_to(1 // 0)
    assert memory.taken == 0


def test_a_result_counts_although_it_does_not_fit() -> None:
    memory = Memory(100)
    with memory.hold() as hold, memory.hold() as late:
        hold.grow_to(100)
        hold.count(50)
        assert memory.taken == 150
        with pytest.raises(MemoryFull):
            late.grow_to(1)
    assert memory.taken == 0
