"""Prices on constrained domains, against brute force over integer points and cells, and against themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.constrained_oracle import brute_price
from tests.networks import mlp, random_mlp
from wdaverify._deadline import Deadline
from wdaverify.pricing.constrained import ConstrainedPrices
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.program.backend import get_backend
from wdaverify.transport import GroundCost

GAP = 1e-6
LEEWAY = 1e-8  # of the oracle's linear programs

GROUP = wv.Domain(wv.Box([0, 0, 0, -1], [1, 1, 1, 1]), one_hot=[[0, 1, 2]], weights=[1.0, 0.5, 2.0, 1.0])
COUNTS = wv.Domain(wv.Box([0, 0, 0], [3, 1, 1]), integer=[1, 0, 0], rows=[[0, 1, 1], [0.25, -1, 0]], limits=[1.25, 0.5])
LINE = wv.Domain(wv.Box([0, 0, 0], [1, 1, 1]), frozen=[0, 1, 0], rows=[[1, 0, -1]], limits=[0.0])
CASES = [(GROUP, [0, 1, 0, 0.25]), (COUNTS, [1, 0.5, 0.5]), (LINE, [0.25, 0.5, 0.25])]


def question_of(network, domain, center, *, norm, label=0, order=1.0, reach=np.inf) -> PriceQuestion:
    center = np.array(center, dtype=float)
    cost = GroundCost(wv.Norm(norm), order, domain.weights)
    box, constraints = domain.box_about(center), domain.constraints
    return PriceQuestion(
        network=network, label=label, center=center, cost=cost, domain=box, reach=reach, constraints=constraints
    )  # fmt: skip


def prices_of(question) -> ConstrainedPrices:
    return ConstrainedPrices(question, get_backend("highs"))


def bracket(prices, multiplier, *, cut=-np.inf, gap=GAP) -> tuple[float, float]:
    prices.work(multiplier, cut=cut, gap=gap, deadline=Deadline())
    return prices.points.best(multiplier), prices.upper(multiplier)


@pytest.mark.parametrize("norm", ["linf", "l1"])
@pytest.mark.parametrize(("domain", "center"), CASES, ids=["one-hot", "integer and rows", "frozen"])
@pytest.mark.parametrize("seed", range(2))
def test_the_price_is_that_of_every_integer_point_and_cell(seed, domain, center, norm):
    network = random_mlp([domain.features, 3, 3, 3], seed)
    prices = prices_of(question_of(network, domain, center, norm=norm))
    for multiplier in (0.0, 0.25, 1.0):
        lower, upper = bracket(prices, multiplier)
        truth = brute_price(network, 0, np.array(center, float), domain, norm=norm, multiplier=multiplier)
        assert lower - LEEWAY <= truth <= upper + LEEWAY
        assert upper - lower <= 1.01 * GAP


@pytest.mark.parametrize("norm", ["linf", "l1"])
def test_reach_limits_the_points(norm):
    network = random_mlp([3, 5, 2], 4)
    for reach in (0.0, 0.2, 1.0, 1.3):
        prices = prices_of(question_of(network, COUNTS, [1, 0.5, 0.5], norm=norm, reach=reach))
        lower, upper = bracket(prices, 0.0)
        truth = brute_price(network, 0, np.array([1, 0.5, 0.5]), COUNTS, norm=norm, multiplier=0.0, reach=reach)
        assert lower - LEEWAY <= truth <= upper + LEEWAY
        assert upper - lower <= 1.01 * GAP


def test_bounds_of_one_multiplier_serve_all():
    network = random_mlp([3, 6, 2], 9)
    worked, fresh = (prices_of(question_of(network, COUNTS, [1, 0.5, 0.5], norm="l1")) for _ in range(2))
    for multiplier in (2.0, 0.1, 0.7):
        bracket(worked, multiplier)
    for multiplier in (0.0, 0.05, 0.4, 1.5, 5.0):
        before = worked.upper(multiplier)
        lower, _ = bracket(fresh, multiplier)
        assert before >= lower


def test_all_points_satisfy_everything_and_the_cut_is_kept():
    network = random_mlp([4, 6, 3], 2)
    center = np.array([0, 1, 0, 0.25])
    prices = prices_of(question_of(network, GROUP, center, norm="l1"))
    prices.offer(np.array([[0.4, 0.3, 0.3, 5.0], [1, 0, 0, 0.0], [np.nan, 0, 0, 0]]))
    points = prices.work(0.1, cut=-np.inf, gap=GAP, deadline=Deadline())
    assert len(points)
    assert all(GROUP.broken(point, center) is None for point in points)
    top = prices.points.best(0.1)
    assert len(prices.work(0.1, cut=top, gap=GAP, deadline=Deadline())) == 0
    assert prices.upper(0.1) <= top + 1.01 * GAP


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(-2, 2), min_size=3, max_size=3), st.sampled_from(["l1", "linf", "l2"]))
def test_weights_of_powers_of_two_are_a_change_of_units(seed, exponents, norm):
    """``f(x)`` at cost ``||S x||`` is ``f(x' / S)`` at cost ``||x'||``: all numbers stay floats."""
    scales, generator = 2.0 ** np.array(exponents), np.random.default_rng(seed)
    first, second = generator.normal(size=(4, 3)), generator.normal(size=(2, 4))
    weighted = wv.Domain(wv.Box([0, 0, 0], [1, 1, 1]), weights=scales, rows=[[1, 1, -1]], limits=[0.75])
    plain = wv.Domain(wv.Box(np.zeros(3), scales), rows=[np.array([1, 1, -1]) / scales], limits=[0.75])
    center = np.array([0.25, 0.5, 0.5])
    one = prices_of(question_of(mlp([first, second], [np.ones(4), np.zeros(2)]), weighted, center, norm=norm))
    other = prices_of(question_of(mlp([first / scales, second], [np.ones(4), np.zeros(2)]), plain, center * scales, norm=norm))
    for multiplier in (0.0, 0.5):
        (a, b), (c, d) = bracket(one, multiplier, gap=1e-4), bracket(other, multiplier, gap=1e-4)
        assert max(a, c) <= min(b, d) + 1e-12
        assert max(b, d) - min(a, c) <= 2.1e-4


@pytest.mark.parametrize(("norm", "order"), [("linf", 2.0), ("l1", 1.5), ("l2", 1.0), ("l2", 2.0), ("l2", 3.0)])
def test_powers_and_curved_norms_close_above_every_sampled_point(norm, order):
    network = random_mlp([3, 5, 4, 3], 1)
    center = np.array([1.0, 0.5, 0.5])
    question = question_of(network, COUNTS, center, norm=norm, order=order)
    prices = prices_of(question)
    axis = np.linspace(0, 1, 33)
    grid = np.array([(k, a, b) for k in range(4) for a in axis for b in axis])
    grid = grid[(grid @ COUNTS.constraints.rows.T <= COUNTS.constraints.limits).all(axis=1)]
    gains = (network.compiled.forward(grid) @ question.rows.T).max(axis=1)
    costs = np.linalg.norm(grid - center, ord=question.cost.norm.order, axis=1) ** order
    for multiplier in (0.2, 1.0):
        lower, upper = bracket(prices, multiplier, gap=1e-5)
        assert upper - lower <= 1.01e-5
        assert upper >= (gains - multiplier * costs).max()


def test_more_constraints_never_raise_the_price():
    network = random_mlp([3, 6, 3], 5)
    center = np.array([1.0, 0.5, 0.5])
    box = wv.Box([0, 0, 0], [3, 1, 1])
    chain = [
        wv.Domain(box),
        wv.Domain(box, rows=COUNTS.constraints.rows, limits=COUNTS.constraints.limits),
        COUNTS,
        wv.Domain(box, integer=[1, 0, 0], frozen=[0, 0, 1], rows=COUNTS.constraints.rows, limits=COUNTS.constraints.limits),
    ]
    brackets = [bracket(prices_of(question_of(network, domain, center, norm="linf")), 0.1) for domain in chain]
    for (_, wide), (narrow, _) in pairwise(brackets):
        assert narrow <= wide


def test_an_equality_keeps_the_bracket_honest():
    """``x_0 + x_1 = 1/10 + 1/5`` in floats: rows on both sides leave a face that may hold no float but the sample."""
    total = 0.1 + 0.2
    rows = np.array([[1.0, 1.0], [-1.0, -1.0]])
    network = mlp([np.array([[1.0, -1.0], [0.0, 0.0]])], [np.zeros(2)])
    center = np.array([0.25, total - 0.25])
    limits = np.array([float(np.sum(center)), -float(np.sum(center))])
    domain = wv.Domain(wv.Box([0, 0], [1, 1]), rows=rows, limits=limits)
    if domain.broken(center) is not None:
        pytest.skip("the sum is no float")
    prices = prices_of(question_of(network, domain, center, norm="linf", label=1))
    prices.work(0.0, cut=-np.inf, gap=GAP, deadline=Deadline.after(2.0))
    assert prices.upper(0.0) >= limits[0] - 1e-9  # all of the sum in x_0
    assert all(domain.broken(point) is None for point in prices.points.points)


def test_a_deadline_or_an_interrupt_leaves_proved_bounds(monkeypatch):
    network = random_mlp([3, 6, 3], 5)
    truth = brute_price(network, 0, np.array([1, 0.5, 0.5]), COUNTS, norm="linf", multiplier=0.1)
    late = prices_of(question_of(network, COUNTS, [1, 0.5, 0.5], norm="linf"))
    late.work(0.1, cut=-np.inf, gap=GAP, deadline=Deadline.after(0.0))
    assert late.upper(0.1) >= truth - LEEWAY

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    stopped = prices_of(question_of(network, COUNTS, [1, 0.5, 0.5], norm="linf"))
    monkeypatch.setattr("wdaverify.pricing.constrained.crown_bounds", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stopped.work(0.1, cut=-np.inf, gap=GAP, deadline=Deadline())
    assert stopped.upper(0.1) >= truth - LEEWAY
    monkeypatch.undo()
    assert bracket(stopped, 0.1)[1] >= truth - LEEWAY


def test_what_cannot_be_priced_is_refused():
    network = random_mlp([3, 4, 2], 0)
    with pytest.raises(wv.InputError, match="bounded"):
        prices_of(question_of(network, wv.Domain(wv.Box([0, 0, 0], [1, 1, np.inf])), [0, 0, 0], norm="l1"))
    with pytest.raises(wv.InputError, match="outside the domain"):
        prices_of(question_of(network, COUNTS, [0.5, 0.5, 0.5], norm="l1"))
    with pytest.raises(wv.InputError, match="too large"):
        prices_of(question_of(network, wv.Domain(wv.Box(np.zeros(3), np.full(3, 1e200))), [0, 0, 0], norm="l1", order=2.0))
