"""Prices: whole credits, never less than one, rising with the size."""

from pathlib import Path

import pytest

from engine import registry
from engine.engine import Engine
from gateway import costs, pricing
from gateway.pricing import MIB, size_factor
from tests.gateway.samples import picture


@pytest.mark.parametrize(
    ("input_bytes", "factor"),
    [(0, 1), (25 * MIB, 1), (25 * MIB + 1, 2), (100 * MIB, 2), (100 * MIB + 1, 4), (10**12, 4)],
)
def test_the_size_step_decides_the_factor(input_bytes: int, factor: int) -> None:
    assert size_factor(input_bytes) == factor


def test_every_converter_has_a_weight_of_at_least_one() -> None:
    assert set(pricing.WEIGHTS) == {converter.name for converter in registry.CONVERTERS}
    assert min(pricing.WEIGHTS.values()) >= 1


def test_a_converters_price_follows_the_cpu_of_a_usual_file_or_has_a_reason() -> None:
    declared = {one.name: one.credits for _, many in registry.DECLARED for one in many}
    assert {*costs.MEASURED, *costs.REASONS} <= set(declared)
    astray = {
        name: credits
        for name, credits in declared.items()
        if name not in costs.REASONS
        and credits
        != (costs.credits_for(costs.MEASURED[name].cpu_ms) if name in costs.MEASURED else 1)
    }
    assert astray == {}


def test_a_reason_is_given_only_where_the_price_needs_one() -> None:
    declared = {one.name: one.credits for _, many in registry.DECLARED for one in many}
    needless = {
        name
        for name in costs.REASONS
        if name in costs.MEASURED
        and costs.credits_for(costs.MEASURED[name].cpu_ms) == declared[name]
    }
    assert needless == set()


def test_the_page_of_prices_is_the_committed_one() -> None:
    written = Path(__file__).parents[2] / "docs" / "pricing.md"
    assert written.read_text() == costs.page(), "python -m gateway.costs > docs/pricing.md"


def test_a_job_costs_its_converters_weight_times_its_size() -> None:
    small = Engine.plan("bmp", "png", {}, [picture("BMP")])
    assert pricing.price(small) == pricing.WEIGHTS["image.convert"]
    large = Engine.plan("bmp", "png", {}, [picture("BMP") + bytes(26 * MIB)])
    assert pricing.price(large) == 2 * pricing.WEIGHTS["image.convert"]
