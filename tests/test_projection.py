from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from tests.oracles import project
from wdaverify._types import Norm
from wdaverify.attack.projection import reach_half_space


def _bank(seed, rows=60, n=5):
    """Gradients with zeros and repeated values, rooms with zeros and infinities, deficits of both signs."""
    generator = np.random.default_rng(seed)
    gradient = np.where(generator.random((rows, n)) < 0.2, 0.0, generator.normal(size=(rows, n)))
    gradient[::4] = np.sign(gradient[::4])
    up, down = generator.random((2, rows, n))
    up[generator.random((rows, n)) < 0.2] = np.inf
    down[generator.random((rows, n)) < 0.2] = np.inf
    up[generator.random((rows, n)) < 0.2] = 0.0
    return gradient, up, down, 1.7 * generator.random(rows) - 0.2


def _steps(gradient, up, down, deficit, norm):
    up, down = torch.tensor(up), torch.tensor(down)
    return reach_half_space(torch.tensor(gradient), torch.tensor(deficit), room_up=up, room_down=down, norm=norm).numpy()


@pytest.mark.parametrize("norm", list(Norm))
def test_the_step_is_the_shortest_that_reaches_the_half_space(norm):
    gradient, up, down, deficit = _bank(1)
    steps = _steps(gradient, up, down, deficit, norm)
    reachable = 0
    for a, u, d, c, s in zip(gradient, up, down, deficit, steps, strict=True):
        finite = np.r_[u < np.inf, d < np.inf]
        rows = np.vstack([np.vstack([np.eye(5), -np.eye(5)])[finite], -a])
        shortest = project(np.zeros(5), rows, np.r_[np.r_[u, d][finite], -c], norm)
        assert (s <= u).all()
        assert (s >= -d).all()
        if shortest < np.inf:
            reachable += 1
            assert a @ s >= c - 1e-12
            assert np.linalg.norm(s, ord=norm.order) == pytest.approx(shortest, abs=1e-9)
    assert reachable > 30


@pytest.mark.parametrize("norm", list(Norm))
def test_an_unreachable_half_space_is_approached_as_far_as_the_box_allows(norm):
    gradient, up, down, _ = _bank(2)
    up, down = np.minimum(up, 2.0), np.minimum(down, 2.0)
    steps = _steps(gradient, up, down, np.full(len(gradient), 1e3), norm)
    for a, u, d, s in zip(gradient, up, down, steps, strict=True):
        best = linprog(-a, bounds=list(zip(-d, u, strict=True)), method="highs")
        assert a @ s == pytest.approx(-best.fun, abs=1e-12)
        assert (s[a == 0] == 0).all()


@pytest.mark.parametrize("norm", list(Norm))
def test_nothing_moves_without_a_deficit_or_without_a_gradient(norm):
    room = np.full((2, 3), np.inf)
    steps = _steps(np.array([[1.0, -2.0, 0.0], [0.0, 0.0, 0.0]]), room, room, np.array([-1.0, 1.0]), norm)
    assert (steps == 0).all()
