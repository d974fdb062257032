"""Projection onto a ball within a box against quadratic programs, steepest steps against linear ones, and noise per sample."""

from __future__ import annotations

import cvxpy
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from wdaverify._types import Norm
from wdaverify.attack.ball import project, scattered, steepest
from wdaverify.attack.noise import content_keys, uniform
from wdaverify.attack.rows import Rows

NORMS = list(Norm)


def _rows(samples, lower, upper, norm, dtype=torch.float64):
    tensors = [torch.tensor(np.asarray(a, dtype=float), dtype=dtype) for a in (samples, lower, upper)]
    return Rows(
        logits=lambda points: points,
        samples=tensors[0],
        labels=torch.zeros(len(samples), dtype=torch.int64),
        rivals=None,
        lower=tensors[1],
        upper=tensors[2],
        norm=norm,
        keys=torch.tensor(content_keys(np.asarray(samples, dtype=float))),
    )


def _bank(seed, rows=40, n=6):
    """Samples in boxes with fixed coordinates and infinite ends, points inside and far outside, radii from 0."""
    generator = np.random.default_rng(seed)
    lower, upper = np.sort(generator.normal(size=(2, n)), axis=0)
    samples = lower + (upper - lower) * generator.random((rows, n))
    samples[::3, 0], samples[::5, 1] = lower[0], upper[1]
    lower[4], upper[5], lower[3] = -np.inf, np.inf, upper[3]
    samples[:, 3] = upper[3]
    points = samples + generator.normal(size=(rows, n)) * generator.choice([0.1, 1.0, 5.0], (rows, 1))
    points[::4] = samples[::4] + np.sign(points[::4])  # equal sizes
    points[1] = samples[1]
    radius = generator.choice([0.0, 0.3, 1.5, 50.0], rows)
    return samples, lower, upper, points, radius


@pytest.mark.parametrize("norm", NORMS)
def test_projections_are_those_of_a_quadratic_program(norm):
    samples, lower, upper, points, radius = _bank(1)
    found = project(_rows(samples, lower, upper, norm), torch.tensor(points), torch.tensor(radius)).numpy()
    for x, p, r, z in zip(samples, points, radius, found, strict=True):
        step = cvxpy.Variable(len(x))
        finite = np.isfinite(lower), np.isfinite(upper)
        rows = [step[finite[0]] >= (lower - x)[finite[0]], step[finite[1]] <= (upper - x)[finite[1]]]
        rows.append(cvxpy.norm(step, {"l1": 1, "l2": 2, "linf": "inf"}[norm]) <= r)
        best = cvxpy.Problem(cvxpy.Minimize(cvxpy.sum_squares(step - (p - x))), rows)
        best.solve(solver="CLARABEL")
        assert (z >= lower).all()
        assert (z <= upper).all()
        assert np.linalg.norm(z - x, ord=norm.order) <= r * (1 + 1e-12) + 1e-15
        # By strong convexity a feasible point whose value is within c of the least is within sqrt(c) of the projection.
        assert ((z - p) ** 2).sum() <= best.value + 1e-6 * (1 + best.value)


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([1e-12, 1e-3, 1.0, 1e4]), double=st.booleans())
def test_projections_stay_inside_and_leave_inner_points_alone(norm, seed, scale, double):
    samples, lower, upper, points, radius = (scale * a for a in _bank(seed, rows=8))
    dtype, eps = (torch.float64, 1e-14) if double else (torch.float32, 1e-5)
    rows, reach = _rows(samples, lower, upper, norm, dtype), torch.tensor(radius, dtype=dtype)
    once = project(rows, torch.tensor(points, dtype=dtype), reach)
    assert ((once >= rows.lower) & (once <= rows.upper)).all()
    slack = eps * (reach + rows.samples.abs().amax(1))  # l1 and linf lengths are differences of rounded coordinates
    assert (rows.distance(once) <= reach + 6 * slack).all()
    assert torch.allclose(project(rows, once, reach), once, rtol=0, atol=float(8 * slack.max()))


