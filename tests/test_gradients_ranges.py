"""Largest gradients near both ends of the range of floats: what underflow takes may be multiplied again later."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import numpy as np
import pytest

from tests.networks import mlp
from wdaverify._types import Norm
from wdaverify.bounds.rounding import gamma
from wdaverify.domain import Box
from wdaverify.gradients.by_enumeration import largest_gradients_by_enumeration
from wdaverify.gradients.by_search import largest_gradients_by_search
from wdaverify.gradients.milp import largest_gradients_by_milp
from wdaverify.gradients.mixing import largest_norms
from wdaverify.gradients.norms import dual_norm_ends
from wdaverify.gradients.oracle import largest_gradients
from wdaverify.gradients.question import GradientQuestion
from wdaverify.gradients.zonotope import gradient_zonotopes, lost_in_zonotopes
from wdaverify.ir.network import Network
from wdaverify.ir.rational import quotients
from wdaverify.program.backend import get_backend

HIGHS = get_backend("highs")
METHODS = [largest_gradients, largest_gradients_by_enumeration, largest_gradients_by_milp, largest_gradients_by_search]
NORMS = [Norm.LINF, Norm.L1, Norm.L2]


def chain(scales: list[float], slopes: list[float]) -> Network:
    """``scales[-1] * ... * scales[0] * sum_k relu(slopes[k] (x - k/8))``: convex, the steepest cell has all slopes."""
    first = np.array(slopes)[:, None]
    weights = [first * scales[0], *(np.array([[s] * (len(slopes) if k == 0 else 1)]) for k, s in enumerate(scales[1:]))]
    biases = [-np.arange(len(slopes)) / 8 * first[:, 0] * scales[0], *(np.zeros(1) for _ in scales[1:])]
    return mlp(weights, biases)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(
    "scales", [[1.0, 2.0**-560], [2.0**-600, 2.0**30], [2.0**600, 2.0**300], [2.0**1000, 2.0**-700, 2.0**-700]]
)
def test_scale(method, norm, scales):
    slopes = [1.0, 2.0, 4.0]
    truth = math.prod((Fraction(s) for s in scales), start=Fraction(7))
    (answer,) = method(HIGHS, chain(scales, slopes), Box(-1, 1).sized(1), [GradientQuestion(np.ones((1, 1)), norm)])
    assert Fraction(answer.lower) <= truth
    assert answer.upper == math.inf or truth <= Fraction(answer.upper)
    if method is not largest_gradients_by_milp and scales[0] < 2.0**700:
        assert answer.upper <= float(truth) * (1 + 1e-9)
        assert answer.lower >= float(truth) * (1 - 1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", NORMS)
def test_many_cells_are_not_told_apart_by_squares_that_underflow(method, norm):
    """Sixty cells of gradients about 1e-170: the largest one must count although every square is 0."""
    slopes = [float(k % 7 + 1) for k in range(60)]
    network = mlp([np.array(slopes)[:, None], np.full((1, 60), 1e-172)], [-np.linspace(-0.9, 0.9, 60) * slopes, np.zeros(1)])
    truth = sum(Fraction(1e-172) * Fraction(s) for s in slopes)
    if method is largest_gradients_by_milp and norm is not Norm.LINF:
        pytest.skip("one program is enough")
    (answer,) = method(HIGHS, network, Box(-1, 1).sized(1), [GradientQuestion(np.ones((1, 1)), norm)])
    assert Fraction(answer.lower) <= truth <= Fraction(answer.upper)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("norm", NORMS)
def test_gradients_beyond_all_floats(method, norm):
    network = mlp([[[1e300], [-1e300]], [[1e300, 1.0]]], [[0.0, 0.0], [0.0]])
    (answer,) = method(HIGHS, network, Box(-1, 1).sized(1), [GradientQuestion(np.ones((1, 1)), norm)])
    assert answer.lower == sys.float_info.max
    assert answer.upper == math.inf


def test_norms_beyond_all_floats():
    assert [dual_norm_ends([10**400, 3], 1, norm) for norm in NORMS] == [(sys.float_info.max, math.inf)] * 3
    assert quotients(np.array([10**400, -(10**400), 3], dtype=object), 2).tolist() == [math.inf, -math.inf, 1.5]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("exponent", [-1040, -600, 0, 600])
def test_mixing_is_homogeneous(norm, exponent):
    generators = np.random.default_rng(3).integers(-8, 9, (4, 5, 3)).astype(np.float64)
    plain, scaled = largest_norms(generators, norm).ceilings, largest_norms(np.ldexp(generators, exponent), norm).ceilings
    signs = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1)
    corners = generators[:, :1] + np.einsum("ks,rkn->rsn", signs, generators[:, 1:])
    for row, ceiling in zip(corners, scaled.tolist(), strict=True):
        for point in row.astype(int).tolist():
            low, _ = dual_norm_ends([v * 2**2000 for v in point], 2 ** (2000 - exponent) if exponent <= 0 else 2**2000, norm)
            assert math.ldexp(low, max(exponent, 0)) <= ceiling
    np.testing.assert_allclose(np.ldexp(scaled, -exponent), plain, rtol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_nothing_is_not_larger_than_what_is_lost(norm):
    """A form that no coordinate moves must be closed at once: its ceilings may not stay above the floor of rounding."""
    assert largest_norms(np.zeros((2, 3, 2)), norm).ceilings.tolist() == [0.0, 0.0]
    network = mlp([np.eye(4), np.ones((1, 4)) * [0.0, 0.0, 1.0, 1.0]], [np.zeros(4), np.zeros(1)])
    box = Box([-1.0, -1.0, -1.0, 0.0], [1.0, 1.0, -1.0, 0.0])
    (answer,) = largest_gradients_by_search(HIGHS, network, box, [GradientQuestion(np.ones((1, 1)), norm)])
    assert (answer.lower, answer.nodes) == (0.0, 1)
    assert answer.upper < 1e-320


def test_what_is_lost_counts_all_symbols():
    """A sum over S symbols loses up to S roundings at every layer, however few terms the products have."""
    width, depth = 2, 60
    weights = [np.ones((width, 1)), *[np.eye(width)] * (depth - 1), np.full((1, width), 0.5)]
    compiled = mlp(weights, [np.zeros(width)] * depth + [np.zeros(1)]).compiled
    lost = lost_in_zonotopes(compiled, np.ones((1, 1)), np.zeros(compiled.neurons, dtype=bool), np.array([0]), sloped=False)
    assert lost.item() >= sum(gamma(width * layer) for layer in range(depth))


def test_underflow_is_multiplied_by_later_weights():
    compiled = chain([2.0**1000, 2.0**-700, 2.0**-700], [1.0]).compiled
    found = gradient_zonotopes(compiled, np.ones((1, 1)), np.ones((1, 2)), np.array([0])).generators.sum()
    lost = lost_in_zonotopes(compiled, np.ones((1, 1)), np.zeros(2, dtype=bool), np.array([0]), sloped=False).item()
    assert found == 0.0
    assert lost >= 2.0**-400
