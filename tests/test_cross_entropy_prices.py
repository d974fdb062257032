"""Prices of the cross-entropy: brackets that close on the vertices of all pieces, at every multiplier and after accidents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.convex_vertices import logits_and_distances
from tests.networks import mlp, random_mlp
from tests.search_prices import SearchPrices
from tests.strategies import degenerate_networks, small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.ir.evaluate import forward
from wdaverify.pricing.cross_entropy import CrossEntropyPrices
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.transport import GroundCost

FOREVER = Deadline.after(None)
UNIT = Box(-1, 1)


def question(network, center, label, norm=Norm.LINF):
    box = UNIT.sized(network.inputs)
    return PriceQuestion(network=network, label=label, center=center, cost=GroundCost(norm), domain=box)


def loss(logits, label):
    """The cross-entropy (N,) of logits (N, K), by NumPy's own log-sum-exp."""
    return np.logaddexp.reduce(logits, axis=1) - logits[:, label]


def value_at(asked, points, multiplier):
    return loss(forward(asked.network, points), asked.label) - multiplier * asked.cost.lengths(points - asked.center)


@settings(max_examples=8, deadline=None)
@given(st.data(), st.integers(2, 3), st.sampled_from([Norm.L1, Norm.LINF]))
def test_prices_close_on_the_best_vertex(data, classes, norm):
    strategy = data.draw(st.sampled_from([small_networks, degenerate_networks]))
    network = data.draw(strategy(outputs=classes))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    center, label = rng.uniform(-1, 1, 2), data.draw(st.integers(0, classes - 1))
    asked = question(network, center, label, norm)
    logits, distances = logits_and_distances(network, UNIT, center, norm)
    losses = loss(logits, label)
    prices = CrossEntropyPrices(asked, SearchPrices)
    for multiplier in (0.0, *rng.exponential(2.0, 2)):
        truth = float((losses - multiplier * distances).max())
        assert prices.upper(multiplier) >= truth - 1e-9
        points = prices.work(multiplier, cut=-np.inf, gap=1e-6, deadline=FOREVER)
        assert not prices.saturated
        assert truth - 1e-9 <= prices.upper(multiplier) <= truth + 1.1e-6
        values = value_at(asked, points, multiplier)
        assert values[-1] == values.max()
        assert truth - 1.1e-6 <= values[-1] <= truth + 1e-9
        assert (np.abs(points) <= 1).all()
    for multiplier in rng.exponential(2.0, 20):
        assert prices.upper(float(multiplier)) >= (losses - multiplier * distances).max() - 1e-9


@pytest.mark.parametrize(("multiplier", "gap"), [(8.0, 1e-6), (0.5, 0.3)])
def test_ten_classes(multiplier, gap):
    network, center = random_mlp([2, 4, 10], 5), np.array([0.2, -0.3])
    logits, distances = logits_and_distances(network, UNIT, center, Norm.LINF)
    prices = CrossEntropyPrices(question(network, center, 7), SearchPrices)
    prices.work(multiplier, cut=-np.inf, gap=gap, deadline=FOREVER)
    truth = (loss(logits, 7) - multiplier * distances).max()
    assert truth - 1e-9 <= prices.upper(multiplier) <= truth + 1.1 * gap


@settings(max_examples=6, deadline=None)
@given(small_networks(outputs=5), st.integers(0, 2**32 - 1), st.sampled_from([Norm.L1, Norm.LINF]))
def test_shells_hold_all_points_whenever_time_runs_out(network, seed, norm):
    rng = np.random.default_rng(seed)
    center, label = rng.uniform(-1, 1, 2), int(rng.integers(5))
    asked = question(network, center, label, norm)
    logits, distances = logits_and_distances(network, UNIT, center, norm)
    prices = CrossEntropyPrices(asked, SearchPrices)
    for multiplier in rng.exponential(2.0, 2):
        prices.work(float(multiplier), cut=-np.inf, gap=1e-4, deadline=Deadline.after(0.5))
        for other in (multiplier, *rng.exponential(2.0, 5)):
            assert prices.upper(float(other)) >= (loss(logits, label) - other * distances).max() - 1e-9


def test_two_classes_are_priced_by_their_margin_alone():
    network, center = random_mlp([2, 6, 2], 3), np.array([0.1, 0.4])
    asked, built = question(network, center, 0), []

    def price(inner):
        built.append(inner)
        return SearchPrices(inner)

    prices = CrossEntropyPrices(asked, price)
    for multiplier in (2.0, 0.5, 0.1, 0.0):
        prices.work(multiplier, cut=-np.inf, gap=1e-8, deadline=FOREVER)
    assert [(inner.network, inner.label) for inner in built] == [(network, 0)]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3, 1e6])
def test_logits_of_any_size(scale):
    network = mlp(
        [[[1.0, 2.0], [-1.0, 1.0]], scale * np.array([[1.0, 0.0], [0.0, 1.0], [1.0, -1.0]])], [np.zeros(2), np.zeros(3)]
    )
    center = np.array([0.5, -0.5])
    asked = question(network, center, 1)
    logits, distances = logits_and_distances(network, UNIT, center, Norm.LINF)
    prices = CrossEntropyPrices(asked, SearchPrices)
    gap = 1e-6 * max(scale, 1.0)
    prices.work(0.7 * scale, cut=-np.inf, gap=gap, deadline=FOREVER)
    truth = (loss(logits, 1) - 0.7 * scale * distances).max()
    assert truth - 1e-9 * scale <= prices.upper(0.7 * scale) <= truth + 1.1 * gap


