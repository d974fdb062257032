"""The price of a margin on R^n: far away it is a question of sign, and near and far together it is what a wide grid says."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp, random_mlp
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.functionals import parse_functional
from wdaverify.growth.slope import slope
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.shifted import shifted
from wdaverify.pricing.by_search import SearchPrices
from wdaverify.pricing.far import FarPrices
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.pricing.whole_space import WholeSpacePrices
from wdaverify.program.backend import get_backend
from wdaverify.transport import GroundCost

HIGHS = get_backend("highs")
# margin of label 0: relu(x - 10) - relu(x - 30) / 2 - 1, flat at first, steep from 10 on, then half as steep
LATE = mlp([[[1.0], [1.0]], [[0.0, 0.0], [1.0, -0.5]]], [[-10.0, -30.0], [0.0, -1.0]])


@settings(max_examples=30, deadline=None)
@given(small_networks(), st.integers(0, 10_000))
def test_shifting_is_exact(network, seed):
    rng = np.random.default_rng(seed)
    center, offsets, step = rng.normal(size=2), rng.normal(size=3), rng.integers(-8, 8, 2) / 4.0
    moved = exact_forward(shifted(network, center, offsets), step.tolist())
    point = [Fraction(c) + Fraction(s) for c, s in zip(center.tolist(), step.tolist(), strict=True)]
    plain = exact_forward(network, point)
    assert moved == tuple(v + Fraction(a) for v, a in zip(plain, offsets.tolist(), strict=True))


def margins(network, points, label):
    logits = network.compiled.forward(points)
    return np.delete(logits, label, axis=1).max(axis=1) - logits[:, label]


@settings(max_examples=12, deadline=None)
@given(small_networks(), st.integers(0, 2), st.sampled_from([Norm.L1, Norm.LINF]), st.sampled_from([1.01, 1.5, 4.0]))
def test_nothing_far_away_exceeds_the_bound(network, label, norm, factor):
    steep = slope(HIGHS, network, parse_functional(f"label:{label}", 3), norm).value.upper
    center = np.array([0.25, -0.5])
    far, rate = FarPrices(HIGHS, network, label, center, norm, 2.0), factor * max(steep, 0.1)
    assert far.upper(rate) == math.inf
    far.work(rate, -3.0, 1e-6, Deadline.after(20.0))
    bound = far.upper(rate)
    rng = np.random.default_rng(0)
    rings = rng.normal(size=(4000, 2))
    steps = rings / np.abs(rings).max(axis=1, keepdims=True) * np.geomspace(2.0, 1e4, 4000)[:, None]
    values = margins(network, center + steps, label) - rate * np.linalg.norm(steps, ord=norm.order, axis=1)
    assert bound >= values.max() - 1e-8
    assert math.isfinite(bound)
    # it is not far above, either: some point far away, or the target, is as good
    known = max(
        [-3.0, *(margins(network, p[None], label)[0] - rate * np.linalg.norm(p - center, ord=norm.order) for p in far.points)]
    )
    assert bound <= known + 2e-6
    assert far.upper(2.0 * rate) <= bound


def question(network, center, norm=Norm.LINF, order=1.0):
    return PriceQuestion(
        network=network, label=0, center=center, cost=GroundCost(norm, order), domain=Box.whole_space().sized(len(center))
    )


def whole(asked):
    return WholeSpacePrices(asked, lambda box: SearchPrices(replace(asked, domain=box), HIGHS), HIGHS, slope=0.5)


@pytest.mark.parametrize("rate", [0.51, 0.6, 0.75, 0.95])
def test_a_gain_that_begins_beyond_the_box_is_found(rate):
    """From 0 the best point is the knee at 30, worth ``19 - 30 rate``, or the sample itself, worth -1."""
    prices = whole(question(LATE, np.zeros(1)))
    points = prices.work(rate, cut=-1.0, gap=1e-6, deadline=Deadline())
    best = max(-1.0, 19.0 - 30.0 * rate)
    assert best - 1e-9 <= prices.upper(rate) <= best + 2e-6
    if best > -1.0:
        assert any(abs(p[0] - 30.0) < 1e-3 for p in points)


def test_below_the_slope_nothing_is_known():
    prices = whole(question(LATE, np.zeros(1)))
    prices.work(0.4, cut=-1.0, gap=1e-6, deadline=Deadline.after(5.0))
    assert prices.upper(0.4) == math.inf


def test_higher_orders_need_no_slope():
    """The margin from 1 on, ``m(1 + d) - lambda d^2``: with lambda = 1/100 best at the knee."""
    prices = whole(question(LATE, np.ones(1), order=2.0))
    for multiplier in (0.01, 0.02):
        prices.work(multiplier, cut=-1.0, gap=1e-4, deadline=Deadline.after(30.0))
        grid = np.linspace(-50, 200, 250_001)[:, None]
        best = (margins(LATE, grid, 0) - multiplier * (grid[:, 0] - 1.0) ** 2).max()
        assert best - 1e-9 <= prices.upper(multiplier) <= best + 2e-4


def test_l2_is_not_searched_far_away():
    network = random_mlp([2, 4, 3], 1)
    prices = whole(question(network, np.zeros(2), Norm.L2))
    prices.work(1e3, cut=-10.0, gap=1e-3, deadline=Deadline.after(10.0))
    assert prices.upper(1e3) == math.inf
