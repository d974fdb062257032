"""The oracle of the worst-case risk against reference cases, a grid of points with a solver, and its own two ends."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import wdaverify as wv
from tests.networks import mlp
from tests.risk_cells import box_corners, logits, risk_cells, value
from tests.risk_oracle import LOSSES, RiskOracle, losses_of
from tests.risk_whole_space import whole_space_risk
from tests.strategies import degenerate_networks, small_networks

FOLDER = Path(__file__).parent / "data" / "golden"
CASES = [case for case in json.loads((FOLDER / "golden.json").read_text())["cases"] if case["n"] <= 2]
NORMS = {"1": "l1", "2": "l2", "inf": "linf"}
NAMES = {"margin": "margin", "hinge": "hinge", "ce": "cross-entropy"}


def golden(*fields):
    """Case, norm, loss, order, radius and value; `fields` are R1, R2, Rinf on boxes, or R1_Rn and R1 on the whole space."""
    for case in CASES:
        answers = case.get("expected_by_r") or dict.fromkeys(("1", "inf"), case["expected"])
        for norm, expected in answers.items():
            for name in fields:
                for loss, values in (expected.get(name) or {}).items():
                    order = float(name.removesuffix("_Rn")[1:])
                    for radius, truth in values.items():
                        yield case, NORMS[norm], NAMES[loss], order, float(radius), truth


def files(case):
    data = np.load(FOLDER / case["data"])
    return wv.load(FOLDER / case["onnx"]), data["x"], data["y"].tolist()


def test_golden_on_boxes():
    count = 0
    for case, norm, loss, order, radius, truth in golden("R1", "R2", "Rinf"):
        if case["domain"] != "R^n":
            network, x, y = files(case)
            low, high = (np.broadcast_to(case["domain"][end], case["n"]) for end in ("lo", "hi"))
            lower, upper = RiskOracle(network, box_corners(low, high), x, y, norm=norm, loss=loss).risk(radius, order)
            assert lower == pytest.approx(np.mean(truth), abs=1e-9)
            assert upper == pytest.approx(np.mean(truth), abs=1e-9)
            count += 1
    assert count > 40


def test_golden_on_the_whole_space():
    count = 0
    for case, norm, loss, _, radius, truth in (*golden("R1_Rn"), *(g for g in golden("R1") if g[0]["domain"] == "R^n")):
        if norm != "l2":
            found = whole_space_risk(*files(case), radius, norm=norm, loss=loss)
            assert found == pytest.approx(truth, abs=1e-9)
            count += 1
    assert count > 12


ORDERS = st.sampled_from([1.0, 1.5, 2.0, 3.0, np.inf])


def questions(order=ORDERS):
    return st.tuples(
        st.one_of(small_networks(), degenerate_networks()),
        st.sampled_from(["l1", "l2", "linf"]),
        order,
        st.sampled_from([0.02, 0.1, 0.4, 3.0]),
        st.integers(0, 2**32 - 1),
    )


def samples(seed):
    generator = np.random.default_rng(seed)
    weights = generator.integers(1, 5, 2).astype(float)
    return generator.integers(0, 5, (2, 2)) / 4, generator.integers(0, 3, 2).tolist(), weights, generator.integers(1, 4, 2) / 2


@settings(deadline=None, max_examples=30)
@given(small_networks(), st.integers(0, 2**32 - 1))
def test_the_cells_cover_the_box_and_hold_the_logits(network, seed):
    cells = risk_cells(network, box_corners([0, 0], [1, 1]))
    area = sum(
        abs(sum(p[0] * q[1] - p[1] * q[0] for p, q in zip(c.corners, (*c.corners[1:], c.corners[0]), strict=True))) for c in cells
    )
    assert area == 2
    for cell in cells:
        centers = [sum(axis) / len(cell.corners) for axis in zip(*cell.corners, strict=True)]
        expected = [float(value(form, tuple(centers))) for form in cell.logits]
        np.testing.assert_allclose(logits(network, np.array([centers], dtype=float))[0], expected, atol=1e-11)


@settings(deadline=None, max_examples=40)
@given(questions(), st.sampled_from(LOSSES))
def test_a_grid_of_points_never_beats_the_oracle_and_comes_close(question, loss):
    """A linear program over couplings with grid points; the oracle's value is at most the rise within half a step above it."""
    network, norm, order, radius, seed = question
    x, y, weights, scales = samples(seed)
    lower, upper = RiskOracle(
        network, box_corners([0, 0], [1, 1]), x, y, weights, norm=norm, loss=loss, scales=scales, gap=1e-6
    ).risk(radius, order)
    assert lower <= upper + 1e-11 * max(1.0, abs(upper))
    assert upper - lower <= 4e-6
    steps = 40
    grid = np.stack(np.meshgrid(*[np.linspace(0, 1, steps + 1)] * 2), axis=-1).reshape(-1, 2)
    outputs = logits(network, grid)
    costs, gains, rows = [], [], []
    for i, (point, label) in enumerate(zip(x, y, strict=True)):
        away = np.linalg.norm((grid - point) * scales, ord={"l1": 1, "l2": 2, "linf": np.inf}[norm], axis=1)
        rows.append(np.full(len(grid), i))
        gains.append(losses_of(np.delete(outputs, label, axis=1) - outputs[:, [label]], loss))
        costs.append(away)
    best = _program(np.concatenate(costs), np.concatenate(gains), np.concatenate(rows), weights / weights.sum(), radius, order)
    assert best <= upper + 1e-7 * max(1.0, abs(upper))
    if loss != "zero-one":
        slope = max(np.abs([[float(v) for v in form[:2]] for form in cell.logits]).sum(axis=1).max()
                    for cell in risk_cells(network, box_corners([0, 0], [1, 1])))  # fmt: skip
        # Every point has a grid point nearer to the sample within one step in each coordinate: no budget is lost.
        assert lower <= best + 2 * slope * np.sqrt(2) / steps + 1e-7


