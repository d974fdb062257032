"""The gradient as columns of a program: fix the input, solve, and compare with the Jacobian of the cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bounds.adjoint import adjoint_intervals
from wdaverify.bounds.crown import crown_bounds
from wdaverify.domain import Box, Regions
from wdaverify.encode.graph import Ranges, encode_graph
from wdaverify.encode.jacobian import encode_gradient, ends_in_units
from wdaverify.encode.norm import add_norm
from wdaverify.encode.relu import ZERO_COLUMN, big_m
from wdaverify.ir.pattern import jacobian, pattern_at
from wdaverify.program.backend import get_backend
from wdaverify.program.builder import ProgramBuilder
from wdaverify.program.program import Sense
from wdaverify.program.result import Status

if TYPE_CHECKING:
    from wdaverify.ir.network import Network

HIGHS = get_backend("highs")
BOX = Box(-1, 1)


def program_at(network: Network, form: np.ndarray, norm: Norm, point: np.ndarray | None):
    """The program of the largest norm over the box, with its input fixed at `point` if there is one."""
    regions = Regions.of_box(BOX, network.inputs)
    bounds = crown_bounds(network, regions)
    ranges = Ranges(
        {network.input: regions.lower[0], **{k: v[0] for k, v in bounds.lower.items()}},
        {network.input: regions.upper[0], **{k: v[0] for k, v in bounds.upper.items()}},
    )
    builder = ProgramBuilder()
    graph = encode_graph(builder, network, ranges, big_m)
    intervals = adjoint_intervals(network, bounds, form[None])
    gradient, unit = encode_gradient(builder, graph, form, intervals)
    add_norm(builder, gradient, *ends_in_units(intervals.nodes[network.input], unit), norm, factor=unit)
    if point is not None:
        builder.fix(graph.inputs, point)
    result = HIGHS.solve(builder.build(Sense.MAXIMISE))
    assert result.status is Status.OPTIMAL
    assert result.primal is not None
    return result, np.where(gradient == ZERO_COLUMN, 0.0, unit * result.primal[gradient])


@settings(max_examples=12, deadline=None)
@given(
    network=small_networks(),
    point=st.tuples(*[st.floats(-1, 1)] * 2),
    form=st.tuples(*[st.integers(-2, 2)] * 3),
    norm=st.sampled_from([Norm.L1, Norm.LINF]),
)
def test_at_a_fixed_input_the_columns_are_the_gradient(network, point, form, norm) -> None:
    x, c = np.array(point), np.array(form, dtype=np.float64)
    values = np.concatenate(network.compiled.trace(x[None])[:-1], axis=1)
    if np.abs(values[values != 0]).min(initial=1.0) < 1e-5 or (x == 0).any():
        return  # on the border of a cell either gradient may be meant
    result, gradient = program_at(network, c, norm, x)
    expected = c @ jacobian(network, pattern_at(network, x))
    np.testing.assert_allclose(gradient, expected, atol=1e-6)
    assert result.objective == pytest.approx(np.linalg.norm(expected, ord=norm.order), abs=1e-6)


@settings(max_examples=6, deadline=None)
@given(network=small_networks(), norm=st.sampled_from([Norm.L1, Norm.LINF]))
def test_the_largest_norm_is_that_of_some_cell(network, norm) -> None:
    form = np.array([1.0, -1.0, 0.0])
    cells = [np.linalg.norm(form @ cell.slope, ord=norm.order) for cell in enumerate_cells(network, BOX)]
    result, gradient = program_at(network, form, norm, None)
    assert result.objective == pytest.approx(np.linalg.norm(gradient, ord=norm.order), abs=1e-6)
    assert result.objective >= max(cells) - 1e-6


def test_a_residual_network_with_its_input_read_thrice() -> None:
    network, form = random_residual(3, 4, 6, 3), np.array([0.0, 2.0, -1.0])
    rng = np.random.default_rng(3)
    for _ in range(5):
        x = rng.uniform(-1, 1, 4)
        _, gradient = program_at(network, form, Norm.L1, x)
        np.testing.assert_allclose(gradient, form @ jacobian(network, pattern_at(network, x)), atol=1e-6)


def test_only_some_entries_are_encoded() -> None:
    network, form = random_residual(3, 4, 6, 3), np.array([0.0, 2.0, -1.0])
    bounds = crown_bounds(network, Regions.of_box(BOX, 4))
    ranges = Ranges({"x": -np.ones(4), **{k: v[0] for k, v in bounds.lower.items()}},
                    {"x": np.ones(4), **{k: v[0] for k, v in bounds.upper.items()}})  # fmt: skip
    builder, x = ProgramBuilder(), np.array([0.1, -0.4, 0.3, 0.7])
    graph = encode_graph(builder, network, ranges, big_m, {"x", "z0", "y0", "z1", "y1"})
    entries = np.array([True, False, False, True])
    gradient, unit = encode_gradient(builder, graph, form, adjoint_intervals(network, bounds, form[None]), entries)
    assert (gradient == ZERO_COLUMN).tolist() == [False, True, True, False]
    assert "f" not in graph.nodes
    builder.fix(graph.inputs, x)
    found = HIGHS.solve(builder.build(Sense.MAXIMISE)).primal[gradient[entries]] * unit
    np.testing.assert_allclose(found, (form @ jacobian(network, pattern_at(network, x)))[entries], atol=1e-6)


def test_closed_patterns_see_a_gradient_that_is_none() -> None:
    """relu(x) - relu(-x) = x: both neurons are active at x = 0 alone, and the program alone says 2."""
    network = mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [np.zeros(2), np.zeros(1)])
    assert program_at(network, np.ones(1), Norm.LINF, None)[0].objective == pytest.approx(2.0, abs=1e-7)
    assert program_at(network, np.ones(1), Norm.LINF, np.array([0.5]))[0].objective == pytest.approx(1.0, abs=1e-7)


@settings(max_examples=10, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 1000))
def test_the_intervals_hold_every_gradient(network, seed) -> None:
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-1, 0.5, 2)
    box = Box(lower, lower + rng.uniform(0.1, 1.0, 2))
    forms = rng.normal(size=(4, 3))
    bounds = crown_bounds(network, Regions.of_box(box, 2))
    ends = adjoint_intervals(network, bounds, forms)
    for row in range(4):
        assert np.array_equal(ends.of_form(row).nodes["x"].lower, ends.nodes["x"].lower[[row]])
    for cell in enumerate_cells(network, box):
        gradients = forms @ cell.slope
        room = 1e-12 * (1 + np.abs(gradients))
        assert (gradients >= ends.nodes["x"].lower - room).all()
        assert (gradients <= ends.nodes["x"].upper + room).all()


def test_l2_is_refused() -> None:
    with pytest.raises(InputError, match="l2"):
        add_norm(ProgramBuilder(), np.zeros(1, dtype=int), -np.ones(1), np.ones(1), Norm.L2)


@pytest.mark.parametrize("norm", [Norm.L1, Norm.LINF])
@pytest.mark.parametrize("seed", range(4))
def test_the_norms_alone(norm: Norm, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-1, 0.5, 7)
    upper = lower + rng.uniform(0, 1, 7)
    point = rng.uniform(lower, upper)
    for fixed in (True, False):
        builder = ProgramBuilder()
        columns = builder.add_columns(7, lower, upper)
        add_norm(builder, np.r_[columns, ZERO_COLUMN], np.r_[lower, 0.0], np.r_[upper, 0.0], norm)
        if fixed:
            builder.fix(columns, point)
        farthest = point if fixed else np.maximum(-lower, upper)
        found = HIGHS.solve(builder.build(Sense.MAXIMISE)).objective
        assert found == pytest.approx(np.linalg.norm(farthest, ord=norm.order), abs=1e-7)
