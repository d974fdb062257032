"""The search with solvers that lie: nothing with an error in it is closed, nothing is tightened too far."""

from __future__ import annotations

import numpy as np
import pytest

from tests.lying_sessions import LIES, LyingBackend
from tests.networks import random_mlp
from tests.oracles import brute_force_distances
from tests.test_search import boxed, goal_search, pre_activations, relaxed
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.ir.evaluate import forward
from wdaverify.search.tightening import tighten
from wdaverify.search.tree import DepthFirst, Verdict


def test_a_solver_that_gives_nothing_ends_the_search_at_once() -> None:
    network = random_mlp([2, 12, 12, 2], 0)
    relaxation = relaxed(network, boxed(np.zeros(2), 1.0), backend=LyingBackend("failed"))
    relaxation.aim(0)
    end = DepthFirst(relaxation, (), lambda _: False).run(10_000, Deadline())
    assert (end.verdict, end.nodes, end.stuck) == (Verdict.OPEN, 1, True)


@pytest.mark.parametrize("kind", LIES)
@pytest.mark.parametrize("outputs", [2, 4])
@pytest.mark.parametrize("seed", range(2))
def test_a_lying_solver_never_closes_a_ball_with_an_error_in_it(
    kind: str, outputs: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each class is a question of its own: what is known of one says nothing about points where another wins."""
    monkeypatch.setattr("wdaverify.search.goal._CAP", 5)
    network = random_mlp([2, 5, 3, outputs], seed)
    x = np.random.default_rng(seed).uniform(-0.3, 0.3, 2)
    label = int(np.argmax(forward(network, x[None])[0]))
    truth = brute_force_distances(network, Box(-9, 9).sized(2), x, label, Norm.LINF)
    for target in range(outputs):
        if target == label or not np.isfinite(truth[target]):
            continue
        backend = LyingBackend(kind)
        search = goal_search(network, boxed(x, 1.5 * truth[target]), label, target, backend)
        search._accept = lambda _: False
        assert search.run(300, Deadline()) is Verdict.OPEN


@pytest.mark.parametrize("kind", LIES)
def test_a_lying_solver_tightens_nothing_too_far(kind: str) -> None:
    network = random_mlp([2, 6, 4, 2], 1)
    relaxation = relaxed(network, boxed(np.zeros(2), 1.0), backend=LyingBackend(kind))
    relaxation.aim(0)
    result = tighten(relaxation, (), np.ones(network.relus), 99, Deadline())
    points = np.random.default_rng(0).uniform(-1, 1, (500, 2))
    for p in points[(forward(network, points) @ relaxation.question.rows[0]) >= 0]:
        assert not result.empty
        assert (pre_activations(network, p) >= result.bounds.lower - 1e-12).all()
        assert (pre_activations(network, p) <= result.bounds.upper + 1e-12).all()
