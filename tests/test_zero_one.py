"""The knapsack of distances against a linear program over couplings, and the identities that it must satisfy."""

from __future__ import annotations

import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from wdaverify.powers import power_bracket
from wdaverify.risk.zero_one import zero_one_risk

GOLDEN = json.loads((Path(__file__).parent / "data" / "golden" / "golden.json").read_text())["cases"]

lengths = st.one_of(st.just(0.0), st.just(math.inf), st.floats(1e-3, 4.0), st.sampled_from([0.25, 0.5, 1.0]))
orders = st.one_of(st.just(math.inf), st.floats(1.0, 8.0), st.sampled_from([1.0, 2.0, 3.0, 1.5]))
radii = st.one_of(st.just(0.0), st.floats(1e-3, 3.0), st.sampled_from([0.25, 0.5, 1.0]))


@st.composite
def data(draw):
    distances = draw(st.lists(lengths, min_size=1, max_size=6))
    masses = draw(st.lists(st.integers(1, 9), min_size=len(distances), max_size=len(distances)))
    return distances, [Fraction(m, sum(masses)) for m in masses]


def risk(distances, weights, radius, order):
    found = zero_one_risk(distances, distances, weights, radius=radius, order=order)
    assert 0 <= found.lower <= found.upper <= 1
    assert found.upper - found.lower < Fraction(1, 10**40)
    return found.lower


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-1, 1), st.integers(0, 1), st.integers(1, 5)), min_size=1, max_size=6),
    st.floats(0.01, 1.0),
    st.floats(1.0, 4.0),
)
def test_against_a_transport_program_on_the_line(samples, radius, order):
    """A threshold at 0 on the line: label 0 errs from 0 on, label 1 errs up to 0. Mass may go to 0 or to any sample."""
    total = sum(m for *_, m in samples)
    places = [0.0, *(x for x, *_ in samples)]
    cost, gain, marginals, masses = [], [], [], []
    for i, (x, label, mass) in enumerate(samples):
        masses.append(mass / total)
        for place in places:
            cost.append(abs(place - x) ** order / radius**order)
            gain.append(float(place >= 0 if label == 0 else place <= 0))
            marginals.append(i)
    rows = np.equal.outer(np.arange(len(samples)), marginals).astype(float)
    best = linprog([-g for g in gain], A_ub=[cost], b_ub=[1.0], A_eq=rows, b_eq=masses)
    assert best.status == 0
    distances = [max(0.0, -x) if label == 0 else max(0.0, x) for x, label, _ in samples]
    found = zero_one_risk(distances, distances, [Fraction(m, total) for *_, m in samples], radius=radius, order=order)
    assert float(found.lower) == pytest.approx(-best.fun, abs=1e-8)
    assert float(found.upper) == pytest.approx(-best.fun, abs=1e-8)


@settings(deadline=None)
@given(data(), orders)
def test_radius_zero_is_the_nominal_risk(question, order):
    distances, weights = question
    assert risk(distances, weights, 0.0, order) == sum(w for d, w in zip(distances, weights, strict=True) if d == 0)


@settings(deadline=None)
@given(data(), orders, radii, radii)
def test_nondecreasing_in_the_radius(question, order, one, two):
    assert risk(*question, min(one, two), order) <= risk(*question, max(one, two), order) + Fraction(1, 10**40)


@settings(deadline=None)
@given(data(), st.sampled_from([1, 2, 3]), st.tuples(*[st.integers(1, 40)] * 2))
def test_concave_in_the_power_of_the_radius(question, order, ends):
    """Radii whose powers are the ends and the middle of an interval; irrational ones are compared with room."""
    powers = (ends[0], Fraction(sum(ends), 2), ends[1])
    low, middle, high = (risk(*question, float(power) ** (1 / order) / 10, order) for power in powers)
    assert middle >= (low + high) / 2 - Fraction(1, 10**12)


@settings(deadline=None)
@given(data(), radii, st.floats(1.0, 30.0), st.floats(1.0, 30.0))
def test_nonincreasing_in_the_order(question, radius, one, two):
    chain = [risk(*question, radius, p) for p in (1.0, min(one, two), max(one, two), math.inf)]
    assert all(a >= b - Fraction(1, 10**40) for a, b in itertools.pairwise(chain))


@settings(deadline=None)
@given(data(), radii)
def test_huge_orders_tend_to_order_inf(question, radius):
    distances, weights = question
    clear = all(d == radius or not 0.99 < d / radius < 1.01 for d in distances) if radius else True
    if clear:
        difference = risk(distances, weights, radius, 1e6) - risk(distances, weights, radius, math.inf)
        # Samples at distance exactly the radius are affordable one at a time for finite orders, all at once for inf.
        assert difference <= Fraction(1, 10**9)


@settings(deadline=None)
@given(data(), orders, radii, st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 0.5)), min_size=6, max_size=6))
def test_wider_distances_give_a_wider_bracket(question, order, radius, slack):
    distances, weights = question
    lower = [max(0.0, d - s) if math.isfinite(d) else d for d, (s, _) in zip(distances, slack, strict=False)]
    upper = [d + s for d, (_, s) in zip(distances, slack, strict=False)]
    wide = zero_one_risk(lower, upper, weights, radius=radius, order=order)
    assert wide.lower <= risk(distances, weights, radius, order) + Fraction(1, 10**40)
    assert risk(distances, weights, radius, order) <= wide.upper


