"""Bounds of softmax entries for margins of any size, against exact rational exponentials; the cross-entropy far from 0."""

from __future__ import annotations

import math
from decimal import Context, Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.gradients.cross_entropy import largest_cross_entropy_gradients
from wdaverify.gradients.softmax_box import CellGradients, shares
from wdaverify.ir.rational import quotients
from wdaverify.program.backend import get_backend

MARGINS = st.one_of(
    st.floats(-40, 40), st.floats(-2000, 2000), st.floats(-1e300, 1e300), st.sampled_from([0.0, 700.0, -745.2, 709.9])
)
PRECISE = Context(prec=60, Emin=-(10**17), Emax=10**17)


def softmax(margins: list[float]) -> list[Decimal]:
    """The entries of the rivals, to 60 digits; below any float they count as 0."""
    with localcontext(PRECISE):
        exact = [Decimal(0), *map(Decimal, margins)]
        top = max(exact)
        powers = [(z - top).exp() if z - top > -3000 else Decimal(0) for z in exact]
        return [power / sum(powers) for power in powers[1:]]


@settings(max_examples=200)
@given(st.lists(st.tuples(MARGINS, MARGINS, st.floats(0, 1)), min_size=1, max_size=4))
def test_entries_lie_between_their_bounds(rows):
    low, high = np.array([sorted(r[:2]) for r in rows]).T
    part = np.array([r[2] for r in rows])
    inner = np.clip(low * (1 - part) + high * part, low, high)
    found = shares(low[None], high[None])
    for margins in (low, high, inner):
        exact = softmax(margins.tolist())
        assert all(Decimal(p) <= q + Decimal("1e-1000") for p, q in zip(found.low[0].tolist(), exact, strict=True))
        assert all(q <= Decimal(p) for p, q in zip(found.high[0].tolist(), exact, strict=True))
        assert sum(exact) <= Decimal(float(found.total[0])) * (1 + Decimal("1e-50"))


@given(st.lists(MARGINS, min_size=1, max_size=4))
def test_bounds_of_one_point_are_tight(margins):
    point = np.array([margins])
    found, exact = shares(point, point), softmax(margins)
    for low, high, value in zip(found.low[0].tolist(), found.high[0].tolist(), map(float, exact), strict=True):
        assert low == pytest.approx(value, rel=1e-11, abs=1e-300)
        assert high == pytest.approx(value, rel=1e-11, abs=1e-300)


def test_infinite_margins_bound_nothing():
    found = shares(np.array([[-math.inf, 0.0]]), np.array([[math.inf, math.inf]]))
    assert found.low.tolist() == [[0.0, 0.0]]
    assert found.high.tolist() == [[1.0, 1.0]]
    assert found.total.tolist() == [1.0]


def test_tiny_gradients_do_not_vanish():
    cell = CellGradients(np.full((1, 3), 1e-170), np.full(1, 1.8e-170), Norm.L2)
    assert cell.steepest(np.full((1, 1), 800.0), np.full((1, 1), 900.0)).item() >= math.sqrt(3) * 1e-170


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1, Norm.L2])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (1.0, 3.0), (-1.0, 2.0)])
def test_two_classes_with_margins_beyond_exponentials(norm, low, high):
    """``f = (0, 3000 relu(x) - 1000 relu(-x))``: at large margins the gradient is that of the margin."""
    network = mlp([[[1.0], [-1.0]], [[0.0, 0.0], [3000.0, -1000.0]]], [[0.0, 0.0], [0.0, 0.0]])
    (answer,) = largest_cross_entropy_gradients(get_backend("highs"), network, Box(low, high).sized(1), 0, [norm])
    assert answer.lower <= 3000.0 <= answer.upper * (1 + 1e-15)
    assert answer.upper - answer.lower <= 1e-6


def test_saturated_margins_have_no_gradient():
    network = mlp([[[1.0]], [[0.0], [-3000.0]]], [[0.0], [0.0, 0.0]])
    (answer,) = largest_cross_entropy_gradients(get_backend("highs"), network, Box(1, 2).sized(1), 0, [Norm.LINF])
    assert 0.0 <= answer.lower <= answer.upper <= 1e-300


@pytest.mark.parametrize("norm", [Norm.LINF, Norm.L1, Norm.L2])
def test_ceilings_of_gradients_near_the_largest_float(norm):
    """Nothing clips them: on one cell with the gradient 1e305 the share alone decides."""
    gradients, denominator = np.array([[10**305]], dtype=object), 1
    cell = CellGradients(quotients(gradients, denominator), np.full(1, 1e305), norm)
    assert cell.steepest(np.zeros((1, 1)), np.full((1, 1), 2.0)).item() >= 1e305 / (1.0 + math.exp(-2.0)) * (1 - 1e-15)


def test_constants_near_the_largest_float():
    """``f = (0, 1e305 x)`` on [0, 2e-305]: the constant is 1e305 times the share at the right end, in every norm."""
    network, norms = mlp([[[1e300]], [[0.0], [1e5]]], [[0.0], [0.0, 0.0]]), list(Norm)
    share = 1.0 / (1.0 + math.exp(-2.0))
    for answer in largest_cross_entropy_gradients(get_backend("highs"), network, Box(0, 2e-305).sized(1), 0, norms):
        assert answer.lower <= 1e305 * share * (1 + 1e-12)
        assert answer.upper >= 1e305 * share * (1 - 1e-15)
