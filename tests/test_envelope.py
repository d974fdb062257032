"""The master without a solver, against a linear program; hulls against their definition."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from wdaverify.risk.columns import promising
from wdaverify.risk.envelope import fill_budget, upper_hull

SMALL = st.integers(-12, 12).map(lambda k: Fraction(k, 4))
COSTS = st.integers(1, 12).map(lambda k: Fraction(k, 3))


@st.composite
def samples(draw):
    """Points of one to five samples, with repetitions and ties, and weights of which some are 0."""
    count = draw(st.integers(1, 5))
    points = []
    for _ in range(count):
        rest = draw(st.lists(st.tuples(COSTS, SMALL), max_size=6))
        points.append([(Fraction(0), draw(SMALL)), *rest])
    shares = draw(st.lists(st.integers(0, 3), min_size=count, max_size=count).filter(any))
    return points, [Fraction(s, sum(shares)) for s in shares]


def by_program(points, weights, budget, ray=0.0):
    """The same optimum by scipy, with one more column for what is spent at infinity."""
    columns = [(i, c, v) for i, own in enumerate(points) for c, v in own]
    objective = [-float(weights[i] * v) for i, _, v in columns] + [-ray]
    spent = [[float(weights[i] * c) for i, c, _ in columns] + [1.0]]
    whole = [[float(i == k) for i, _, _ in columns] + [0.0] for k in range(len(points))]
    bounds = [(0, 1)] * len(columns) + [(0, None if ray > 0 else 0)]
    return linprog(objective, A_ub=spent, b_ub=[float(budget)], A_eq=whole, b_eq=np.ones(len(points)), bounds=bounds)


@settings(max_examples=150, deadline=None)
@given(samples(), st.integers(0, 20).map(lambda k: Fraction(k, 8)), st.sampled_from([0, 1, 3]))
def test_filling_is_the_linear_program(drawn, budget, ray):
    points, weights = drawn
    hulls = [upper_hull(*zip(*own, strict=True)) for own in points]
    solved = fill_budget(hulls, weights, budget, Fraction(ray))
    assert float(solved.value) == pytest.approx(-by_program(points, weights, budget, float(ray)).fun, abs=1e-9)
    # the multiplier proves it: lambda * budget + sum of the best l - lambda c is the same number, exactly
    price = solved.multiplier
    assert price >= ray
    dual = price * budget + sum(w * max(v - price * c for c, v in own) for w, own in zip(weights, points, strict=True))
    assert dual == solved.value


@settings(max_examples=150, deadline=None)
@given(samples(), st.integers(0, 20).map(lambda k: Fraction(k, 8)))
def test_the_solution_is_a_distribution_with_one_split_sample(drawn, budget):
    points, weights = drawn
    hulls = [upper_hull(*zip(*own, strict=True)) for own in points]
    solved = fill_budget(hulls, weights, budget)
    cost = value = Fraction(0)
    for i, (hull, weight, corner) in enumerate(zip(hulls, weights, solved.corners, strict=True)):
        part = solved.split[1] if solved.split is not None and solved.split[0] == i else Fraction(0)
        assert 0 <= part < 1
        parts = [(1 - part, hull[corner])] + ([(part, hull[corner + 1])] if part else [])
        cost += weight * sum(share * vertex.cost for share, vertex in parts)
        value += weight * sum(share * vertex.value for share, vertex in parts)
    assert value == solved.value
    assert cost <= budget
    assert cost == budget or solved.multiplier == 0


@settings(max_examples=150, deadline=None)
@given(samples())
def test_hulls_lie_above_all_points_and_have_no_needless_corner(drawn):
    for own in drawn[0]:
        hull = upper_hull(*zip(*own, strict=True))
        slopes = [(b.value - a.value) / (b.cost - a.cost) for a, b in pairwise(hull)]
        assert all(s > 0 for s in slopes)
        assert all(a > b for a, b in pairwise(slopes))
        assert all((own[v.column][0], own[v.column][1]) == (v.cost, v.value) for v in hull)
        assert hull[-1].value == max([v for _, v in own[1:]] + [own[0][1]])
        lines = [*((s, a) for s, a in zip(slopes, hull, strict=False)), (Fraction(0), hull[-1])]
        for cost, value in own:
            assert min(a.value + s * (cost - a.cost) for s, a in lines) >= value


@settings(max_examples=100, deadline=None)
@given(samples())
def test_the_float_hull_keeps_every_corner_that_the_exact_one_has(drawn):
    for own in drawn[0]:
        costs, values = (np.array([float(v) for v in part]) for part in zip(*own, strict=True))
        kept = {(costs[1:][k], values[1:][k]) for k in promising(costs[1:], values[1:], costs[:1], values[:1])}
        for vertex in upper_hull(*zip(*own, strict=True))[1:]:
            assert (float(vertex.cost), float(vertex.value)) in kept


def test_samples_without_weight_and_points_that_are_worth_less_stay_out():
    hull = upper_hull([Fraction(0), Fraction(1), Fraction(1)], [Fraction(0), Fraction(-1), Fraction(2)])
    assert [v.column for v in hull] == [0, 2]
    solved = fill_budget([hull, hull], [Fraction(0), Fraction(1)], Fraction(5))
    assert (solved.corners, solved.value, solved.multiplier) == ((0, 1), 2, 0)