@settings(deadline=None)
@given(data(), st.floats(1.0, 8.0), st.floats(1e-3, 3.0))
def test_the_moved_mass_is_feasible_and_splits_one_sample(question, order, radius):
    distances, weights = question
    found = zero_one_risk(distances, distances, weights, radius=radius, order=order)
    assert sum(0 < m < w for m, w in zip(found.moved, weights, strict=True)) <= 1
    free = sum(w for d, w in zip(distances, weights, strict=True) if d == 0)
    assert found.lower == free + sum(found.moved)
    spent = mpmath.mpf(0)
    with mpmath.workdps(50):
        for m, d in zip(found.moved, distances, strict=True):
            if m:
                spent += mpmath.mpf(m.numerator) / m.denominator * (mpmath.mpf(d) / mpmath.mpf(radius)) ** mpmath.mpf(order)
        assert spent <= 1 + mpmath.mpf(10) ** -45


def test_multiplier_is_the_right_derivative():
    weights = [Fraction(1, 4)] * 4
    distances = [0.0, 0.5, 1.0, math.inf]
    for order, radius in ((1.0, 0.05), (2.0, 0.3), (3.0, 0.5)):
        here = zero_one_risk(distances, distances, weights, radius=radius, order=order)
        step = 1e-6
        there = zero_one_risk(distances, distances, weights, radius=(radius**order + step) ** (1 / order), order=order)
        assert here.multiplier == pytest.approx(float(there.lower - here.lower) / step, rel=1e-4)
    # At the kink where sample 1 is just paid for, one more unit goes to sample 2; later nothing is left to buy.
    assert zero_one_risk(distances, distances, weights, radius=0.125, order=1.0).multiplier == 1.0
    assert zero_one_risk(distances, distances, weights, radius=9.0, order=1.0).multiplier == 0.0
    assert zero_one_risk(distances, distances, weights, radius=9.0, order=math.inf).multiplier is None


def test_unknown_distances_give_the_trivial_ends():
    half = Fraction(1, 2)
    found = zero_one_risk([0.0, 0.0], [math.inf, math.inf], [half, half], radius=0.1, order=1.0)
    assert (found.lower, found.upper) == (0, 1)


def test_extreme_orders_and_radii_do_not_overflow():
    half = Fraction(1, 2)
    for order in (65.0, 1e3, 1e9, 1e300, 1.7976931348623157e308):
        found = zero_one_risk([1.0, 3.0], [1.0, 3.0], [half, half], radius=2.0, order=order)
        assert float(found.lower) == pytest.approx(0.5, abs=1e-9)
        assert float(found.upper) == pytest.approx(0.5, abs=1e-9)
        ties = zero_one_risk([1.0, 1.0], [1.0, 1.0], [half, half], radius=1.0, order=order)
        assert ties.lower == ties.upper == 1
    tiny = zero_one_risk([5e-324], [5e-324], [Fraction(1)], radius=1e308, order=64.0)
    assert tiny.lower == 1
    far = zero_one_risk([1e308], [1e308], [Fraction(1)], radius=5e-324, order=1e5)
    assert far.lower == 0
    assert far.upper < Fraction(1, 10**1000)


@settings(deadline=None)
@given(st.fractions(min_value=Fraction(1, 1000), max_value=1000), st.floats(1.0, 400.0))
def test_powers_enclose(base, order):
    low, high = power_bracket(base, order)
    with mpmath.workdps(120):
        true = (mpmath.mpf(base.numerator) / base.denominator) ** mpmath.mpf(order)
        room = mpmath.mpf(10) ** -110
        assert mpmath.mpf(low.numerator) / low.denominator <= true * (1 + room)
        assert mpmath.mpf(high.numerator) / high.denominator >= true * (1 - room)
        assert high - low <= high / 10**45


def golden_zero_one():
    for case in GOLDEN:
        by_norm = case.get("expected_by_r") or {"any": case["expected"]}
        for norm, expected in by_norm.items():
            for order, values in expected.get("zero_one", {}).items():
                for radius, value in values.items():
                    yield pytest.param(expected, float(order), float(radius), value, id=f"{case['name']}-{norm}-{order}-{radius}")


@pytest.mark.parametrize(("expected", "order", "radius", "value"), list(golden_zero_one()))
def test_golden_values(expected, order, radius, value):
    lower = [float(d) for d in expected.get("d_lo", expected.get("d"))]
    upper = [max(float(d), low) for d, low in zip(expected.get("d_hi", expected.get("d")), lower, strict=True)]
    weights = [Fraction(1, len(lower))] * len(lower)
    found = zero_one_risk(lower, upper, weights, radius=radius, order=order)
    assert float(found.lower) == pytest.approx(value, abs=1e-6)
    assert float(found.upper) == pytest.approx(value, abs=1e-6)
