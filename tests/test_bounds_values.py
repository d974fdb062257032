"""Bounds meet closed forms, hand-worked values and linear programs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from tests.bounds_networks import affine, two_neurons
from wdaverify._types import Norm
from wdaverify.bounds.concretise import linear_maximum
from wdaverify.bounds.crown import crown_bounds, crown_objectives
from wdaverify.bounds.interval import interval_bounds
from wdaverify.domain import Box, Regions
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Input

OWNER = np.repeat(np.arange(3), 4)
"""Four forms for each of three regions."""


@pytest.mark.parametrize("radius", [1e-9, 0.05, 10.0])
@pytest.mark.parametrize("norm", list(Norm))
def test_affine_network_meets_the_dual_norm(norm, radius):
    """``max W x + b`` over a ball in R^n is ``W x0 + b + R ||W||_dual``, also through two layers without a ReLU."""
    rng = np.random.default_rng(5)
    first, second = rng.normal(size=(7, 5)), rng.normal(size=(3, 7))
    nodes = {
        "x": Node(Input(5)),
        "h": Node(affine(first, rng.normal(size=7)), ("x",)),
        "y": Node(affine(second, rng.normal(size=3)), ("h",)),
    }
    network = Network.from_nodes(nodes, "y")
    centers = rng.normal(size=(4, 5))
    bounds = crown_bounds(network, Regions.balls(Box.whole_space(), centers, radius, norm))
    matrix = second @ first
    middle = centers @ matrix.T + nodes["h"].op.bias @ second.T + nodes["y"].op.bias
    spread = radius * np.linalg.norm(matrix, ord=norm.dual.order, axis=1)
    scale = 1e-12 * max(1.0, radius) * 10
    np.testing.assert_allclose(bounds.upper["y"], middle + spread, rtol=1e-12, atol=scale)
    np.testing.assert_allclose(bounds.lower["y"], middle - spread, rtol=1e-12, atol=scale)


def test_two_neurons_by_hand():
    """On [-1, 1]^2: z in [-1, 3] x [-2, 2]; a1 <= 3/4 z1 + 3/4, a2 <= z2/2 + 1, so a1 + a2 <= 5/4 x1 + 1/4 x2 + 5/2 <= 4."""
    network, regions = two_neurons(), Regions.of_box(Box(-1, 1), 2)
    interval, crown = interval_bounds(network, regions), crown_bounds(network, regions)
    np.testing.assert_allclose(crown.lower["z0"], [[-1, -2]], atol=1e-12)
    np.testing.assert_allclose(crown.upper["z0"], [[3, 2]], atol=1e-12)
    np.testing.assert_allclose(interval.upper["z1"], [[5, 3]], atol=1e-12)
    np.testing.assert_allclose(crown.upper["z1"], [[4, 3]], atol=1e-12)
    np.testing.assert_allclose(crown.lower["z1"], [[0, 0]], atol=1e-12)
    # f1 - f2 = a2 <= z2/2 + 1 <= 2; f2 - f1 = -a2 <= 0; f1 + f2 = 2 a1 + a2 <= 2 x1 + x2 + 4 <= 7.
    ends = crown_objectives(network, regions, crown, [[1, -1], [-1, 1], [1, 1]])
    np.testing.assert_allclose(ends, [[2, 0, 7]], atol=1e-12)
    assert crown.unstable("z0").tolist() == [[True, True]]


def test_two_neurons_on_the_l1_ball_by_hand():
    """||x||_1 <= 1: z1 in [0, 2] is stable, z2 in [-1, 1]; a1 + a2 <= 3/2 x1 + 1/2 x2 + 3/2 <= 3."""
    network = two_neurons()
    crown = crown_bounds(network, Regions.balls(Box(-1, 1), np.zeros((1, 2)), 1.0, Norm.L1))
    np.testing.assert_allclose(crown.lower["z0"], [[0, -1]], atol=1e-12)
    np.testing.assert_allclose(crown.upper["z0"], [[2, 1]], atol=1e-12)
    np.testing.assert_allclose(crown.upper["z1"], [[3, 2]], atol=1e-12)
    np.testing.assert_allclose(crown.lower["z1"], [[0, 0]], atol=1e-12)


def test_linear_forms_over_box_and_l1_ball_equal_the_linear_program():
    rng = np.random.default_rng(11)
    box = Box(0, 1)
    for radius in (0.0, 0.05, 0.7, 3.0, 50.0):
        centers = rng.uniform(size=(3, 6)).round(1)  # some coordinates on the faces of the box
        forms = rng.normal(size=(3, 4, 6)) * (rng.uniform(size=(3, 4, 6)) < 0.8)
        found = -linear_maximum(-forms.reshape(-1, 6), Regions.balls(box, centers, radius, Norm.L1), OWNER).reshape(3, 4)
        for b in range(3):
            for r in range(4):
                # x = x0 + p - q with p, q >= 0 and sum(p + q) <= R.
                limits = [(0, 1 - c) for c in centers[b]] + [(0, c) for c in centers[b]]
                cost = np.concatenate([forms[b, r], -forms[b, r]])
                answer = linprog(cost, A_ub=np.ones((1, 12)), b_ub=[radius], bounds=limits)
                expected = answer.fun + forms[b, r] @ centers[b]
                assert found[b, r] == pytest.approx(expected, abs=1e-9)


def test_linear_forms_over_box_and_l2_ball_meet_a_primal_point():
    """The projected-gradient path ``clip(x0 - t a)`` holds the minimiser, where its distance from ``x0`` is R."""
    rng = np.random.default_rng(12)
    for radius in (1e-6, 0.05, 0.7, 1.2, 50.0):
        centers, forms = rng.uniform(size=(3, 6)).round(1), rng.normal(size=(3, 4, 6))
        found = -linear_maximum(-forms.reshape(-1, 6), Regions.balls(Box(0, 1), centers, radius, Norm.L2), OWNER).reshape(3, 4)
        for b in range(3):
            for r in range(4):
                path = lambda t, x0=centers[b], a=forms[b, r]: np.clip(x0 - t * a, 0, 1)  # noqa: E731
                near, far = 0.0, 1e6
                for _ in range(200):
                    middle = (near + far) / 2
                    inside = np.linalg.norm(path(middle) - centers[b]) <= radius
                    near, far = (middle, far) if inside else (near, middle)
                attained = forms[b, r] @ path(near)
                assert found[b, r] <= attained
                assert attained - found[b, r] <= 1e-8


def test_the_l1_multiplier_is_found_beyond_the_leading_coefficients():
    """With 300 coordinates of room 0.01 and radius 2 the knapsack spends 200 of them, with radius 9 all."""
    rng = np.random.default_rng(13)
    form, centers = rng.normal(size=300), np.full((1, 300), 0.5)
    box = Box(np.full(300, 0.49), np.full(300, 0.51))
    for radius in (0.1, 2.0, 9.0):
        found = -linear_maximum(-form[None], Regions.balls(box, centers, radius, Norm.L1), np.zeros(1, dtype=np.int64))[0]
        limits = [(0, 0.51 - 0.5)] * 300 + [(0, 0.5 - 0.49)] * 300
        answer = linprog(np.concatenate([form, -form]), A_ub=np.ones((1, 600)), b_ub=[radius], bounds=limits)
        assert found == pytest.approx(answer.fun + form @ centers[0], abs=1e-9)
