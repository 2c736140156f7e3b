"""Whose turn it is: fair sharing between names that want the same thing at once.

Start-time fair queueing (Goyal, Vin, Cheng 1996) in its smallest form. Each name has a tag: how
much it has been given, in what it cost, divided by its weight. The lowest tag is next. Whoever
joins starts level with the one served last, so that waiting long earns nothing in advance and
being new costs nothing. With equal costs and weights that is turn and turn about.
"""


class Turns:
    """Names that wait, and which of them is next. Ties go to who joined first."""

    def __init__(self) -> None:
        self._tags: dict[str, float] = {}
        self._now = 0.0

    def __bool__(self) -> bool:
        return bool(self._tags)

    def join(self, name: str) -> None:
        """Let a name take part; one that does already keeps its place."""
        self._tags.setdefault(name, self._now)

    def leave(self, name: str) -> None:
        """Nothing is wanted under this name any more."""
        self._tags.pop(name, None)

    def next(self) -> str:
        """The name whose turn it is. There must be one."""
        return min(self._tags, key=self._tags.__getitem__)

    def served(self, name: str, cost: float) -> None:
        """`name` had its turn, and that cost so much."""
        self._now = self._tags[name]
        self._tags[name] += cost
