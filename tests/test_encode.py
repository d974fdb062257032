"""Encoders: fix the input, solve, and compare every neuron with the forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp, random_mlp, random_residual
from tests.strategies import small_networks
from wdaverify._errors import SolverError
from wdaverify._types import Norm
from wdaverify.bounds.crown import crown_bounds
from wdaverify.bounds.interval import interval_bounds
from wdaverify.domain import Regions
from wdaverify.encode.graph import ENCODERS, Ranges, encode_graph
from wdaverify.encode.ground_cost import add_l1_cost, add_linf_cost, add_squared_l2_cost
from wdaverify.encode.nearest import NearestQuestion, encode_nearest
from wdaverify.encode.relu import ZERO_COLUMN, big_m, fixed_phase, triangle
from wdaverify.ir.evaluate import forward, trace
from wdaverify.ir.ops import Affine, Input, Relu
from wdaverify.ir.pattern import pattern_at
from wdaverify.program.backend import get_backend
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.program.result import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify.encode.graph import GraphColumns
    from wdaverify.encode.relu import ReluEncoding
    from wdaverify.ir.network import Network

HIGHS = get_backend("highs")


def ranges_on(network: Network, lower: np.ndarray, upper: np.ndarray, *, loose: bool = False) -> Ranges:
    regions = Regions(lower[None], upper[None])
    bounds = (interval_bounds if loose else crown_bounds)(network, regions)
    return Ranges(
        {network.input: lower, **{k: v[0] for k, v in bounds.lower.items()}},
        {network.input: upper, **{k: v[0] for k, v in bounds.upper.items()}},
    )


def values_of(primal: np.ndarray, columns: np.ndarray) -> np.ndarray:
    return np.where(columns == ZERO_COLUMN, 0.0, primal[columns])


def solve_at(network: Network, point: np.ndarray, ranges: Ranges, relu: ReluEncoding) -> tuple[np.ndarray, GraphColumns]:
    """The program with its input fixed at `point`."""
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, ranges, relu)
    builder.fix(graph.inputs, point)
    result = HIGHS.solve(builder.build(Sense.MINIMISE))
    assert result.status is Status.OPTIMAL
    assert result.primal is not None
    return result.primal, graph


def test_every_op_has_an_encoder() -> None:
    assert set(ENCODERS) == {Input, Affine, Relu}


@settings(max_examples=30, deadline=None)
@given(network=small_networks(), point=st.tuples(*[st.floats(-1, 1)] * 2), loose=st.booleans())
def test_big_m_reproduces_every_neuron(network: Network, point: tuple[float, float], loose: bool) -> None:
    x = np.array(point)
    ranges = ranges_on(network, -np.ones(2), np.ones(2), loose=loose)
    primal, graph = solve_at(network, x, ranges, big_m)
    for name, values in trace(network, x[None]).items():
        np.testing.assert_allclose(values_of(primal, graph.nodes[name]), values[0], atol=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_fixed_phase_is_the_affine_piece_of_the_cell(seed: int) -> None:
    network = random_residual(seed, 3, 5, 4)
    x = np.random.default_rng(seed).uniform(-1, 1, 3)
    nothing_known = Ranges({network.input: -np.ones(3)}, {network.input: np.ones(3)})
    primal, graph = solve_at(network, x, nothing_known, fixed_phase(pattern_at(network, x)))
    np.testing.assert_allclose(values_of(primal, graph.outputs), forward(network, x[None])[0], atol=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_fixed_phase_refuses_points_outside_the_cell(seed: int) -> None:
    network = random_mlp([2, 8, 3], seed)
    rng = np.random.default_rng(seed)
    x, other = rng.uniform(-1, 1, (2, 2)) * 3
    pattern = pattern_at(network, x)
    if all((pattern[k] == v).all() for k, v in pattern_at(network, other).items()):
        pytest.skip("both points share a cell")
    builder = ProgramBuilder()
    whole = Ranges({network.input: np.full(2, -5.0)}, {network.input: np.full(2, 5.0)})
    graph = encode_graph(builder, network, whole, fixed_phase(pattern))
    builder.fix(graph.inputs, other)
    assert HIGHS.solve(builder.build(Sense.MINIMISE)).status is Status.INFEASIBLE


@settings(max_examples=20, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 1000))
def test_triangle_contains_the_graph(network: Network, seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-1, 1, (200, 2))
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, ranges_on(network, -np.ones(2), np.ones(2)), triangle)
    program = builder.build(Sense.MINIMISE)
    values = trace(network, points)
    for k in range(len(points)):
        full = np.zeros(program.columns)
        for name, columns in graph.nodes.items():
            live = columns != ZERO_COLUMN
            full[columns[live]] = values[name][k][live]
        rows = program.matrix @ full
        scale = 1e-12 * (1.0 + abs(program.matrix) @ np.abs(full))
        assert (rows >= program.row_lower - scale).all()
        assert (rows <= program.row_upper + scale).all()
        assert (full >= program.lower - 1e-12).all()
        assert (full <= program.upper + 1e-12).all()


def test_triangle_is_the_hull_of_one_neuron() -> None:
    network = mlp([np.eye(1), np.eye(1)], [np.zeros(1), np.zeros(1)])
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, ranges_on(network, np.array([-1.0]), np.array([3.0])), triangle)
    builder.fix(graph.inputs, 0.0)
    builder.set_objective(graph.outputs, 1.0)
    result = HIGHS.solve(builder.build(Sense.MAXIMISE))
    assert result.objective == pytest.approx(0.75, abs=1e-9)  # u (z - l) / (u - l) = 3 * 1 / 4 at z = 0


def test_stable_neurons_cost_no_binaries() -> None:
    network = mlp([np.array([[1.0], [1.0], [1.0]]), np.ones((1, 3))], [np.array([5.0, -5.0, 0.0]), np.zeros(1)])
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, ranges_on(network, np.array([-1.0]), np.array([1.0])), big_m)
    assert (graph.binaries["relu1"] >= 0).tolist() == [False, False, True]
    assert graph.nodes["relu1"][1] == ZERO_COLUMN
    assert graph.nodes["relu1"][0] == graph.nodes["affine0"][0]


@pytest.mark.parametrize("add_cost", [add_l1_cost, add_linf_cost])
@pytest.mark.parametrize("seed", range(5))
def test_ground_cost_is_the_norm(add_cost: Callable[..., int], seed: int) -> None:
    center, x = np.random.default_rng(seed).normal(size=(2, 6))
    builder = ProgramBuilder()
    inputs = builder.add_columns(6, -10.0, 10.0)
    cost = add_cost(builder, inputs, center, np.inf)
    builder.fix(inputs, x)
    builder.set_objective([cost], [1.0])
    result = HIGHS.solve(builder.build(Sense.MINIMISE))
    assert result.objective == pytest.approx(np.linalg.norm(x - center, ord=1 if add_cost is add_l1_cost else np.inf), abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_l2_tangents_lie_below_the_square_and_touch_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    center, x = rng.normal(size=(2, 6))
    values = []
    for offsets in (np.zeros((1, 6)), rng.normal(size=(3, 6)), np.vstack([np.zeros((1, 6)), x - center])):
        builder = ProgramBuilder()
        inputs = builder.add_columns(6, -10.0, 10.0)
        cost = add_squared_l2_cost(builder, inputs, center, np.inf, offsets)
        builder.fix(inputs, x)
        builder.set_objective([cost], [1.0])
        values.append(HIGHS.solve(builder.build(Sense.MINIMISE)).objective)
    square = float(np.sum((x - center) ** 2))
    assert all(value is not None and value <= square + 1e-9 for value in values)
    assert values[2] == pytest.approx(square, abs=1e-8)


def test_an_unbounded_neuron_is_refused_by_name() -> None:
    network = random_mlp([2, 4, 2], 0)
    builder = ProgramBuilder()
    with pytest.raises(SolverError, match=r"'relu1'\[\d\].*finite"):
        encode_graph(builder, network, Ranges({"x": np.full(2, -np.inf)}, {"x": np.full(2, np.inf)}), big_m)


def test_nearest_program_by_hand() -> None:
    """f = (0, relu(x) - 1/2) from x = 0: class 1 is reached at 1/2; objective in units of 1/4 is 2."""
    network = mlp([np.eye(1), np.array([[0.0], [1.0]])], [np.zeros(1), np.array([0.0, -0.5])])
    question = NearestQuestion(center=np.zeros(1), label=0, target=1, norm=Norm.LINF)
    program, graph = encode_nearest(network, question, ranges_on(network, -np.ones(1), np.ones(1)), limit=1.0, unit=0.25)
    result = HIGHS.solve(program)
    assert result.status is Status.OPTIMAL
    assert result.objective == pytest.approx(2.0, abs=1e-7)
    assert result.primal is not None
    assert result.primal[graph.inputs] == pytest.approx([0.5], abs=1e-7)
