"""Prices by shells, clipping and search, against values on grids, for every multiplier that they were or were not asked for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.strategies import degenerate_networks, small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.ir.evaluate import forward
from wdaverify.pricing.by_search import SearchPrices
from wdaverify.pricing.prices import PriceQuestion
from wdaverify.program.backend import get_backend
from wdaverify.transport import GroundCost

HIGHS = get_backend("highs")
BOX = Box(-1, 1).sized(2)
AXIS = np.linspace(-1, 1, 81)
GRID = np.stack(np.meshgrid(AXIS, AXIS), axis=-1).reshape(-1, 2)

NETWORKS = st.one_of(small_networks(), degenerate_networks())
MULTIPLIERS = st.lists(st.sampled_from([0.0, 0.3, 1.0, 2.0, 3.5, 8.0]), min_size=1, max_size=3)


def _question(network, norm, center, reach=np.inf):
    label = int(np.argmax(forward(network, np.asarray(center)[None])[0]))
    return PriceQuestion(
        network=network, label=label, center=np.asarray(center, dtype=float), cost=GroundCost(norm), domain=BOX, reach=reach
    )


def _values(question, points, multiplier):
    outputs = forward(question.network, points)
    gains = (outputs @ question.rows.T).max(axis=1)
    distances = np.linalg.norm(points - question.center, ord=question.cost.norm.order, axis=1)
    return np.where(distances <= question.reach, gains - multiplier * distances**question.cost.order, -np.inf)


@settings(max_examples=25, deadline=None)
@given(NETWORKS, st.sampled_from([Norm.LINF, Norm.L1]), MULTIPLIERS, st.tuples(st.floats(-1, 1), st.floats(-1, 1)))
def test_closes_and_covers_the_grid(network, norm, multipliers, center):
    question = _question(network, norm, center)
    prices = SearchPrices(question, HIGHS)
    for multiplier in multipliers:
        points = prices.work(multiplier, cut=-np.inf, gap=1e-6, deadline=Deadline())
        best = float(_values(question, points, multiplier).max())
        assert prices.upper(multiplier) <= best + 1.1e-6 + 1e-9
        assert BOX.contains(points).all()
    for multiplier in (0.0, 0.1, 0.7, 1.5, 2.7, 5.0, 20.0):
        assert prices.upper(multiplier) >= _values(question, GRID, multiplier).max() - 1e-12
