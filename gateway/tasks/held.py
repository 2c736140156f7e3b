"""The bytes of tasks with `hold=memory`: files that wait to be converted, results to be fetched.

They are counted twice: among the bytes in flight of all requests, and within a budget of their own,
so that those who wait cannot take the room of those who convert.
"""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack

from engine.job import Buffer
from engine.wiping import wipe
from gateway.uploads import Hold, Memory, Upload
from gateway.wiping import Wiper

Place = tuple[int, str]


class Room:
    """What one task has in memory, counted, and wiped when it is let go."""

    def __init__(self, memory: Memory, budget: Memory) -> None:
        self._stack = ExitStack()
        self.hold: Hold = self._stack.enter_context(memory.hold())
        self._share = self._stack.enter_context(budget.hold())
        self._wiper = self._stack.enter_context(Wiper())
        self._bytes = 0
        # The task's number, once it is taken.
        self.seq = 0
        self.uploads: tuple[Upload, ...] = ()
        self.result: Sequence[Buffer] = ()
        # One reader at a time: whoever is done first wipes.
        self.reading = asyncio.Lock()
        # Fetched whole and paid for, or given up.
        self.done = asyncio.Event()

    def grow_to(self, size: int) -> None:
        """Have so many bytes in all. Raises MemoryFull."""
        self._share.grow_to(size)
        self.hold.grow_to(size)
        self._bytes = max(self._bytes, size)

    def put_uploads(self, uploads: Sequence[Upload]) -> None:
        """Keep these until they are converted."""
        self.grow_to(sum(len(one.body) for one in uploads))
        self.uploads = tuple(uploads)
        self._wiper.add(one.body for one in uploads)

    def put_result(self, buffers: Sequence[Buffer]) -> None:
        """Keep this until it is fetched; the files that it was made of go. Raises MemoryFull."""
        size = sum(len(one) for one in buffers)
        self.grow_to(self._bytes + size)
        for one in self.uploads:
            wipe(one.body)
        self.uploads, self.result = (), buffers
        self._wiper.add(buffers)

    def free(self) -> None:
        """Wipe and forget."""
        self.uploads, self.result = (), ()
        self._stack.close()
        self.done.set()


class Held:
    """All tasks whose bytes are in this process."""

    def __init__(self, memory: Memory, bytes_max: int) -> None:
        self._memory = memory
        self.budget = Memory(bytes_max)
        self._rooms: dict[Place, Room] = {}

    def room(self) -> Room:
        """Begin a task's room. Whoever has it frees it, unless it was put here."""
        return Room(self._memory, self.budget)

    def put(self, account_id: int, task_id: str, room: Room) -> None:
        """Keep it for the task."""
        self._rooms[account_id, task_id] = room

    def get(self, account_id: int, task_id: str) -> Room | None:
        """The task's room, if it is here."""
        return self._rooms.get((account_id, task_id))

    def free(self, account_id: int, task_id: str) -> None:
        """Wipe what the task has here."""
        if room := self._rooms.pop((account_id, task_id), None):
            room.free()

    def rooms(self) -> tuple[tuple[Place, Room], ...]:
        """Whose bytes are here."""
        return tuple(self._rooms.items())
