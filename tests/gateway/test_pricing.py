"""Prices: whole credits, never less than one, rising with the size."""

import pytest

from engine import registry
from engine.engine import Engine
from gateway import pricing
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


def test_a_job_costs_its_converters_weight_times_its_size() -> None:
    small = Engine.plan("bmp", "png", {}, [picture("BMP")])
    assert pricing.price(small) == pricing.WEIGHTS["image.convert"]
    large = Engine.plan("bmp", "png", {}, [picture("BMP") + bytes(26 * MIB)])
    assert pricing.price(large) == 2 * pricing.WEIGHTS["image.convert"]
