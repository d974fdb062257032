"""What the tests of backends share: which backends there are, random programs, and how an answer is judged."""

from __future__ import annotations

import numpy as np
import pytest

from tests.program_bank import program
from wdaverify.program.backend import get_backend
from wdaverify.program.kkt import primal_residual
from wdaverify.program.program import Sense
from wdaverify.program.result import Status

BACKENDS = ("cbc", "cvxpy", "highs")
INF = np.inf


def backends_with(*capabilities):
    return [name for name in BACKENDS if set(capabilities) <= get_backend(name).capabilities]


def ids(case):
    return case.name if hasattr(case, "program") else str(case)


def check_case(case, result, tolerance):
    assert result.status is Status.OPTIMAL, result.message
    assert result.objective == pytest.approx(case.optimum, abs=tolerance)
    assert primal_residual(case.program, result.primal) <= tolerance
    assert case.program.sense.sign * (result.bound - case.optimum) <= tolerance
    if case.point is not None:
        assert result.primal == pytest.approx(np.array(case.point), abs=np.sqrt(tolerance))


def random_program(rng, integer=False):
    """A feasible bounded program with ranges, equations, one-sided and free rows."""
    rows, columns = int(rng.integers(1, 8)), int(rng.integers(1, 9))
    matrix = rng.normal(size=(rows, columns)) * (rng.random((rows, columns)) < 0.7)
    lower = rng.integers(-3, 1, columns).astype(float)
    upper = lower + rng.integers(0, 5, columns)
    inside = lower + np.round(rng.random(columns) * (upper - lower))
    activity = matrix @ inside
    below, above = rng.exponential(size=(2, rows)) * (rng.random((2, rows)) < 0.8)
    ends = np.stack([activity - below, activity + above], axis=1)
    ends[rng.random(rows) < 0.3, 0] = -INF
    ends[rng.random(rows) < 0.3, 1] = INF
    kinds = np.arange(columns) % 2 == 0 if integer else np.zeros(columns)
    sense = Sense.MAXIMISE if rng.random() < 0.5 else Sense.MINIMISE
    c = rng.normal(size=columns)
    return program(c, matrix, ends, np.stack([lower, upper], axis=1), sense=sense, integer=kinds, constant=float(rng.normal()))


def hard_program(seed=0, rows=30, columns=120):
    """A multidimensional knapsack with values close to weights, far beyond a second of any solver."""
    rng = np.random.default_rng(seed)
    weights = rng.integers(10, 1000, (rows, columns)).astype(float)
    values = np.round(weights.mean(axis=0)) + rng.integers(1, 40, columns)
    ends = [(-INF, float(total // 2)) for total in weights.sum(1)]
    return program(values, weights, ends, [(0, 1)] * columns, sense=Sense.MAXIMISE, integer=[1] * columns)
