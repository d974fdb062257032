"""Balls, plans, and distances with directed rounding."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.transport import (
    Atom,
    TransportPlan,
    WassersteinBall,
    distance_up,
    exact_distance,
    round_down,
    round_up,
    sqrt_up,
)

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
points = st.integers(1, 5).flatmap(lambda n: st.tuples(*(st.lists(finite, min_size=n, max_size=n) for _ in range(2))))


@pytest.mark.parametrize("radius", [-1.0, math.inf, math.nan, "a", None, 10**400])
def test_radius_must_be_finite_and_nonnegative(radius):
    with pytest.raises(InputError, match="radius"):
        WassersteinBall(radius)


@pytest.mark.parametrize("order", [0.5, math.nan, -math.inf, "two"])
def test_order_must_be_at_least_one(order):
    with pytest.raises(InputError, match="order"):
        WassersteinBall(0.1, order=order)


def test_norm_must_be_known_and_strings_are_converted():
    assert WassersteinBall(1, order=2, norm="l1") == WassersteinBall(1.0, 2.0, Norm.L1)
    assert WassersteinBall(0, math.inf).norm is Norm.LINF
    with pytest.raises(InputError, match="linf"):
        WassersteinBall(0.1, norm="l3")


@given(st.fractions())
def test_directed_rounding_is_tight(value):
    low, high = round_down(value), round_up(value)
    assert Fraction(low) <= value <= Fraction(high)
    assert high == low or math.nextafter(low, math.inf) == high


def test_directed_rounding_beyond_the_range():
    huge = Fraction(10) ** 400
    assert round_up(huge) == math.inf
    assert round_down(huge) == math.nextafter(math.inf, 0)
    assert round_up(-huge) == -math.nextafter(math.inf, 0)
    tiny = 1 / huge
    assert (round_down(tiny), round_up(tiny)) == (0.0, 5e-324)
    assert [math.copysign(1, f(Fraction(0))) for f in (round_down, round_up)] == [1, 1]


@given(st.fractions(min_value=0))
def test_square_roots_are_upper_bounds_and_tight(value):
    high = sqrt_up(value)
    assert value <= Fraction(high) ** 2
    below = math.nextafter(math.nextafter(high, 0.0), 0.0)
    assert Fraction(below) ** 2 < value or value == 0


@settings(deadline=None)
@given(points, st.sampled_from(Norm))
def test_distances_are_upper_bounds_and_tight(pair, norm):
    a, b = pair
    exact = exact_distance(a, b, norm)
    high = distance_up(a, b, norm)
    power = 2 if norm is Norm.L2 else 1
    assert math.isinf(high) or exact <= Fraction(high) ** power
    with np.errstate(over="ignore"):
        usual = float(np.linalg.norm(np.array(a) - np.array(b), norm.order))
    if 1e-100 < usual < 1e100:
        assert usual == pytest.approx(high, rel=1e-12)


def test_plan_marginal_and_cost():
    here, there = np.zeros(2), np.ones(2)
    plan = TransportPlan(
        (
            Atom(source=0, label=1, mass=0.25, cost=0.0, point=here),
            Atom(source=0, label=1, mass=0.25, cost=4.0, point=there),
            Atom(source=2, label=0, mass=0.5, cost=0.0, point=here),
        ),
        2.0,
    )
    assert plan.source_marginal(3).tolist() == [0.5, 0.0, 0.5]
    assert plan.cost == 1.0
    assert len(plan.moved) == 1
    assert plan.points.shape == (3, 2)
    assert TransportPlan(plan.atoms, math.inf).cost == 4.0
