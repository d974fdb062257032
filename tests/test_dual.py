"""Upper ends: prices of growth against a fine grid, and samples' bounds against the points of a network."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_mlp
from tests.simple_prices import LyingPrices, PointPrices, SilentPrices
from wdaverify._errors import AuditError
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.region import Region
from wdaverify.risk.columns import Columns
from wdaverify.risk.dual import Ceiling, Growth
from wdaverify.risk.lipschitz_bounds import growth_price
from wdaverify.risk.loss_table import LOSSES
from wdaverify.transport import GroundCost

RATES = st.sampled_from([0.0, 0.25, 1.0, 3.0, math.inf])
ROOMS = st.sampled_from([None, Fraction(0), Fraction(1, 3), Fraction(5)])
MULTIPLIERS = st.sampled_from([0.0, 0.125, 0.9, 1.0, 4.0, 1e6])


@settings(max_examples=200, deadline=None)
@given(RATES, ROOMS, MULTIPLIERS, st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_growth_is_priced_as_on_a_grid(rate, room, multiplier, order):
    """``max_t [min(rate t, room) - lambda t^p]``: never below the grid, and close to it."""
    found = growth_price(rate, room, Fraction(multiplier), order)
    t = np.concatenate([np.linspace(0, 10, 20001), np.geomspace(1e-9, 1e4, 20001)])
    with np.errstate(invalid="ignore"):
        grown = np.where(t > 0, rate * t, 0.0)
    values = np.minimum(grown, math.inf if room is None else float(room)) - multiplier * t**order
    if found is None:
        assert room is None
        assert values.max() >= 999.0 or rate == math.inf
        return
    assert float(found) >= values.max() - 1e-9 * (1 + abs(values.max()))
    if math.isfinite(rate):
        assert float(found) <= values.max() + 1e-3 * (1 + abs(values.max()))


NETWORK = random_mlp([2, 5, 3], 4)
CENTER = np.array([0.25, 0.5])
GRID = np.stack(np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, 1, 21)), axis=-1).reshape(-1, 2)


def sample(loss, prices, growth=None, order=1.0):
    """A sample of a network whose only points are the grid."""
    cost = GroundCost(Norm.L1, order)
    question = PriceQuestion(network=NETWORK, label=1, center=CENTER, cost=cost, domain=Box(0, 1).sized(2))
    known, table = prices(question, GRID), LOSSES[loss]
    columns = Columns(NETWORK, table, Region.of(question.domain, CENTER), CENTER, 1, cost)
    return known, columns, Ceiling(table, known, columns, growth or Growth(), order)


def phi(loss, multiplier, order):
    logits = NETWORK.compiled.forward(np.vstack([CENTER[None], GRID]))
    values = LOSSES[loss].rough(logits, 1)
    lengths = np.abs(np.vstack([CENTER[None], GRID]) - CENTER).sum(axis=1)
    return float((values - multiplier * lengths**order).max())


@pytest.mark.parametrize("order", [1.0, 2.0])
@pytest.mark.parametrize("loss", ["margin", "hinge"])
def test_bounds_follow_from_prices_of_the_margin(loss, order):
    known, columns, ceiling = sample(loss, PointPrices, order=order)
    assert ceiling.upper(0.5) is None
    for multiplier in (0.0, 0.5, 2.0, 50.0):
        points = known.work(multiplier, cut=-math.inf, gap=1e-9, deadline=None)
        columns.offer(points)
        expected = phi(loss, multiplier, order)
        assert float(ceiling.upper(multiplier)) == pytest.approx(expected, abs=1e-9)
        assert columns.best(multiplier) == pytest.approx(expected, abs=1e-9)
        assert float(columns.exact_best(multiplier)) <= expected + 1e-12
    # what was proved for one multiplier holds for larger ones
    assert float(ceiling.upper(60.0)) <= float(ceiling.upper(50.0))


def test_growth_closes_a_sample_without_prices():
    _, columns, ceiling = sample("margin", SilentPrices, Growth(rate=100.0))
    assert ceiling.upper(100.0) == columns.nominal[1]
    assert ceiling.upper(99.0) is None
    _, columns, ceiling = sample("margin", SilentPrices, Growth(rate=100.0, room=Fraction(20)))
    assert ceiling.upper(50.0) == columns.nominal[1] + 10


@pytest.mark.parametrize("prices", [LyingPrices, SilentPrices])
def test_a_known_point_contradicts_a_bound_that_is_too_low(prices):
    lie = Growth(rate=1e-3) if prices is SilentPrices else None
    known, columns, ceiling = sample("margin", prices, lie)
    columns.offer(known.work(0.0, cut=-math.inf, gap=1e-9, deadline=None))
    with pytest.raises(AuditError, match="but one is worth"):
        ceiling.upper(0.0625)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 1.5, 2.0, 7.0]), st.sampled_from(list(Norm)))
def test_columns_never_promise_more_than_their_points_hold(seed, order, norm):
    """Costs are at least, losses at most the true ones; the hull is that of all points offered, up to rounding."""
    rng = np.random.default_rng(seed)
    cost = GroundCost(norm, order)
    columns = Columns(NETWORK, LOSSES["margin"], Region.of(Box(0, 1).sized(2), CENTER), CENTER, 1, cost)
    points = rng.uniform(0, 1, (30, 2))
    for part in np.split(points, 3):
        columns.offer(part)
    for vertex in columns.hull:
        point = columns.points[vertex.column]
        low, high = cost.bracket(CENTER, point)
        assert low <= vertex.cost
        assert high is not None
        assert vertex.cost <= high * (1 + Fraction(1, 2**120))
    logits = NETWORK.compiled.forward(points)
    values, costs = LOSSES["margin"].rough(logits, 1), cost.values(points - CENTER)
    for multiplier in (0.0, 0.5, 3.0, 40.0):
        best = max(float(columns.nominal[0]), float((values - multiplier * costs).max()))
        assert columns.best(multiplier) == pytest.approx(best, abs=1e-11)
