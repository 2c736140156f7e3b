"""Which parts of two sequences belong together: pure, and bounded whatever they hold.

Common ends first; then what is in both exactly once keeps its order and divides the rest (the
"patience" way, which does not tear sentences apart for the sake of commas); small rests by difflib.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from difflib import SequenceMatcher

Pair = tuple[int, int]

# difflib is quadratic, and worse where much is alike: 300,000 comparisons are half a second.
_CELLS_MAX = 300_000
# Comparing a block with another costs more: a second for the largest gap.
_BLOCKS_CELLS_MAX = 20_000
# Two paragraphs with less in common are another's, not a changed one's.
LEAST_ALIKE = 0.4


def matches(first: Sequence[Hashable], second: Sequence[Hashable]) -> list[Pair]:
    """Pairs of equal items, both sides rising."""
    found: list[Pair] = []
    gaps = [(0, len(first), 0, len(second))]
    while gaps:
        low, high, left, right = gaps.pop()
        while low < high and left < right and first[low] == second[left]:
            found.append((low, left))
            low, left = low + 1, left + 1
        while low < high and left < right and first[high - 1] == second[right - 1]:
            high, right = high - 1, right - 1
            found.append((high, right))
        if low == high or left == right:
            continue
        anchors = _anchors(first, second, (low, high, left, right))
        if anchors:
            ends = [*anchors, (high, right)]
            starts = [(low, left), *((one + 1, other + 1) for one, other in anchors)]
            gaps += [
                (start[0], end[0], start[1], end[1])
                for start, end in zip(starts, ends, strict=True)
            ]
            found += anchors
        elif (high - low) * (right - left) <= _CELLS_MAX:
            found += _small(first[low:high], second[left:right], low, left)
    return sorted(found)


def _anchors(
    first: Sequence[Hashable], second: Sequence[Hashable], gap: tuple[int, int, int, int]
) -> list[Pair]:
    """The longest rising chain of items that are in both parts exactly once."""
    low, high, left, right = gap
    once = Counter(first[low:high])
    places = {item: at for at, item in enumerate(second[left:right], start=left)}
    counted = Counter(second[left:right])
    pairs = [
        (at, places[item])
        for at, item in enumerate(first[low:high], start=low)
        if once[item] == 1 and counted[item] == 1
    ]
    return _rising(pairs)


def _rising(pairs: Sequence[Pair]) -> list[Pair]:
    """The longest chain whose second numbers rise too (patience sorting)."""
    tops: list[int] = []
    at: list[int] = []
    before: list[int] = []
    for number, (_, place) in enumerate(pairs):
        pile = bisect_left(tops, place)
        before.append(at[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(place)
            at.append(number)
        else:
            tops[pile], at[pile] = place, number
    chain = []
    number = at[-1] if at else -1
    while number >= 0:
        chain.append(pairs[number])
        number = before[number]
    return chain[::-1]


def _small(
    first: Sequence[Hashable], second: Sequence[Hashable], low: int, left: int
) -> list[Pair]:
    blocks = SequenceMatcher(None, first, second, autojunk=False).get_matching_blocks()
    return [(low + one + n, left + other + n) for one, other, size in blocks for n in range(size)]


def likeness(first: Counter[Hashable], second: Counter[Hashable]) -> float:
    """Of two bags of words, from 0 to 1 (Dice)."""
    whole = first.total() + second.total()
    return 2 * (first & second).total() / whole if whole else 1.0


def pairs_alike(count: int, others: int, alike: Callable[[int, int], float]) -> list[Pair]:
    """Pairs of changed items in a gap, in order, so that their likeness in sum is the greatest.

    `alike` gives 0 for what must not be paired. A gap that is too large is paired place by place.
    """
    if count * others > _BLOCKS_CELLS_MAX:
        places = range(min(count, others))
        return [(one, one) for one in places if alike(one, one) >= LEAST_ALIKE]
    best = [[0.0] * (others + 1) for _ in range(count + 1)]
    scores: dict[Pair, float] = {}
    for one in range(count - 1, -1, -1):
        for other in range(others - 1, -1, -1):
            best[one][other] = max(best[one + 1][other], best[one][other + 1])
            score = alike(one, other)
            if score >= LEAST_ALIKE:
                scores[one, other] = score
                best[one][other] = max(best[one][other], score + best[one + 1][other + 1])
    found, one, other = [], 0, 0
    while one < count and other < others:
        score = scores.get((one, other), 0.0)
        if score and best[one][other] == score + best[one + 1][other + 1]:
            found.append((one, other))
            one, other = one + 1, other + 1
        elif best[one][other] == best[one + 1][other]:
            one += 1
        else:
            other += 1
    return found