def _program(costs, gains, sources, weights, radius, order):
    if np.isinf(order):
        return sum(w * gains[(sources == i) & (costs <= radius)].max() for i, w in enumerate(weights))
    marginals = (sources[None, :] == np.arange(len(weights))[:, None]).astype(float)
    spent = (costs / radius) ** order * weights[sources]
    result = linprog(-gains * weights[sources], A_ub=spent[None, :], b_ub=[1.0], A_eq=marginals, b_eq=np.ones(len(weights)))
    assert result.status == 0
    return -result.fun


def test_a_sample_inside_a_triangle_is_a_maximum_of_order_1_with_l2():
    """f = (0, x): a price above the slope keeps the sample, which lies on no edge and is stationary for no slope."""
    network = mlp([[[0.0, 0.0], [1.0, 0.0]]], [[0.0, 0.0]])
    for loss in ("margin", "cross-entropy"):
        oracle = RiskOracle(network, box_corners([-1, -1], [1, 1]), np.array([[0.1, 0.2]]), [0], norm="l2", loss=loss)
        cost, gain, upper = oracle.samples[0].price(1.5, 1.0)
        assert cost == pytest.approx(0, abs=1e-6)
        assert gain == pytest.approx(oracle.nominal(), abs=1e-6)
        assert upper == pytest.approx(oracle.nominal(), abs=1e-6)


def test_frozen_coordinates_and_single_points():
    network = mlp([[[1.0, 2.0], [1.0, -1.0]], [[0.0, 0.0], [1.0, 1.0]]], [[0.0, 0.0], [0.0, -1.0]])
    x, y = np.array([[0.25, 0.5]]), [0]
    for norm in ("l1", "l2", "linf"):
        line = RiskOracle(network, box_corners([0, 0.5], [1, 0.5]), x, y, norm=norm)
        point = RiskOracle(network, box_corners([0.25, 0.5], [0.25, 0.5]), x, y, norm=norm)
        for order in (1.0, 2.0, np.inf):
            # f_1 - f_0 = x + 2y + max(0, x - y) - 1 with y = 1/2: slope 1 up to x = 1/2, then 2.
            lower, upper = line.risk(0.125, order)
            assert upper - lower <= 1e-11
            expected = {1.0: 0.25 + 0.125 * 1.25 / 0.75, 2.0: None, np.inf: 0.375}[order]
            assert expected is None or lower == pytest.approx(expected, abs=1e-12)
            assert point.risk(0.125, order) == pytest.approx((0.25, 0.25), abs=1e-12)


@settings(deadline=None, max_examples=20)
@given(questions(st.just(1.0)), st.sampled_from(["margin", "hinge", "cross-entropy"]))
def test_large_boxes_come_near_the_whole_space_from_below(question, loss):
    network, norm, _, radius, seed = question
    if norm == "l2":
        return
    x, y, weights, scales = samples(seed)
    whole = whole_space_risk(network, x, y, radius, weights=weights, norm=norm, loss=loss, scales=scales)
    scale = max(1.0, abs(whole))
    for side, room in ((4.0, np.inf), (2.0**30, 1e-4)):
        box = box_corners([-side, -side], [side, side])
        lower, _ = RiskOracle(network, box, x, y, weights, norm=norm, loss=loss, scales=scales).risk(radius)
        assert whole - room * scale <= lower <= whole + 1e-6 * scale
