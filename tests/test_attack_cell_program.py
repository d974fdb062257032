"""Polishing by cells against SciPy's simplex on cells written out by hand, and against exact distances."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

import wdaverify as wv
from tests.attack_cases import FAST, audited, check, labelled
from tests.networks import random_mlp
from tests.strategies import degenerate_networks, small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.attack import methods
from wdaverify.attack.cell_program import MOST_WEIGHTS, cell_optima, may_gain, suits
from wdaverify.attack.options import AttackOptions
from wdaverify.attack.run import Run
from wdaverify.ir.evaluate import forward

NORMS = [Norm.LINF, Norm.L1]


def _nearest_in_cell(network, x, y, j, point, norm):
    """The least distance in the closed cell of a point in the unit box."""
    n, piece, rows = len(x), {}, []
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        kind = type(op).__name__
        if kind == "Input":
            piece[name] = np.eye(n), np.zeros(n)
        elif kind == "Affine":
            pairs = [(m.toarray(), piece[s]) for m, s in zip(op.matrices, sources, strict=True)]
            piece[name] = sum(m @ w for m, (w, _) in pairs), op.bias + sum(m @ b for m, (_, b) in pairs)
        else:
            w, b = piece[sources[0]]
            on = w @ point + b >= 0
            rows += [(s * w[k], s * b[k]) for k, s in enumerate(np.where(on, 1.0, -1.0))]
            piece[name] = np.where(on[:, None], w, 0.0), np.where(on, b, 0.0)
    w, b = piece[network.output]
    rows.append((w[j] - w[y], b[j] - b[y]))
    a, c = np.array([r for r, _ in rows]), np.array([v for _, v in rows])
    if norm is Norm.LINF:
        wall = np.block([[-a, np.zeros((len(a), 1))], [np.eye(n), -np.ones((n, 1))], [-np.eye(n), -np.ones((n, 1))]])
        found = linprog(np.r_[np.zeros(n), 1.0], wall, np.r_[c, x, -x], bounds=[(0, 1)] * n + [(0, None)])
    else:
        wall = np.block([[-a, np.zeros((len(a), n))], [np.eye(n), -np.eye(n)], [-np.eye(n), -np.eye(n)]])
        found = linprog(np.r_[np.zeros(n), np.ones(n)], wall, np.r_[c, x, -x], bounds=[(0, 1)] * n + [(0, None)] * n)
    return found.fun if found.status == 0 else np.inf


def _rough_errors(network, data):
    """Per sample a random error of the unit box that no search has brought near; and which samples have one."""
    pool = np.random.default_rng(1).random((400, network.inputs))
    outputs = forward(network, pool)
    points, targets, kept = [], [], []
    for i, y in enumerate(data.y):
        errs = np.flatnonzero(outputs.argmax(axis=1) != y)
        if len(errs):
            kept.append(i)
            points.append(pool[errs[i % len(errs)]])
            targets.append(int(outputs[errs[i % len(errs)]].argmax()))
    return np.array(kept, dtype=int), np.array(points).reshape(-1, network.inputs), np.array(targets, dtype=int)


@given(st.data(), st.sampled_from(NORMS))
@settings(max_examples=40, deadline=None)
def test_a_program_ends_at_the_nearest_error_of_the_cell_and_what_needs_none_is_there_already(drawn, norm):
    network = drawn.draw(st.one_of(small_networks(), degenerate_networks()))
    data = labelled(network, np.random.default_rng(drawn.draw(st.integers(0, 99))).random((4, 2)))
    kept, points, targets = _rough_errors(network, data)
    if len(kept) == 0:
        return
    run = Run(network, data, [wv.WassersteinBall(0.1, norm=norm)], domain=wv.Box(0, 1), input_shape=None,
              options=AttackOptions(device="cpu"))  # fmt: skip
    rows = run._rows(kept)
    distances = np.linalg.norm(points - data.x[kept], ord=norm.order, axis=1)
    chosen = may_gain(network, rows, points, targets, distances)
    optima = cell_optima(network, rows, points, targets, distances, Deadline())
    for i, k in enumerate(kept):
        least = _nearest_in_cell(network, data.x[k], data.y[k], targets[i], points[i], norm)
        assert i in chosen or least >= distances[i] * (1 - 1e-5)
        if np.isfinite(least) and least < distances[i] * (1 - 1e-5):
            found = np.linalg.norm(optima[i] - data.x[k], ord=norm.order)
            assert found == pytest.approx(least, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("norm", NORMS)
def test_polishing_shortens_some_distances_and_lengthens_none(norm, monkeypatch):
    network = random_mlp([6, 20, 20, 3], 2)
    data = labelled(network, np.random.default_rng(2).random((30, 6)))
    ball = wv.WassersteinBall(0.3, norm=norm)
    polished = wv.attack(network, data, ball, **FAST)
    check(network, data, polished, wv.Box(0, 1))
    audited(network, data, polished, wv.Box(0, 1))
    method = methods.METHODS["wda++"]
    monkeypatch.setitem(methods.METHODS, "wda++", dataclasses.replace(method, polish=None))
    plain = wv.attack(network, data, ball, **FAST)
    assert (polished.distances <= plain.distances).all()
    gained = polished.distances < plain.distances
    assert gained.any()
    assert [part == "cell-program" for part in polished.parts] == gained.tolist()


def test_frozen_features_stay():
    network = random_mlp([6, 20, 20, 3], 2)
    data = labelled(network, np.random.default_rng(3).random((20, 6)))
    frozen = np.array([True, False, False, True, False, False])
    domain = wv.Domain(wv.Box(np.zeros(6), np.ones(6)), frozen=frozen)
    found = wv.attack(network, data, wv.WassersteinBall(0.3), domain=domain, **FAST)
    known = np.isfinite(found.distances)
    assert "cell-program" in found.parts
    assert np.array_equal(found.points[known][:, frozen], data.x[known][:, frozen])
    check(network, data, found, wv.Box(0, 1))


def test_large_networks_modules_and_l2_are_left_alone():
    small, large = random_mlp([4, 9, 3], 8), random_mlp([300, 400, 3], 8)
    assert suits(small, Norm.L1)
    assert not suits(small, Norm.L2)
    assert not suits(None, Norm.L1)
    assert MOST_WEIGHTS < 300 * 400
    assert not suits(large, Norm.LINF)


def test_a_limit_that_passes_while_points_are_polished_leaves_the_batch_for_later(tmp_path, monkeypatch):
    network = random_mlp([6, 20, 20, 3], 2)
    data = labelled(network, np.random.default_rng(2).random((30, 6)))
    ball = wv.WassersteinBall(0.3)
    whole = wv.attack(network, data, ball, **FAST)
    with monkeypatch.context() as patch:
        patch.setattr("wdaverify.attack.run.cell_optima", lambda *given: time.sleep(1.0) or cell_optima(*given))
        cut = wv.attack(network, data, ball, journal=tmp_path, time_limit=1.0, **FAST)
    assert cut.attacked == 0
    assert np.isfinite(cut.distances).sum() == np.isfinite(whole.distances).sum()
    check(network, data, cut, wv.Box(0, 1))
    assert not list(tmp_path.glob("batch-*"))
    resumed = wv.attack(network, data, ball, journal=tmp_path, **FAST)
    assert np.array_equal(resumed.distances, whole.distances)