def test_a_constant_network():
    network = mlp([np.zeros((2, 2)), np.zeros((3, 2))], [np.zeros(2), np.array([1.0, 2.0, 3.0])])
    prices = CrossEntropyPrices(question(network, np.zeros(2), 0), SearchPrices)
    points = prices.work(1.0, cut=-np.inf, gap=1e-9, deadline=FOREVER)
    truth = np.log(1.0 + np.e + np.e**2)
    assert truth - 1e-12 <= prices.upper(1.0) <= truth + 1e-8
    assert points[-1].tolist() == [0.0, 0.0]


def test_what_is_below_the_cut_is_not_refined():
    network, center = random_mlp([2, 8, 3], 0), np.array([0.1, 0.4])
    asked = question(network, center, 0)
    before = SearchPrices.searches
    prices = CrossEntropyPrices(asked, SearchPrices)
    assert len(prices.work(0.1, cut=50.0, gap=1e-6, deadline=FOREVER)) == 0
    assert prices.upper(0.1) <= 50.0 + 1e-6
    assert SearchPrices.searches - before <= 2


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_no_time_leaves_a_valid_bound(classes):
    center = np.zeros(2)
    asked = question(random_mlp([2, 8, classes], 0), center, 0)
    logits, distances = logits_and_distances(asked.network, UNIT, center, Norm.LINF)
    prices = CrossEntropyPrices(asked, SearchPrices)
    for _ in range(2):
        assert prices.upper(1.0) >= (loss(logits, 0) - distances).max()
        assert len(prices.work(1.0, cut=-np.inf, gap=1e-6, deadline=Deadline.after(0.0))) == 1


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("order", [1.0, 1.5, 2.0])
def test_every_cost_and_reach(norm, order):
    axis = np.linspace(-1, 1, 101)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    center, reach = np.array([0.2, -0.3]), 0.6
    cost = GroundCost(norm, order, np.array([2.0, 0.5]) if order == 2.0 else None)
    for classes in (2, 5):
        network = random_mlp([2, 5, classes], classes)
        asked = PriceQuestion(network=network, label=0, center=center, cost=cost, domain=UNIT.sized(2), reach=reach)
        prices = CrossEntropyPrices(asked, SearchPrices)
        points = prices.work(1.3, cut=-np.inf, gap=1e-4, deadline=Deadline.after(0.4))
        assert (cost.lengths(points - center) <= reach).all()
        within = grid[cost.lengths(grid - center) <= reach]
        for multiplier in (0.0, 0.5, 1.3, 4.0):
            values = loss(forward(network, within), 0) - multiplier * cost.values(within - center)
            assert prices.upper(multiplier) >= values.max() - 1e-12


class NoPrices(SearchPrices):
    """Prices that never learn anything, and give back points that are none."""

    def work(self, multiplier, *, cut, gap, deadline):
        return np.array([[np.nan, 0.0], [7.0, 7.0], [0.5, 0.5]])


def test_useless_prices_end_the_work():
    asked = question(random_mlp([2, 8, 3], 0), np.zeros(2), 0)
    prices = CrossEntropyPrices(asked, NoPrices)
    points = prices.work(1.0, cut=-np.inf, gap=1e-6, deadline=FOREVER)
    assert prices.saturated
    assert prices.upper(1.0) > value_at(asked, points, 1.0).max() + 0.1
    assert (np.abs(points) <= 1).all()


class InterruptedPrices(SearchPrices):
    """Ctrl-C in the middle of some search."""

    left = 0

    def work(self, multiplier, *, cut, gap, deadline):
        InterruptedPrices.left -= 1
        if InterruptedPrices.left < 0:
            raise KeyboardInterrupt
        return super().work(multiplier, cut=cut, gap=gap, deadline=deadline)


@pytest.mark.parametrize("searches", [0, 1, 3, 6])
def test_an_interrupt_leaves_a_valid_bracket_that_can_be_sharpened(searches):
    center = np.array([0.3, -0.2])
    asked = question(random_mlp([2, 8, 3], 2), center, 1)
    logits, distances = logits_and_distances(asked.network, UNIT, center, Norm.LINF)
    truth = (loss(logits, 1) - 0.2 * distances).max()
    prices = CrossEntropyPrices(asked, InterruptedPrices)
    InterruptedPrices.left = searches
    with pytest.raises(KeyboardInterrupt):
        prices.work(0.2, cut=-np.inf, gap=1e-7, deadline=FOREVER)
    assert prices.upper(0.2) >= truth - 1e-9
    InterruptedPrices.left = 1000
    prices.work(0.2, cut=-np.inf, gap=1e-7, deadline=FOREVER)
    assert truth - 1e-9 <= prices.upper(0.2) <= truth + 1e-6
