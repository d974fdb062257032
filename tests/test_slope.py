"""Slopes at infinity: cone by cone with other means, golden values, networks that ascend nowhere, lying solvers."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, nnls

from tests.lying_sessions import LIES, LyingBackend, LyingSession, Opener
from tests.networks import mlp, random_mlp
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.bounds.operator_norms import lipschitz_bound
from wdaverify.domain import Box
from wdaverify.functionals import LOSSES, parse_functional
from wdaverify.growth.slope import slope
from wdaverify.growth.sphere import sphere_caps
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.homogenise import without_biases
from wdaverify.ir.load import load
from wdaverify.program.backend import get_backend

GOLDEN = Path(__file__).parent / "data" / "golden"
CASES = json.loads((GOLDEN / "golden.json").read_text())["cases"]
HIGHS = get_backend("highs")
KEYS = {Norm.L1: "1", Norm.L2: "2", Norm.LINF: "inf"}


def truth(network, rows, norm):
    """The largest form on the cones of the bias-free network, by a program per cone; l2 by Moreau's decomposition."""
    n, best = network.inputs, 0.0
    for cell in enumerate_cells(without_biases(network), Box(-1, 1)):
        cone = cell.rows[np.abs(cell.sides) < 0.5]  # the others are the faces of the box
        for gradient in rows @ cell.slope:
            if norm is Norm.L2:  # the projection onto the cone is what the projection onto its polar leaves
                best = max(best, nnls(cone.T, gradient)[1] if len(cone) else np.linalg.norm(gradient))
                continue
            zero = np.zeros((len(cone), n))
            budget = np.ones((1, 2 * n)) if norm is Norm.L1 else np.eye(2 * n)
            result = linprog(
                -np.r_[gradient, np.zeros(2 * n)],
                A_ub=np.block([[cone, zero, zero], [np.zeros((len(budget), n)), budget]]),
                b_ub=np.r_[np.zeros(len(cone)), np.ones(len(budget))],
                A_eq=np.c_[np.eye(n), -np.eye(n), np.eye(n)], b_eq=np.zeros(n),
                bounds=[(None, None)] * n + [(0, None)] * 2 * n, method="highs",
            )  # fmt: skip
            assert result.status == 0
            best = max(best, -result.fun)
    return best


def check(found, network, norm):
    """The lower end is what the direction gives in rational arithmetic, and the direction has length 1."""
    if found.direction is None:
        assert found.value.lower == 0.0
        return
    assert np.linalg.norm(found.direction, ord=norm.order) == pytest.approx(1.0, abs=1e-12)
    logits = exact_forward(without_biases(network), found.direction.tolist())
    rows = found.functional.rows(network.outputs).tolist()
    rate = max(sum(Fraction(c) * v for c, v in zip(row, logits, strict=True)) for row in rows)
    assert found.value.lower == pytest.approx(float(rate), rel=1e-12)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(network=small_networks(), norm=st.sampled_from(Norm), name=st.sampled_from(["label:0", "margin:2-1", "logit:1"]))
def test_slopes_of_planar_networks(network, norm, name):
    functional = parse_functional(name, network.outputs)
    expected = truth(network, functional.rows(network.outputs), norm)
    found = slope(HIGHS, network, functional, norm)
    check(found, network, norm)
    scale = max(1.0, expected)
    assert found.value.lower <= expected + 1e-9 * scale
    assert expected - 1e-9 * scale <= found.value.upper <= found.value.lower + 2e-8 * scale


@pytest.mark.parametrize("norm", Norm)
def test_three_inputs(norm):
    network = random_mlp((3, 5, 4, 3), 4)
    functional = parse_functional("label:2", 3)
    found = slope(HIGHS, network, functional, norm)
    assert found.value.exact
    assert found.value.lower == pytest.approx(truth(network, functional.rows(3), norm), rel=1e-8)
    names = [f"loss:{loss}:2" for loss in LOSSES]
    same = [slope(HIGHS, network, parse_functional(name, 3), norm) for name in names]
    assert [answer.value for answer in same] == [found.value] * len(LOSSES)


def golden():
    for case in CASES:
        for norm in Norm:
            expected = case.get("expected") or case["expected_by_r"].get(KEYS[norm], {})
            slopes = expected.get("slope", {})
            for label, value in slopes.items() if isinstance(slopes, dict) else enumerate(slopes):
                yield pytest.param(case, norm, int(label), value, id=f"{case['name']}-{norm}-{label}")


@pytest.mark.parametrize(("case", "norm", "label", "value"), list(golden()))
def test_golden(case, norm, label, value):
    network = load(GOLDEN / case["onnx"])
    found = slope(HIGHS, network, parse_functional(f"label:{label}", network.outputs), norm)
    check(found, network, norm)
    assert found.value.exact
    assert found.value.lower - case["tol"] <= value <= found.value.upper + case["tol"]


