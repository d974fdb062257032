"""Multipliers that no honest solver gives: prices of points, huge prices of tiny weights, weights that underflow."""

from __future__ import annotations

import numpy as np
import pytest

from tests.networks import mlp
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Regions
from wdaverify.program.backend import get_backend
from wdaverify.program.result import SolveResult, Status
from wdaverify.search.ceiling import CeilingProver, Multipliers
from wdaverify.search.cost import CostTerm
from wdaverify.search.inputs import InputSet
from wdaverify.search.neuron_bounds import NeuronBounds
from wdaverify.search.oracle import maximise
from wdaverify.search.question import Question
from wdaverify.search.result import SearchLimits
from wdaverify.transport import GroundCost


class DenyingSession:
    """Denies the node where the only neuron is active, with a ray that the cost of the points makes negative."""

    def __init__(self, honest):
        self._honest = honest

    def __getattr__(self, name):
        return getattr(self._honest, name)

    def solve(self, options):
        program = self._honest.program
        if program.upper[-3] > 0.0:  # columns end with relu(-z), the row and the goal
            return self._honest.solve(options)
        ray = np.zeros(program.rows)
        ray[0] = 0.1
        return SolveResult(status=Status.INFEASIBLE, bound=-np.inf, ray=ray)


class DenyingBackend:
    name, version = "denying", "0"

    def __init__(self):
        self.honest = get_backend("highs")
        self.capabilities = self.honest.capabilities

    def solve(self, program, options=None):
        return self.honest.solve(program)

    def open(self, program):
        return DenyingSession(self.honest.open(program))


@pytest.mark.parametrize("norm", [Norm.L1, Norm.LINF])
def test_what_points_cost_does_not_make_a_node_empty(norm):
    """``8 relu(x) - 4 |x + 1/2|`` is 2 at x = 1."""
    network, regions = mlp([[[1.0]], [[8.0]]], [[0.0], [0.0]]), Regions(-np.ones((1, 1)), np.ones((1, 1)))
    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    inputs = InputSet(regions, CostTerm(np.array([-0.5]), GroundCost(norm), 4.0))
    result = maximise(DenyingBackend(), network, Question.of(np.ones((1, 1)), inputs=1), inputs, bounds, limits=SearchLimits())
    assert result.upper >= 2.0


def test_huge_prices_of_tiny_weights_prove_no_node_empty():
    """All pre-activations are 0 at (1, 1): the node where all neurons are active holds it, whatever the prices."""
    rng = np.random.default_rng(0)
    regions = Regions(np.ones((1, 2)), np.ones((1, 2)))
    for _ in range(40):
        weights, prices = rng.integers(2**30, 2**31, size=(4, 2)), rng.integers(2**51, 2**52, size=4)
        weights[2:] *= -1
        for d in range(2):  # the products with the prices nearly cancel
            weights[3, d] = -round(sum(int(p) * int(a) for p, a in zip(prices[:3], weights[:3, d], strict=True)) / int(prices[3]))
        scale = 2.0**-1070
        network = mlp([weights * scale, np.ones((1, 4))], [-weights.sum(axis=1) * scale, [0.0]])
        bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
        prover = CeilingProver(network, Question.of(np.ones((1, 1)), inputs=2), InputSet(regions), bounds, bounds.unstable)
        prover.lower[:] = 0.0
        assert prover.of_nothing(Multipliers(prices * 2.0**948, np.zeros(1), np.zeros(0))) >= 0.0


def test_weights_that_underflow_prove_little():
    """``0.3 * 1e21 x - 1e20`` is 2e20 at x = 1; the least weight times 0.3 is 0."""
    network, regions = mlp([[[1e21]]], [[0.0]]), Regions(np.zeros((1, 1)), np.ones((1, 1)))
    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    question = Question.of(np.full((2, 1), 0.3), inputs=1, offsets=np.full(2, -1e20))
    prover = CeilingProver(network, question, InputSet(regions), bounds, bounds.unstable)
    assert prover.of_goal(Multipliers(np.zeros(0), np.full(2, 5e-324), np.zeros(0)), None) >= 2e20


def test_weights_of_the_least_row_do_not_rescale_the_cost():
    """``min(8 x, 8 x) - 4 |x + 1/2|`` is 2 at x = 1, whatever the weights of the two rows add up to."""
    network, regions = mlp([[[1.0]], [[8.0]]], [[0.0], [0.0]]), Regions(-np.ones((1, 1)), np.ones((1, 1)))
    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    inputs = InputSet(regions, CostTerm(np.array([-0.5]), GroundCost(Norm.LINF), 4.0))
    prover = CeilingProver(network, Question.of(np.array([[1.0], [1.0]]), inputs=1), inputs, bounds, bounds.unstable)
    prover.lower[:] = 0.0  # the node where the neuron is active, which holds x = 1
    for total in (1e-300, 0.1, 1.0, 7.0, 1e300):
        multipliers = Multipliers(np.array([8.0 * total]), total * np.array([0.25, 0.75]), np.zeros(0))
        assert prover.of_goal(multipliers, None) >= 2.0


@pytest.mark.parametrize("size", [1e200, 1e307, 1.7e308])
def test_weights_that_overflow_prove_nothing(size):
    """A huge weight times a constant is an infinity, which is no proof that a point does not exist."""
    network, regions = mlp([[[1.0]], [[1.0]]], [[0.0], [-100.0]]), Regions(-np.ones((1, 1)), np.ones((1, 1)))
    bounds = NeuronBounds.of(network, regions, crown_bounds(network, regions))
    question = Question.of(np.array([[1.0]]), inputs=1, offsets=np.array([100.0]))  # the row is relu(x), 1 at x = 1
    prover = CeilingProver(network, question, InputSet(regions), bounds, bounds.unstable)
    multipliers = Multipliers(np.array([0.5 * size]), np.array([size]), np.zeros(0))
    assert prover.of_nothing(multipliers) >= 0.0
    assert prover.of_neuron(0, 1.0, multipliers) >= 1.0
    assert prover.of_goal(multipliers, None) >= 1.0
