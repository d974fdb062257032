"""Risk bounds from Lipschitz constants, against optimisation in float64 and against laws that every bound obeys."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from wdaverify.knapsack import fill
from wdaverify.risk.lipschitz_bounds import distance_floor, mean_hinge, risk_growth, saturated_growth

ORDERS = [1.0, 1.0 + 2.0**-40, 1.25, 2.0, 3.0, 17.5, 1e6, math.inf]


@st.composite
def problems(draw):
    count = draw(st.integers(1, 5))
    masses = draw(st.lists(st.integers(0, 6), min_size=count, max_size=count).filter(any))
    weights = [Fraction(m, sum(masses)) for m in masses]
    constants = draw(st.lists(st.sampled_from([0.0, 0.3, 1.0, 1.5, 2.0, 40.0]), min_size=count, max_size=count))
    rooms = draw(
        st.lists(st.sampled_from([Fraction(0), Fraction(1, 10), Fraction(1), Fraction(9), None]), min_size=count, max_size=count)
    )
    return constants, rooms, weights, draw(st.sampled_from([0.01, 0.5, 3.0]))


def best_plan(constants, rooms, weights, radius, order):
    """The largest gain over plans, by bisection of the multiplier; every plan it looks at is feasible."""
    c, w = np.array(constants), np.array([float(v) for v in weights])
    s = np.array([math.inf if room is None else float(room) for room in rooms])
    keep = (c > 0) & (w > 0) & (s > 0)
    c, w, s = c[keep], w[keep], s[keep]
    if not len(c):
        return 0.0
    limit = np.where(np.isfinite(s), s / c, np.inf)
    if math.isinf(order):
        return float(w @ (c * np.minimum(limit, radius)))
    if order == 1:
        width = np.where(np.isfinite(limit), limit, radius / w)
        found = linprog(
            -w * c, A_ub=w[None], b_ub=[radius], bounds=list(zip(np.zeros(len(c)), width, strict=True)), method="highs"
        )
        return -found.fun
    low, high = -300.0 - 10 * order, 300.0 + 10 * order
    for _ in range(300):
        middle = 0.5 * (low + high)
        with np.errstate(over="ignore", under="ignore"):
            t = np.minimum(np.exp(np.minimum((np.log(c / order) - middle) / (order - 1), 700.0 / order)), limit)
            cost = float(w @ (t / radius) ** order)
        low, high = (middle, high) if cost > 1 else (low, middle)
    with np.errstate(over="ignore", under="ignore"):
        t = np.minimum(np.exp(np.minimum((np.log(c / order) - high) / (order - 1), 700.0 / order)), limit)
    return float(w @ (c * t))


@settings(deadline=None, max_examples=150)
@given(problems(), st.sampled_from(ORDERS))
def test_saturated_growth_is_what_the_best_plan_gains(problem, order):
    constants, rooms, weights, radius = problem
    bound = saturated_growth(constants, rooms, weights, radius=radius, order=order)
    plain = risk_growth(constants, weights, radius=radius, order=order)
    best = best_plan(constants, rooms, weights, radius, order)
    assert bound >= Fraction(best) * (1 - Fraction(1, 10**9))
    assert bound <= plain
    if 1.01 < order < 100 or order in (1.0, math.inf):
        assert float(bound) == pytest.approx(best, rel=1e-6, abs=1e-12)


@settings(deadline=None, max_examples=100)
@given(problems(), st.sampled_from(ORDERS))
def test_growth_is_hoelders(problem, order):
    constants, _, weights, radius = problem
    none = [None] * len(weights)
    growth = risk_growth(constants, weights, radius=radius, order=order)
    if 1.01 < order < 100 or order in (1.0, math.inf):
        assert float(growth) == pytest.approx(best_plan(constants, none, weights, radius, order), rel=1e-6, abs=1e-12)
    assert saturated_growth(constants, none, weights, radius=radius, order=order) <= growth
    c, w = [Fraction(v) for v in constants], weights
    largest = max((a for a, b in zip(c, w, strict=True) if b > 0), default=Fraction(0))
    # between the ends p = inf and p = 1, and exact where the square root is known
    assert Fraction(radius) * sum(a * b for a, b in zip(c, w, strict=True)) <= growth <= Fraction(radius) * largest
    if order == 2:
        assert growth**2 >= Fraction(radius) ** 2 * sum(b * a * a for a, b in zip(c, w, strict=True))


@given(problems())
def test_bounds_fall_with_the_order(problem):
    constants, rooms, weights, radius = problem
    for bound in (
        lambda p: risk_growth(constants, weights, radius=radius, order=p),
        lambda p: saturated_growth(constants, rooms, weights, radius=radius, order=p),
    ):
        values = [bound(p) for p in (1.0, 1.5, 2.0, 4.0, math.inf)]
        assert all(a >= b * (1 - Fraction(1, 10**6)) for a, b in pairwise(values))


def test_unknown_constants():
    half = [Fraction(1, 2), Fraction(1, 2)]
    for order in (1.0, 2.0, math.inf):
        assert risk_growth([math.inf, 1.0], half, radius=0.1, order=order) is None
        assert risk_growth([math.inf, 1.0], half, radius=0.0, order=order) == 0
        assert risk_growth([math.inf, 1.0], [Fraction(0), Fraction(1)], radius=0.5, order=order) == Fraction(1, 2)
        assert saturated_growth([math.inf, 1.0], [None, None], half, radius=0.1, order=order) is None
        assert saturated_growth([math.inf, math.inf], [Fraction(3), Fraction(1)], half, radius=0.1, order=order) == 2
        assert saturated_growth([0.0, 0.0], [None, Fraction(1)], half, radius=0.1, order=order) == 0
    # nothing is left of the radius after a free rise: the other sample still gets all of it
    assert saturated_growth([math.inf, 1.0], [Fraction(3), None], half, radius=0.25, order=1.0) == Fraction(7, 4)


def test_extreme_sizes():
    one = [Fraction(1)]
    for scale in (1e-300, 1e300):
        for order in (1.0 + 2.0**-52, 1.5, 1e15):
            growth = risk_growth([scale], one, radius=0.5, order=order)
            assert Fraction(scale) / 2 <= growth <= Fraction(scale) / 2 * (1 + Fraction(1, 10**12))
            assert saturated_growth([scale], [Fraction(1)], one, radius=0.5, order=order) <= growth


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.floats(-4, 1), min_size=1, max_size=5),
    st.floats(0.01, 5),
    st.floats(0.01, 1),
    st.sampled_from([1.0, 2.0, math.inf]),
)
def test_the_hinge_is_never_better_than_distances_for_order_one(margins, constant, radius, order):
    """Scaled hinges bound the zero-one loss, and the knapsack of distances is the best of them."""
    weights = [Fraction(1, len(margins))] * len(margins)
    exact = [Fraction(m) for m in margins]
    floors = [distance_floor(m, constant) for m in exact]
    knapsack = fill(floors, weights, radius=radius, order=order, costly=False).value
    growth = risk_growth([constant] * len(margins), weights, radius=radius, order=order)
    hinge = mean_hinge(exact, weights) + growth
    assert knapsack <= hinge + Fraction(1, 10**9)
    assert mean_hinge(exact, weights) >= sum(w for w, m in zip(weights, exact, strict=True) if m >= 0)


def test_distance_floors_are_rounded_down():
    rng = np.random.default_rng(0)
    for margin, constant in zip(-rng.exponential(size=50), rng.exponential(size=50), strict=True):
        assert Fraction(distance_floor(Fraction(margin), constant)) * Fraction(constant) <= -Fraction(margin)
    assert distance_floor(Fraction(-1), math.inf) == 0.0
    assert distance_floor(Fraction(1), 1.0) == 0.0
