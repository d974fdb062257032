"""What attacks claim, in exact arithmetic: random and degenerate networks, ties, borders, duplicates, huge and tiny weights."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.attack_cases import FAST, NAMES, NORMS, check, labelled
from tests.networks import mlp, random_mlp
from tests.strategies import degenerate_networks, small_networks
from wdaverify._types import Norm
from wdaverify.attack.options import AttackOptions
from wdaverify.attack.settle import distances_up
from wdaverify.ir.evaluate import forward
from wdaverify.ir.exact import exact_forward
from wdaverify.losses import margins
from wdaverify.transport import exact_distance


def _true(network, data, found, box=None):
    """Every known point errs in exact arithmetic, lies in the domain, and is as far away as is said."""
    check(network, data, found, wv.Box(0, 1) if box is None else box)
    for i in np.flatnonzero(np.isfinite(found.distances)):
        logits = exact_forward(network, found.points[i].tolist())
        assert max(v for k, v in enumerate(logits) if k != data.y[i]) >= logits[data.y[i]], i
    for i in np.flatnonzero(found.distances == 0):
        assert np.array_equal(found.points[i], data.x[i])


@given(st.data(), st.sampled_from(NORMS), st.sampled_from(NAMES))
@settings(max_examples=25, deadline=None)
def test_claims_hold_for_drawn_networks(drawn, norm, method):
    inputs, outputs = drawn.draw(st.integers(1, 3)), drawn.draw(st.integers(2, 4))
    kinds = st.one_of(small_networks(inputs=inputs, outputs=outputs), degenerate_networks(inputs=inputs, outputs=outputs))
    network = drawn.draw(kinds)
    generator = np.random.default_rng(drawn.draw(st.integers(0, 999)))
    x = generator.random((5, inputs))
    x[1], x[2], x[3] = x[0], np.round(x[2]), 0.0  # a duplicate, and points on the border
    data = wv.Dataset(x, generator.integers(0, outputs, 5)) if drawn.draw(st.booleans()) else labelled(network, x)
    found = wv.attack(network, data, wv.WassersteinBall(0.25, norm=norm), method=method, **{**FAST, "steps": 4})
    _true(network, data, found)
    if data.y[0] == data.y[1]:
        assert np.isclose(found.distances[0], found.distances[1], rtol=1e-6) or np.isinf(found.distances[:2]).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("scale", [1e-12, 1e6, 1e12])
def test_claims_hold_where_large_terms_cancel(norm, scale):
    # f_1 - f_0 = scale ((1 + x/scale) - 1) - 1/3: what is left of the terms is all roundings when the scale is large.
    rows = [np.array([[1.0, 1.0 / 3.0], [1.0, -1.0 / 7.0]]), scale * np.array([[1.0, -1.0], [-1.0, 1.0]])]
    network = mlp(rows, [np.array([0.1, 0.1]), np.array([scale / 9.0, 0.0])])
    data = labelled(network, np.random.default_rng(0).random((12, 2)))
    for method in ("wda++", "wda"):
        _true(network, data, wv.attack(network, data, wv.WassersteinBall(0.5, norm=norm), method=method, **FAST))


def test_float64_logits_that_lie_about_the_sign_are_not_believed():
    """``f_1 - f_0 = 0.001 - ((x + 1e17) - 1e17)`` is 0.001 in float64 for every x, and negative in truth."""
    network = mlp([np.array([[1.0]]), np.array([[1.0], [0.0]])], [np.array([1e17]), np.array([-1e17, 0.001])])
    data = wv.Dataset([[0.3], [0.7]], [0, 0])
    assert (margins(forward(network, data.x), data.y) >= 0).all()
    for method in NAMES:
        found = wv.attack(network, data, wv.WassersteinBall(1.0), method=method, **FAST)
        assert found.clean_accuracy == 1.0
        _true(network, data, found)


@pytest.mark.parametrize("method", NAMES)
def test_constant_networks_with_and_without_a_tie(method):
    data = wv.Dataset([[0.0], [1.0], [0.5]], [0, 0, 1])
    never = wv.attack(mlp([[[0.0], [0.0]]], [[1.0, 0.0]]), data, wv.WassersteinBall(1.0), method=method, **FAST)
    assert never.distances.tolist() == [np.inf, np.inf, 0.0]
    tied = wv.attack(mlp([[[0.0], [0.0]]], [[1.0, 1.0]]), data, wv.WassersteinBall(1.0), method=method, **FAST)
    assert tied.distances.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("norm", NORMS)
def test_an_error_only_at_the_corner_of_the_box(norm):
    """``x_0 + x_1 >= 2`` holds at one point of the box."""
    network = mlp([[[0.0, 0.0], [1.0, 1.0]]], [[2.0, 0.0]])
    data = wv.Dataset([[1.0, 0.5], [1.0, 1.0], [0.0, 0.0]], [0, 0, 0])
    found = wv.attack(network, data, wv.WassersteinBall(3.0, norm=norm), **FAST)
    _true(network, data, found)
    assert found.distances[1] == 0.0
    assert found.distances[0] == pytest.approx(0.5)
    assert found.distances[2] == pytest.approx({"linf": 1.0, "l2": np.sqrt(2), "l1": 2.0}[str(norm)])


def test_boxes_without_width_and_without_ends():
    network = random_mlp([3, 8, 3], 8)
    data = labelled(network, np.full((2, 3), 0.5))
    point = wv.Box(np.full(3, 0.5), np.full(3, 0.5))
    assert np.isinf(wv.attack(network, data, wv.WassersteinBall(1.0), domain=point, **FAST).distances).all()
    free = wv.attack(network, data, wv.WassersteinBall(1.0, norm="l2"), domain=wv.Box.whole_space(), **FAST)
    assert np.isfinite(free.distances).all()
    _true(network, data, free, wv.Box.whole_space())


@given(st.floats(1, 1e300), st.floats(1e-300, 1e3), st.sampled_from([Fraction(1), Fraction(3, 2), Fraction(2), Fraction(7)]))
@example(3.0, 0.1, Fraction(1))
@example(1e308, 10.0, Fraction(1))
def test_kappa_keeps_the_budget_exactly(kappa, radius, order):
    """``1/kappa reach^p <= r^p`` in rational arithmetic, with p = a/b raised to b; and hardly less is asked."""
    reach, (a, b) = AttackOptions(kappa=kappa).reach(radius, float(order)), order.as_integer_ratio()
    ratio = (Fraction(reach) / Fraction(radius)) ** a / Fraction(kappa) ** b
    assert ratio <= 1
    assert ratio >= 1 - Fraction(1, 10**11) or reach == np.finfo(float).max
    assert AttackOptions(kappa=kappa).reach(radius, np.inf) == AttackOptions().reach(radius, float(order)) == radius


@given(st.lists(st.integers(-40, 40), min_size=1, max_size=4), st.sampled_from(list(Norm)), st.integers(-1074, -1000))
def test_distances_of_the_least_numbers_are_not_too_small(units, norm, exponent):
    point = np.ldexp(np.array([units], dtype=float), exponent)
    found = distances_up(point, np.zeros_like(point), norm)[0]
    assert Fraction(float(found)) ** (2 if norm is Norm.L2 else 1) >= exact_distance(point[0], 0 * point[0], norm)
    assert (found == 0) == (not any(units))


def test_the_mixture_of_kappa_is_a_distribution_of_the_ball():
    """``(1 - 1/kappa)`` of every sample stays and 1/kappa goes to its point: the cost is at most the budget."""
    network = random_mlp([4, 9, 3], 8)
    data = labelled(network, np.random.default_rng(5).random((10, 4)))
    for order, kappa in ((1.0, 3.0), (2.0, 4.0)):
        found = wv.attack(network, data, wv.WassersteinBall(0.1, order=order), method="wda", kappa=kappa, **FAST)
        reached = np.isfinite(found.distances)
        assert reached.any()
        assert (found.distances[reached] <= 0.1 * kappa ** (1 / order) * (1 + 1e-12)).all()
        cost = sum(float(w) / kappa * d**order for w, d in zip(data.fractions, found.distances, strict=True) if np.isfinite(d))
        assert cost <= 0.1**order * (1 + 1e-12)
        left = sum((w for w, hit in zip(data.fractions, reached, strict=True) if not hit), Fraction(0))
        assert found.point.mixture_accuracy == pytest.approx(1 - (1 - float(left)) / kappa)
        assert found.worst_case_accuracy <= found.point.mixture_accuracy + 1e-12


def test_functions_in_float32_are_judged_without_tf32():
    settings_seen = []
    module = torch.nn.Linear(3, 2)

    def model(x):
        if not torch.is_grad_enabled():
            settings_seen.append((torch.backends.cudnn.allow_tf32, x.dtype))
        return module(x)

    before = torch.backends.cudnn.allow_tf32
    wv.attack(model, wv.Dataset(np.full((2, 3), 0.5), [0, 1]), wv.WassersteinBall(0.5), method="pgd", **FAST)
    assert (False, torch.float32) in settings_seen
    assert torch.backends.cudnn.allow_tf32 == before
