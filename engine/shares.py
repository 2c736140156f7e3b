"""How many spares each family keeps: a fixed number of them, dealt out by recent demand.

An idle spare costs memory, so there is a budget of them for all families together. Each family
that is up keeps one, whatever happened lately; the others go where the conversions go.
"""

from collections.abc import Iterable, Mapping

# Demand halves in so many seconds. A burst is answered within a second of its beginning, and a
# family that was busy a few minutes ago is not taken by surprise.
HALF_LIFE_S = 60.0


def shares(budget: int, demand: Mapping[str, float]) -> dict[str, int]:
    """Deal `budget` spares out: one to each family, the rest by demand (D'Hondt's method).

    More families than budget still have one each. Without any demand all are alike. Where all
    families rest there is nothing to deal.
    """
    dealt = dict.fromkeys(demand, 1)
    for _ in range(budget - len(demand) if demand else 0):
        neediest = max(demand, key=lambda name: (demand[name] / (dealt[name] + 1), -dealt[name]))
        dealt[neediest] += 1
    return dealt


class Demand:
    """Recent arrivals of each family: a count that decays."""

    def __init__(self, families: Iterable[str]) -> None:
        self._counts = dict.fromkeys(families, 0.0)
        self._at_s = 0.0

    def arrived(self, family: str, now_s: float) -> None:
        """Count one conversion that was asked for at this time."""
        self._decay(now_s)
        self._counts[family] += 1.0

    def recent(self, now_s: float) -> dict[str, float]:
        """The counts as of now."""
        self._decay(now_s)
        return dict(self._counts)

    def _decay(self, now_s: float) -> None:
        factor = 0.5 ** ((now_s - self._at_s) / HALF_LIFE_S)
        self._at_s = now_s
        for family in self._counts:
            self._counts[family] *= factor
