"""Branch and bound: the relaxation contains the truth, verdicts agree with brute force, and solvers may lie."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from tests.bounds_networks import NETWORKS
from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import brute_force_distances
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bounds.interval import node_intervals
from wdaverify.domain import Box, Regions
from wdaverify.encode.graph import Ranges
from wdaverify.encode.split_triangle import NO_COLUMN, encode_split_triangle
from wdaverify.ir.evaluate import forward, trace
from wdaverify.ir.network import Network, Node
from wdaverify.ir.ops import Affine, Input, Relu
from wdaverify.program.backend import get_backend
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.program.result import SolveResult, Status
from wdaverify.risk.distance import distance
from wdaverify.search.relaxation import PhaseRelaxation
from wdaverify.search.tree import Verdict, search_depth

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.encode.split_triangle import SplitTriangle
    from wdaverify.program.backend import Session
    from wdaverify.program.program import Program

HIGHS = get_backend("highs")


def ranges_on(network: Network, lower: np.ndarray, upper: np.ndarray) -> Ranges:
    regions = Regions(lower[None], upper[None])
    bounds, intervals = crown_bounds(network, regions), node_intervals(network, regions)
    low = {name: interval.lower[0] for name, interval in intervals.items()}
    high = {name: interval.upper[0] for name, interval in intervals.items()}
    return Ranges(
        {**low, **{k: np.maximum(low[k], v[0]) for k, v in bounds.lower.items()}},
        {**high, **{k: np.minimum(high[k], v[0]) for k, v in bounds.upper.items()}},
    )


def relaxed(network: Network, lower: np.ndarray, upper: np.ndarray) -> tuple[Program, SplitTriangle]:
    builder = ProgramBuilder()
    encoding = encode_split_triangle(builder, network, ranges_on(network, lower, upper))
    return builder.build(Sense.MAXIMISE), encoding


@settings(max_examples=25, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 1000), decided=st.booleans())
def test_the_relaxation_contains_the_graph(network: Network, seed: int, decided: bool) -> None:
    """Fix the input: the outputs of the network are feasible, also under the phases that the point has."""
    point = np.random.default_rng(seed).uniform(-1, 1, 2)
    program, encoding = relaxed(network, -np.ones(2), np.ones(2))
    session = HIGHS.open(program)
    session.set_column_bounds(encoding.inputs, point, point)
    outputs = forward(network, point[None])[0]
    session.set_column_bounds(encoding.outputs.plus, outputs - 1e-7, outputs + 1e-7)
    if decided:
        values = trace(network, point[None])
        z = np.array([values[network.sources(name)[0]][0][k] for name, k in encoding.neurons.names])
        session.set_column_bounds(encoding.neurons.inactive[z >= 0], 0.0, 0.0)
        session.set_column_bounds(encoding.neurons.active[z < 0], 0.0, 0.0)
    assert session.solve().status is Status.OPTIMAL


@pytest.mark.parametrize("kind", sorted(NETWORKS))
def test_all_phases_fixed_is_the_network(kind: str) -> None:
    """With every decision taken the program is the affine piece: its optimum is the forward value."""
    network = NETWORKS[kind](np.random.default_rng(1))
    x = np.random.default_rng(2).uniform(0, 1, network.inputs)
    program, encoding = relaxed(network, np.zeros(network.inputs), np.ones(network.inputs))
    values = trace(network, x[None])
    z = np.array([values[network.sources(name)[0]][0][k] for name, k in encoding.neurons.names])
    session = HIGHS.open(program)
    session.set_column_bounds(encoding.inputs, x, x)
    session.set_column_bounds(encoding.neurons.inactive[z >= 0], 0.0, 0.0)
    session.set_column_bounds(encoding.neurons.active[z < 0], 0.0, 0.0)
    truth = values[network.output][0]
    assert NO_COLUMN not in encoding.outputs.plus
    for k, column in enumerate(encoding.outputs.plus):
        for sign in (1.0, -1.0):
            session.set_objective([column], [sign])
            result = session.solve()
            assert result.objective == pytest.approx(sign * truth[k], rel=1e-6, abs=1e-6 * max(1e-3, np.abs(truth).max()))
        session.set_objective([column], [0.0])


def verdict(network: Network, x: np.ndarray, label: int, target: int, radius: float, relaxation: PhaseRelaxation) -> Verdict:
    relaxation.aim(relaxation.outputs[[target, label]], [1.0, -1.0])

    def accept(point: np.ndarray) -> bool:
        logits = forward(network, np.clip(point, x - radius, x + radius)[None])[0]
        return bool(logits[target] >= logits[label])

    return search_depth(relaxation, accept, deadline=Deadline(), nodes=10_000).verdict


def ball(network: Network, x: np.ndarray, radius: float, opener: Callable[[Program], Session] | None = None) -> PhaseRelaxation:
    program, encoding = relaxed(network, x - radius, x + radius)
    backend = HIGHS if opener is None else Opener(opener)
    return PhaseRelaxation(backend, program, encoding)


@pytest.mark.parametrize("seed", range(8))
def test_verdicts_agree_with_brute_force(seed: int) -> None:
    network = random_mlp([2, 6, 4, 3], seed) if seed % 2 else random_residual(seed, 2, 5, 3)
    x = np.random.default_rng(seed).uniform(-0.3, 0.3, 2)
    truth = brute_force_distances(network, Box(-9, 9).sized(2), x, 0, Norm.LINF)
    for target in (1, 2):
        if not 1e-6 < truth[target] < 8.0:
            continue
        for part, expected in ((0.5, Verdict.CLOSED), (1 - 1e-6, Verdict.CLOSED), (1 + 1e-6, Verdict.FOUND)):
            radius = part * truth[target]
            assert verdict(network, x, 0, target, radius, ball(network, x, radius)) is expected


def test_moving_there_and_back_restores_the_root() -> None:
    network = random_mlp([2, 8, 6, 3], 5)
    relaxation = ball(network, np.zeros(2), 1.0)
    relaxation.aim(relaxation.outputs[[1, 0]], [1.0, -1.0])
    root = relaxation.answer(Deadline()).ceiling
    for path in ((1,), (1, -2), (-1, 3, 2), (), (4, -3), ()):
        relaxation.move(path)
        inside = relaxation.answer(Deadline()).ceiling
        assert inside <= root + 1e-9
    assert inside == pytest.approx(root, abs=1e-9)


def test_bounds_that_are_zero_but_for_rounding_do_not_spoil_the_program() -> None:
    """On [0, 1]^2 the neurons ``x_0`` and ``x_0 + x_1`` have lower bounds of -1e-16 or so: no row may need huge entries."""
    rng = np.random.default_rng(4)
    first = np.vstack([[1.0, 0.0], [1.0, 1.0], rng.normal(size=(10, 2))])
    network = mlp(
        [first, rng.normal(size=(4, 12)), rng.normal(size=(2, 4))],
        [np.r_[0.0, 0.0, rng.normal(size=10)], np.zeros(4), [9.0, 0.0]],
    )
    program, encoding = relaxed(network, np.zeros(2), np.ones(2))
    assert np.abs(program.matrix.data).max() < 2.0**40
    relaxation = PhaseRelaxation(HIGHS, program, encoding)
    relaxation.aim(relaxation.outputs[[1, 0]], [1.0, -1.0])
    assert np.isfinite(relaxation.answer(Deadline()).ceiling)


def test_a_source_that_is_read_twice_is_charged_for_the_sum_of_its_weights() -> None:
    """h = 2^55 x + x - 2^55 x is x, but the two large weights swallow the 1 in float64: no wrong closure may follow."""
    big = 2.0**55
    one = csr_array(np.array([[1.0]]))
    nodes = {
        "x": Node(Input(1)),
        "h": Node(Affine((big * one, one, -big * one), np.zeros(1)), ("x", "x", "x")),
        "r": Node(Relu(1), ("h",)),
        "f": Node(Affine((csr_array(np.array([[0.0], [1.0]])),), np.array([0.0, -0.75])), ("r",)),
    }
    record = distance(Network.from_nodes(nodes, "f"), [0.5], 0)
    assert record.distance.lower <= 0.25 <= record.distance.upper


def test_a_solver_that_gives_nothing_ends_the_search_at_once() -> None:
    network = random_mlp([2, 12, 12, 2], 0)
    relaxation = ball(network, np.zeros(2), 1.0, lambda program: LyingSession(program, "failed"))
    relaxation.aim(relaxation.outputs[[1, 0]], [1.0, -1.0])
    end = search_depth(relaxation, lambda _: False, deadline=Deadline(), nodes=10_000)
    assert (end.verdict, end.nodes) == (Verdict.OPEN, 1)


class Opener:
    """A backend whose sessions lie."""

    name, version, capabilities = "liar", "0", HIGHS.capabilities

    def __init__(self, opener: Callable[[Program], Session]) -> None:
        self.open = opener
        self.solve = HIGHS.solve


class LyingSession:
    """HiGHS with its answers replaced."""

    def __init__(self, program: Program, kind: str) -> None:
        self._honest, self._kind, self._rng = HIGHS.open(program), kind, np.random.default_rng(0)

    @property
    def program(self) -> Program:
        return self._honest.program

    def __getattr__(self, name: str) -> object:
        return getattr(self._honest, name)

    def solve(self, options: object = None) -> SolveResult:
        result, program = self._honest.solve(), self.program
        noise = self._rng.normal(size=program.rows)
        match self._kind:
            case "duals":
                return replace(result, row_duals=noise)
            case "infeasible":
                return replace(result, status=Status.INFEASIBLE, ray=noise, row_duals=None, primal=None)
            case "nan":
                return replace(result, row_duals=np.full(program.rows, np.nan), objective=np.nan)
            case "low":
                return replace(result, objective=-1e9, bound=-1e9, row_duals=None)
            case "failed":
                return replace(result, status=Status.FAILED, row_duals=None, primal=None)
            case _:
                scaled = None if result.row_duals is None else result.row_duals * self._rng.uniform(0, 3)
                return replace(result, row_duals=scaled)


@pytest.mark.parametrize("kind", ["duals", "infeasible", "nan", "low", "failed", "scaled"])
@pytest.mark.parametrize("seed", range(3))
def test_a_lying_solver_never_closes_a_ball_with_an_error_in_it(kind: str, seed: int) -> None:
    network = random_mlp([2, 5, 3, 2], seed)
    x = np.random.default_rng(seed).uniform(-0.3, 0.3, 2)
    label = int(np.argmax(forward(network, x[None])[0]))
    truth = brute_force_distances(network, Box(-9, 9).sized(2), x, label, Norm.LINF)[1 - label]
    radius = 1.5 * truth if np.isfinite(truth) else 2.0
    relaxation = ball(network, x, radius, lambda program: LyingSession(program, kind))
    relaxation.aim(relaxation.outputs[[1 - label, label]], [1.0, -1.0])
    end = search_depth(relaxation, lambda _: False, deadline=Deadline(), nodes=300)
    if np.isfinite(truth):
        assert end.verdict is Verdict.OPEN