@pytest.mark.parametrize("norm", Norm)
def test_a_network_that_ascends_nowhere(norm):
    """All patterns hold the origin, so that only the sphere shows that nothing ascends."""
    network = load(GOLDEN.parent / "lipschitz" / "rand_2-16-16-2_s0.onnx")
    found = slope(HIGHS, network, parse_functional("margin:0-1", 2), norm, deadline=Deadline.after(60))
    assert found.value.lower == 0.0
    assert found.value.upper < 1e-9
    assert found.direction is None
    assert not found.interrupted


def test_closed_forms():
    flat = mlp([[[1.0], [2.0]], [[0.0, 0.0]]], [[1.0, 1.0], [5.0]])
    assert slope(HIGHS, flat, parse_functional("logit:0", 1), Norm.L1).value.upper < 1e-12
    affine = mlp([[[3.0, -4.0], [0.0, 1.0]]], [[1.0, 2.0]])
    for norm, expected in ((Norm.LINF, 7.0), (Norm.L2, 5.0), (Norm.L1, 4.0)):
        found = slope(HIGHS, affine, parse_functional("logit:0", 2), norm)
        assert (found.value.lower, found.value.upper) == (pytest.approx(expected), pytest.approx(expected))
    absolute = mlp([[[1.0], [-1.0]], [[-1.0, -1.0], [0.0, 0.0]]], [[0.0, 0.0], [9.0, 0.0]])  # f = (9 - |x|, 0)
    assert slope(HIGHS, absolute, parse_functional("margin:0-1", 2), Norm.LINF).value.upper < 1e-12
    assert slope(HIGHS, absolute, parse_functional("margin:1-0", 2), Norm.LINF).value.lower == 1.0


@pytest.mark.parametrize("scale", [2.0**-40, 2.0**40])
def test_a_scaled_network_has_a_scaled_slope(scale):
    network, functional = random_mlp((3, 6, 2), 1), parse_functional("label:0", 2)
    op = network.op(network.output)
    scaled = mlp([network.op("affine0").matrices[0].toarray(), op.matrices[0].toarray() * scale], [np.zeros(6), op.bias * scale])
    plain, found = (slope(HIGHS, each, functional, Norm.LINF).value for each in (network, scaled))
    assert found.lower == pytest.approx(plain.lower * scale, rel=1e-9)
    assert found.exact


@pytest.mark.parametrize("norm", Norm)
def test_without_time_the_bracket_is_wide_and_holds(norm):
    network = load(GOLDEN / "g14_iris.onnx")
    functional = parse_functional("label:0", 3)
    hasty = slope(HIGHS, network, functional, norm, deadline=Deadline.after(0.0)).value
    best = slope(HIGHS, network, functional, norm).value
    assert hasty.lower <= best.lower
    assert best.upper <= hasty.upper <= lipschitz_bound(network, "label:0", norm=norm)


def test_balls_grow_with_the_norm():
    network, functional = random_mlp((4, 8, 8, 2), 3), parse_functional("margin:1-0", 2)
    slopes = [slope(HIGHS, network, functional, norm).value.lower for norm in (Norm.L1, Norm.L2, Norm.LINF)]
    assert 0.0 < slopes[0] <= slopes[1] <= slopes[2] <= 2 * slopes[1] * (1 + 1e-9)


@pytest.mark.parametrize(("kind", "norm"), [(kind, list(Norm)[k % 3]) for k, kind in enumerate(LIES)])
def test_a_lying_solver_only_widens_the_bracket(kind, norm):
    network, functional = random_mlp((2, 5, 3, 3), 1), parse_functional("label:2", 3)
    expected = truth(network, functional.rows(3), norm)
    assert expected > 0.1
    found = slope(LyingBackend(kind), network, functional, norm, deadline=Deadline.after(0.3))
    assert found.value.lower <= expected + 1e-9
    assert found.value.upper >= expected - 1e-9


def test_an_interrupt_leaves_a_bracket():
    class Impatient(LyingSession):
        def solve(self, options=None):
            raise KeyboardInterrupt

    network = load(GOLDEN / "g14_iris.onnx")
    found = slope(Opener(lambda program: Impatient(program, "honest")), network, parse_functional("label:0", 3), Norm.LINF)
    assert found.interrupted
    assert found.value.lower <= 26.35526449841189 <= found.value.upper


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 7), st.sampled_from(Norm), st.integers(0, 2**32 - 1))
def test_caps_cover_the_sphere(n, norm, seed):
    rng = np.random.default_rng(seed)
    u = rng.normal(size=n) * (rng.random(n) < 0.7) if seed % 3 else rng.choice([-1.0, 1.0], n)
    if not u.any():
        return
    u = u / np.linalg.norm(u, ord=norm.order)
    u = u * (1.0 + 2.0**-50)  # the sphere itself, to the safe side
    caps = sphere_caps(n, norm)
    assert len(caps) == 2 * n
    slack = 1e-14
    inside = [
        bool(
            (cap.regions.lower[0] - slack <= u).all()
            and (u <= cap.regions.upper[0] + slack).all()
            and (cap.rows @ u + cap.offsets >= 0).all()
        )
        for cap in caps
    ]
    assert any(inside)
    assert not any((cap.regions.lower[0] <= 0).all() and (cap.regions.upper[0] >= 0).all() for cap in caps)
