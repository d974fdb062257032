"""Prices by shells, clipping and search: against cells and grids, at multipliers that were and were not asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tests.networks import random_mlp
from tests.oracles import enumerate_cells
from tests.strategies import degenerate_networks, small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.ir.evaluate import forward
from wdaverify.pricing.by_milp import MilpPrices
from wdaverify.pricing.by_search import _DEEPEST, SearchPrices, _Pricing
from wdaverify.pricing.engines import ENGINES
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.program.backend import get_backend
from wdaverify.transport import GroundCost

HIGHS = get_backend("highs")
BOX = Box(-1, 1).sized(2)
AXIS = np.linspace(-1, 1, 81)
GRID = np.stack(np.meshgrid(AXIS, AXIS), axis=-1).reshape(-1, 2)
UNASKED = (0.0, 0.1, 0.7, 1.5, 2.7, 5.0, 20.0)

NETWORKS = st.one_of(small_networks(), degenerate_networks())
CENTERS = st.tuples(st.floats(-1, 1), st.floats(-1, 1))


def question_at(network, center, cost, reach=np.inf, box=BOX):
    center = np.asarray(center, dtype=float)
    label = int(np.argmax(forward(network, center[None])[0]))
    return PriceQuestion(network=network, label=label, center=center, cost=cost, domain=box, reach=reach)


def values(question, points, multiplier):
    gains = (forward(question.network, points) @ question.rows.T).max(axis=1)
    steps = (points - question.center) * (1.0 if question.cost.scales is None else question.cost.scales)
    distances = np.linalg.norm(steps, ord=question.cost.norm.order, axis=1)
    return np.where(distances <= question.reach, gains - multiplier * distances**question.cost.order, -np.inf)


def phi_by_cells(question, multiplier, cells):
    """The best of one linear program per cell and rival (p = 1, l1 or linf)."""
    best, n = -np.inf, question.network.inputs
    for cell in cells:
        for row in question.rows:
            slope, offset = row @ cell.slope, row @ cell.offset
            if question.cost.norm is Norm.LINF:
                extra, cost = 1, np.ones(1)
                pieces = np.block([[np.eye(n), -np.ones((n, 1))], [-np.eye(n), -np.ones((n, 1))]])
            else:
                extra, cost = n, np.ones(n)
                pieces = np.block([[np.eye(n), -np.eye(n)], [-np.eye(n), -np.eye(n)]])
            rows = np.vstack([np.hstack([cell.rows, np.zeros((len(cell.rows), extra))]), pieces])
            sides = np.concatenate([cell.sides, question.center, -question.center])
            bounds = [(None, None)] * n + [(0, None)] * extra
            result = linprog(np.concatenate([-slope, multiplier * cost]), A_ub=rows, b_ub=sides, bounds=bounds, method="highs")
            assert result.status == 0
            best = max(best, offset - result.fun)
    return best


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("seed", range(2))
def test_exact_at_order_one(norm, seed):
    network = random_mlp([2, 4, 3, 3], seed)
    question = question_at(network, np.random.default_rng(seed).uniform(-1, 1, 2), GroundCost(norm))
    prices, cells = SearchPrices(question, HIGHS), list(enumerate_cells(network, BOX))
    for multiplier in (2.0, 0.0, 0.5):
        truth = phi_by_cells(question, multiplier, cells)
        points = prices.work(multiplier, cut=-np.inf, gap=1e-7, deadline=Deadline())
        assert prices.upper(multiplier) == pytest.approx(truth, abs=2e-7)
        assert prices.upper(multiplier) >= truth - 1e-9
        assert values(question, points[-1:], multiplier)[0] == pytest.approx(truth, abs=1e-7)
    for multiplier in (0.2, 1.1):
        assert prices.upper(multiplier) >= phi_by_cells(question, multiplier, cells) - 1e-9


@settings(max_examples=12, deadline=None)
@given(NETWORKS, st.sampled_from([Norm.LINF, Norm.L1]), st.permutations([0.0, 0.3, 2.0]), CENTERS)
def test_closes_and_covers_the_grid(network, norm, multipliers, center):
    question = question_at(network, center, GroundCost(norm))
    prices = SearchPrices(question, HIGHS)
    for multiplier in multipliers:
        points = prices.work(multiplier, cut=-np.inf, gap=1e-6, deadline=Deadline())
        assert BOX.contains(points).all()
        assert prices.upper(multiplier) <= values(question, points, multiplier).max() + 1.01e-6
    for multiplier in UNASKED:
        assert prices.upper(multiplier) >= values(question, GRID, multiplier).max() - 1e-12


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize(("order", "scales"), [(1.0, None), (2.0, None), (2.0, (0.5, 3.0)), (1.0, (0.5, 3.0))])
def test_every_norm_order_and_weighting(norm, order, scales):
    network = random_mlp([2, 5, 3], 3)
    question = question_at(network, (0.3, -0.6), GroundCost(norm, order, None if scales is None else np.array(scales)))
    prices = SearchPrices(question, HIGHS)
    for multiplier in (1.5, 0.2):
        points = prices.work(multiplier, cut=-np.inf, gap=1e-4, deadline=Deadline.after(20.0))
        assert prices.upper(multiplier) <= values(question, points, multiplier).max() + 1.01e-4
    for multiplier in UNASKED:
        assert prices.upper(multiplier) >= values(question, GRID, multiplier).max() - 1e-12


@pytest.mark.parametrize("norm", list(Norm))
@pytest.mark.parametrize("scales", [None, (0.5, 3.0)])
@pytest.mark.parametrize("seed", range(2))
def test_within_reach(norm, scales, seed):
    """Order inf: no price, and only the ball counts."""
    cost = GroundCost(norm, 1.0, None if scales is None else np.array(scales))
    question = question_at(random_mlp([2, 6, 4, 3], seed), (0.1, 0.8), cost, reach=0.4)
    prices = SearchPrices(question, HIGHS)
    points = prices.work(0.0, cut=-np.inf, gap=1e-6, deadline=Deadline.after(20.0))
    fine = question.center + 0.8 * GRID
    assert prices.upper(0.0) >= values(question, fine[BOX.contains(fine)], 0.0).max() - 1e-12
    lengths = [cost.bracket(point.tolist(), question.center)[1] for point in points]
    assert all(length <= question.reach for length in lengths)
    assert prices.upper(0.0) <= values(question, points * (1.0), 0.0).max() + 1.01e-6


def test_values_up_to_the_cut_are_left_alone():
    question = question_at(random_mlp([2, 8, 8, 3], 1), (0.2, 0.2), GroundCost(Norm.LINF))
    prices = SearchPrices(question, HIGHS)
    top = prices.upper(0.5)
    points = prices.work(0.5, cut=top - 1e-3, gap=1e-2, deadline=Deadline())
    assert len(points) == 0
    assert prices.nodes == 0
    assert prices.upper(0.5) <= top


@pytest.mark.parametrize("engine", ["search", "milp"])
def test_the_gap_is_kept_to_the_last_digit(engine):
    """Callers compare with ``cut + gap`` as it stands: a bound that is rounded up must not miss it."""
    question = question_at(random_mlp([2, 6, 5, 3], 3), (0.2, 0.2), GroundCost(Norm.L1))
    top = values(question, GRID, 0.3).max()
    for cut in top + np.linspace(0.1, 0.5, 9):
        prices = ENGINES[engine](question, HIGHS)
        prices.work(0.3, cut=float(cut), gap=1e-6, deadline=Deadline())
        assert prices.upper(0.3) <= cut + 1e-6


def test_a_passed_deadline_leaves_a_bound():
    question = question_at(random_mlp([2, 8, 8, 3], 1), (0.2, 0.2), GroundCost(Norm.L1))
    prices = SearchPrices(question, HIGHS)
    prices.work(0.1, cut=-np.inf, gap=1e-6, deadline=Deadline.after(0.0))
    assert np.isfinite(prices.upper(0.1))
    assert prices.upper(0.1) >= values(question, GRID, 0.1).max()


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1])
@pytest.mark.parametrize("reach", [np.inf, 0.3])
def test_the_second_opinion_agrees(norm, reach):
    question = question_at(random_mlp([2, 4, 3, 3], 5), (-0.4, 0.1), GroundCost(norm), reach)
    first, second = (make(question, HIGHS) for make in (ENGINES["search"], ENGINES["milp"]))
    for multiplier in (1.0, 0.0, 0.3):
        for prices in (first, second):
            prices.work(multiplier, cut=-np.inf, gap=1e-6, deadline=Deadline())
        assert second.upper(multiplier) == pytest.approx(first.upper(multiplier), abs=3e-6)


def test_the_second_opinion_says_what_it_cannot_price():
    for cost in (GroundCost(Norm.L2), GroundCost(Norm.L1, 2.0), GroundCost(Norm.LINF, 1.0, np.ones(2))):
        with pytest.raises(InputError, match="engine search"):
            MilpPrices(question_at(random_mlp([2, 3, 2], 0), (0.0, 0.0), cost), HIGHS)


def test_the_best_point_moves_to_a_vertex():
    question = question_at(random_mlp([2, 6, 3], 2), (0.3, -0.6), GroundCost(Norm.L1))
    prices = SearchPrices(question, HIGHS)
    prices.offer(GRID[::97])
    before = values(question, prices.candidates.points, 0.4).max()
    point = prices.polish(0.4, Deadline())
    assert BOX.contains(point).all()
    assert values(question, point, 0.4)[0] >= before


@pytest.mark.parametrize("inner", [0.0, 5e-324, 1e-300, 1e-200, 0.1])
def test_shells_of_any_size_are_halved_between_their_ends_or_not_at_all(inner):
    """The product of two lengths of 1e-200 is 0: no half may then lie between an inner end and 0."""
    network = random_mlp([2, 4, 2], 0)
    question = question_at(network, np.zeros(2), GroundCost(Norm.LINF, 3.0))
    pricing = _Pricing(SearchPrices(question, HIGHS), 0.1, -100.0, 1e-6, Deadline())
    part = replace(pricing._part(0, pricing._table.balls.neurons(0)), inner=inner)
    for outer in (np.nextafter(inner, np.inf), 2.0 * inner, 1e-310, 1.0):
        halves = pricing._halves(replace(part, outer=float(outer)), -100.0) if outer > inner else None
        if halves is not None:
            assert [(half.inner, half.outer) for half in halves] == [(inner, halves[0].outer), (halves[0].outer, outer)]
            assert inner < halves[0].outer < outer
    assert pricing._halves(replace(part, outer=1.0, depth=_DEEPEST), -100.0) is None