@pytest.mark.parametrize("norm", NORMS)
def test_steepest_steps_gain_what_the_dual_norm_or_a_linear_program_says(norm):
    samples, lower, upper, _, size = _bank(2)
    gradient = np.random.default_rng(3).normal(size=samples.shape)
    gradient[::4] = np.sign(gradient[::4])
    rows = _rows(samples, lower, upper, norm)
    steps = steepest(rows, rows.samples, torch.tensor(gradient), torch.tensor(size)).numpy()
    for x, g, s, step in zip(samples, gradient, size, steps, strict=True):
        # For linf the projection sees to the box.
        movable = np.where(g > 0, upper > x, x > lower) | (norm is Norm.LINF)
        if norm is not Norm.L1:
            assert g @ step == pytest.approx(s * np.linalg.norm(g[movable], ord=norm.dual.order), rel=1e-12)
            assert np.linalg.norm(step, ord=norm.order) <= s * (1 + 1e-12)
            continue
        bounds = [(0, room) for room in np.r_[upper - x, x - lower]]
        best = linprog(-np.r_[g, -g], A_ub=np.ones((1, 2 * len(x))), b_ub=[s], bounds=bounds, method="highs")
        assert g @ step == pytest.approx(-best.fun, abs=1e-9)
        assert ((x + step >= lower - 1e-12) & (x + step <= upper + 1e-12)).all()


def test_no_gradient_means_no_step():
    for norm in NORMS:
        rows = _rows(np.full((2, 3), 0.5), np.zeros(3), np.ones(3), norm)
        tiny = torch.tensor([[0.0, 0.0, 0.0], [1e-300, 0.0, 0.0]], dtype=torch.float64)
        steps = steepest(rows, rows.samples, tiny, torch.full((2,), 0.25, dtype=torch.float64))
        assert steps[0].tolist() == [0, 0, 0]
        assert steps[1].tolist() == [0.25, 0, 0]


@pytest.mark.parametrize("norm", NORMS)
def test_scattered_points_fill_the_ball_and_differ_by_stream(norm):
    samples = np.random.default_rng(5).random((400, 3))
    rows = _rows(samples, np.full(3, -9.0), np.full(3, 9.0), norm)
    radius = torch.full((400,), 2.0, dtype=torch.float64)
    first, second = scattered(rows, radius, 1), scattered(rows, radius, 2)
    lengths = rows.distance(first)
    assert lengths.max() <= 2 + 1e-12
    assert lengths.max() > 1.8
    assert not (first == second).any()


@given(seed=st.integers(0, 2**40), stream=st.integers(0, 2**20), count=st.integers(1, 40))
def test_noise_belongs_to_the_sample_alone(seed, stream, count):
    samples = np.random.default_rng(7).normal(size=(5, 3))
    keys = torch.tensor(content_keys(samples))
    drawn = uniform(keys, count, seed=seed, stream=stream)
    assert torch.equal(uniform(keys.flip(0), count, seed=seed, stream=stream).flip(0), drawn)
    assert torch.equal(uniform(keys[2:3], count + 3, seed=seed, stream=stream)[0, :count], drawn[2])
    assert len(set(drawn.flatten().tolist())) == 5 * count


def test_noise_is_uniform_and_its_streams_are_unrelated():
    keys = torch.tensor(content_keys(np.random.default_rng(8).normal(size=(200, 4))))
    drawn = [uniform(keys, 500, seed=s, stream=t).flatten().numpy() for s, t in ((0, 0), (0, 1), (1, 0))]
    for numbers in drawn:
        counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
        assert ((counts - 5000) ** 2 / 5000).sum() < 60  # chi-square with 19 degrees of freedom
    assert np.abs(np.corrcoef(drawn) - np.eye(3)).max() < 0.015


def test_equal_samples_have_equal_keys_and_others_do_not():
    keys = content_keys(np.array([[0.0, 1.0], [-0.0, 1.0], [1.0, 0.0], [0.0, np.nextafter(1.0, 2)]]))
    assert keys[0] == keys[1]
    assert len(set(keys.tolist())) == 3
