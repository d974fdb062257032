"""Branch and bound over regions: the same brackets as by visiting all cells, and honest ones when it is stopped."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp, random_mlp
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.cells.cone_search import ConeSearch
from wdaverify.cells.guide import Advice
from wdaverify.cells.layer_search import FoundCells, LayerSearch
from wdaverify.domain import Box
from wdaverify.gradients.by_enumeration import largest_gradients_by_enumeration
from wdaverify.gradients.by_search import largest_gradients_by_search
from wdaverify.gradients.question import GradientLimits, GradientQuestion
from wdaverify.gradients.region_tree import RegionTree
from wdaverify.ir.homogenise import homogenised
from wdaverify.program.backend import get_backend
from wdaverify.search.result import End

HIGHS = get_backend("highs")
UNIT = Box(-1, 1)


def searched(network, box, questions, **options):
    return largest_gradients_by_search(HIGHS, network, box.sized(network.inputs), questions, regions=True, **options)


def visited(network, box, questions, **options):
    return largest_gradients_by_enumeration(HIGHS, network, box.sized(network.inputs), questions, **options)


def assert_closed_to_the_truth(found, truths):
    for answer, truth in zip(found, truths, strict=True):
        assert (answer.end, truth.end) == (End.CLOSED, End.CLOSED)
        assert answer.lower == truth.lower
        assert truth.upper * (1 - 1e-15) <= answer.upper <= truth.upper * (1 + 2e-10) + 1e-12


@settings(max_examples=25, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 2**32 - 1))
def test_agrees_with_visiting_all_cells(network, seed):
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-2, 1, 2)
    box = Box(lower, lower + rng.uniform(0.1, 2, 2))
    questions = [GradientQuestion(rng.normal(size=(2, 3)), norm) for norm in Norm]
    assert_closed_to_the_truth(searched(network, box, questions), visited(network, box, questions))


@pytest.mark.parametrize("sizes", [[5, 8, 7, 3], [8, 7, 5, 3], [2, 24, 16, 3], [3, 6, 6, 6, 3]])
def test_several_dimensions(sizes):
    network, rows = random_mlp(sizes, 2), np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0]])
    questions = [GradientQuestion(rows, norm) for norm in Norm]
    found, truths = searched(network, UNIT, questions), visited(network, UNIT, questions)
    assert_closed_to_the_truth(found, truths)
    assert found[0].nodes < truths[0].nodes


def test_the_whole_space():
    network = homogenised(random_mlp([2, 6, 5, 2], 9))
    box, counted = Box([-1.0, -1.0, 0.0], [1.0, 1.0, 1.0]), np.array([True, True, False])
    questions = [GradientQuestion(np.eye(2), norm) for norm in Norm]
    found = searched(network, box, questions, coordinates=counted)
    assert_closed_to_the_truth(found, visited(network, box, questions, coordinates=counted))


def test_degenerate_networks():
    identity = mlp([[[1.0], [-1.0]], [[2.0, -2.0]]], [[0.0, 0.0], [0.0]])
    twins = mlp([[[1.0, 0.5], [1.0, 0.5], [0.0, 0.0]], [[3.0, -3.0, 9.0]]], [[0.1, 0.1, 0.0], [7.0]])
    linear = mlp([[[3.0, 4.0]]], [[0.0]])
    for network, norm, truth in ((identity, Norm.LINF, 2.0), (twins, Norm.L2, 0.0), (linear, Norm.L2, 5.0)):
        (answer,) = searched(network, UNIT, [GradientQuestion(np.ones((1, 1)), norm)])
        assert answer.end is End.CLOSED
        assert answer.lower == truth
        assert truth <= answer.upper <= truth * (1 + 1e-10) + 1e-12


@pytest.mark.parametrize(
    "limits", [GradientLimits(nodes=300), GradientLimits(nodes=1), GradientLimits(deadline=Deadline.after(0))]
)
def test_limits_leave_brackets(limits):
    network, questions = random_mlp([3, 20, 20, 2], 3), [GradientQuestion(np.eye(2), norm) for norm in Norm]
    for answer, truth in zip(searched(network, UNIT, questions, limits=limits), visited(network, UNIT, questions), strict=True):
        assert answer.end is End.LIMIT
        assert 0.0 < answer.lower <= truth.lower
        assert truth.upper <= answer.upper < np.inf


@pytest.mark.parametrize("where", ["consider", "_visit", "_close", "_bounded"])
@pytest.mark.parametrize("count", [0, 3, 9])
def test_ctrl_c_leaves_a_bracket(where, count, monkeypatch):
    network, questions = random_mlp([2, 20, 16, 2], 3), [GradientQuestion(np.eye(2), Norm.LINF)]
    (truth,) = visited(network, UNIT, questions)
    honest, calls = getattr(RegionTree, where), []

    def interrupted(self, *arguments):
        calls.append(where)
        if len(calls) == count + 1:
            raise KeyboardInterrupt
        return honest(self, *arguments)

    monkeypatch.setattr(RegionTree, where, interrupted)
    (answer,) = searched(network, UNIT, questions)
    assert answer.lower <= truth.lower
    assert truth.upper * (1 - 1e-15) <= answer.upper < np.inf
    if len(calls) > count:
        assert answer.end is End.INTERRUPTED


def test_slivers_that_cannot_be_decided_stay_in_the_upper_end():
    gap = 2.0**-50
    network = mlp([[[1.0, 0.5], [-1.0, -0.5], [1.0, 0.5 + gap]], [[1.0, 5.0, -3.0]]], [[0.25, -0.25 + gap, 0.25], [0.0]])
    questions = [GradientQuestion(np.ones((1, 1)), norm) for norm in Norm]
    for answer, truth in zip(searched(network, UNIT, questions), visited(network, UNIT, questions), strict=True):
        assert answer.end in (End.CLOSED, End.NUMERICAL)
        assert answer.lower <= truth.upper
        assert truth.lower <= answer.upper


@pytest.mark.parametrize("cones", [False, True])
def test_a_guide_drops_what_it_does_not_follow(cones):
    network = random_mlp([2, 9, 7, 2], 5)
    box = Box([-1.0, -1.0, 0.0], [1.0, 1.0, 1.0]) if cones else UNIT.sized(2)
    network, kind = (homogenised(network), ConeSearch) if cones else (network, LayerSearch)

    class Half:
        """Follows only cells where the first neuron is active."""

        def consider(self, phases):
            return Advice(phases[:, 0] >= 0, np.ones_like(phases), phases.sum(axis=1))

    found = [set() for _ in range(2)]
    for patterns, guide in zip(found, (None, Half()), strict=True):
        for part in kind(HIGHS, network, box, Deadline(), guide=guide).cells():
            assert isinstance(part, FoundCells)
            patterns |= {tuple(phases.tolist()) for phases in part.phases}
    assert {phases for phases in found[0] if phases[0]} <= found[1] < found[0]
