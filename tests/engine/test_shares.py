"""Spares follow demand, within a budget; nobody who is up goes without."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.shares import HALF_LIFE_S, Demand, shares

DEMAND = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e6), min_size=1)


@given(st.integers(0, 64), DEMAND)
def test_everybody_has_one_and_the_rest_of_the_budget_is_spent(
    budget: int, demand: dict[str, float]
) -> None:
    dealt = shares(budget, demand)
    assert dealt.keys() == demand.keys()
    assert min(dealt.values()) >= 1
    assert sum(dealt.values()) == max(budget, len(demand))


@given(st.integers(0, 64), DEMAND)
def test_who_is_asked_for_more_never_has_less(budget: int, demand: dict[str, float]) -> None:
    dealt = shares(budget, demand)
    assert all(
        dealt[one] >= dealt[other]
        for one in demand
        for other in demand
        if demand[one] > demand[other]
    )


@pytest.mark.parametrize(
    ("demand", "dealt"),
    [
        ({"image": 0, "pdf": 0}, {"image": 3, "pdf": 3}),
        ({"image": 100, "pdf": 0}, {"image": 5, "pdf": 1}),
        ({"image": 100, "pdf": 50}, {"image": 4, "pdf": 2}),
        ({"image": 1, "pdf": 1, "data": 1, "document": 10}, None),
    ],
)
def test_six_spares_are_dealt_out(demand: dict[str, float], dealt: dict[str, int] | None) -> None:
    wanted = dealt or {"image": 1, "pdf": 1, "data": 1, "document": 3}
    assert shares(6, demand) == wanted


def test_demand_halves_in_a_half_life() -> None:
    demand = Demand(["image", "pdf"])
    for second in range(8):
        demand.arrived("image", second / 100)
    demand.arrived("pdf", HALF_LIFE_S)
    later = demand.recent(2 * HALF_LIFE_S)
    assert later["image"] == pytest.approx(2, rel=0.01)
    assert later["pdf"] == pytest.approx(0.5)


def test_where_all_families_rest_nothing_is_dealt() -> None:
    assert shares(3, {}) == {}
