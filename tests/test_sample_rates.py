"""Sample-wise constants: valid in rational arithmetic at every point, attained, and never above the Lipschitz constant."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from tests.lying_sessions import LIES, LyingBackend, LyingSession, Opener
from tests.networks import mlp, random_mlp
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.ir.exact import exact_forward
from wdaverify.losses import exact_margin
from wdaverify.program.backend import get_backend
from wdaverify.risk.sample_rates import RateSearch
from wdaverify.transport import exact_distance

HIGHS = get_backend("highs")
UNIT = Box(-1, 1).sized(2)


def best_price(cells, x, label, norm, slope):
    """``max_x' max_j f_j - f_y - slope ||x' - x||`` by one linear program per cell and rival: x', t >= |x' - x|."""
    n, best = len(x), -np.inf
    for cell in cells:
        for rival in set(range(len(cell.offset))) - {label}:
            row, offset = cell.slope[rival] - cell.slope[label], cell.offset[rival] - cell.offset[label]
            t = np.eye(n) if norm is Norm.L1 else np.ones((n, 1))
            width = t.shape[1]
            result = linprog(
                np.r_[-row, slope * np.ones(width)],
                A_ub=np.block([[cell.rows, np.zeros((len(cell.rows), width))], [np.eye(n), -t], [-np.eye(n), -t]]),
                b_ub=np.r_[cell.sides, x, -x], bounds=[(None, None)] * n + [(0, None)] * width, method="highs",
            )  # fmt: skip
            assert result.status == 0
            best = max(best, offset - result.fun)
    return best


def check(network, x, label, norm, found, rng):
    """The inequality holds at random points, exactly."""
    margin = exact_margin(exact_forward(network, x.tolist()), label)[0]
    for _ in range(40):
        point = np.clip(x + rng.normal(size=2) * 10.0 ** rng.uniform(-4, 0.5), -1, 1)
        rise = exact_margin(exact_forward(network, point.tolist()), label)[0] - margin
        assert rise <= Fraction(found.rate) * exact_distance(point, x, norm) + found.excess


@settings(max_examples=8, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 10_000), norm=st.sampled_from([Norm.L1, Norm.LINF]))
def test_rates_are_valid_and_the_smallest(network, seed, norm):
    rng = np.random.default_rng(seed)
    x, label = rng.uniform(-1, 1, 2), int(rng.integers(3))
    found = RateSearch(HIGHS, network, UNIT, norm).rate(x, label)
    check(network, x, label, norm, found, rng)
    margin = float(exact_margin(exact_forward(network, x.tolist()), label)[0])
    scale = max(1.0, abs(margin))
    assert found.excess <= 1e-6 * scale
    cells = list(enumerate_cells(network, UNIT))
    assert best_price(cells, x, label, norm, found.rate) - margin <= 1e-6 * scale
    steepest = max(np.linalg.norm(cell.slope[j] - cell.slope[label], ord=norm.dual.order) for cell in cells for j in range(3))
    assert found.rate <= steepest * (1 + 1e-9)
    if found.rate > 1e-3:  # with a smaller rate some point is above
        assert best_price(cells, x, label, norm, 0.9 * found.rate) - margin > 1e-9 * found.rate


def test_closed_forms():
    network = mlp(
        [[[1.0], [-1.0]], [[0.0, 0.0], [1.0, 1.0]]], [[0.0, -0.5], [0.0, -0.25]]
    )  # f = (0, relu(x) + relu(-x-.5) - .25)
    search = RateSearch(HIGHS, network, Box(-1, 1).sized(1), Norm.LINF)
    assert search.rate(np.array([0.0]), 0).rate == pytest.approx(1.0)
    assert search.rate(np.array([-0.25]), 0).rate == pytest.approx(0.8)  # to 1: a rise of 1 on 1.25
    assert search.rate(np.array([-1.0]), 1).rate == pytest.approx(1.0)
    assert search.rate(np.array([1.0]), 0).rate == pytest.approx(0.0)  # a maximum: nothing rises
    known = search.rate(np.array([-0.25]), 0, known=np.array([1.0]))
    assert (known.rate, float(known.excess)) == (pytest.approx(0.8), pytest.approx(0.0, abs=1e-7))


def test_what_cannot_be_asked():
    network = random_mlp((2, 4, 2), 0)
    with pytest.raises(InputError, match="l1 or linf"):
        RateSearch(HIGHS, network, UNIT, Norm.L2)
    with pytest.raises(InputError, match="bounded domain"):
        RateSearch(HIGHS, network, Box.whole_space().sized(2), Norm.L1)
    huge = mlp([[[1e308, 1e308]], [[1e308], [1.0]]], [[0.0], [0.0, 0.0]])
    with pytest.raises(InputError, match="range of float64"):
        RateSearch(HIGHS, huge, UNIT, Norm.L1)


@pytest.mark.parametrize("kind", LIES)
def test_a_lying_solver_only_leaves_more(kind):
    network, rng = random_mlp((2, 5, 4, 3), 2), np.random.default_rng(1)
    for norm in (Norm.L1, Norm.LINF):
        search = RateSearch(LyingBackend(kind), network, UNIT, norm)
        found = search.rate(np.array([0.2, -0.3]), 1, deadline=Deadline.after(0.3))
        if np.isfinite(found.rate):
            check(network, np.array([0.2, -0.3]), 1, norm, found, rng)


def test_without_time_nothing_is_claimed():
    network = random_mlp((2, 5, 4, 3), 2)
    found = RateSearch(HIGHS, network, UNIT, Norm.L1).rate(np.zeros(2), 0, deadline=Deadline.after(0.0))
    assert np.isinf(found.rate)
    assert found.excess == 0


def test_an_interrupt_is_passed_on():
    class Impatient(LyingSession):
        def solve(self, options=None):
            raise KeyboardInterrupt

    search = RateSearch(Opener(lambda program: Impatient(program, "honest")), random_mlp((2, 5, 2), 0), UNIT, Norm.LINF)
    with pytest.raises(KeyboardInterrupt):
        search.rate(np.zeros(2), 0)
