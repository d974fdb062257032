"""Full-dimensional or not: exact decisions on degenerate networks, against enumeration, and against solvers that lie."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lying_sessions import LIES, LyingSession
from tests.networks import mlp, random_mlp
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._errors import DomainError
from wdaverify.cells.interior import InteriorKind, interior_at, interior_of
from wdaverify.domain import Box
from wdaverify.ir.homogenise import homogenised
from wdaverify.ir.load import load
from wdaverify.program.backend import get_backend
from wdaverify.program.result import SolveResult, Status

HIGHS = get_backend("highs")
FULL, EMPTY, THIN = InteriorKind


class LyingSolver:
    """A backend whose one-shot answers are replaced in one of the ways of `LyingSession`."""

    name, version, capabilities = "liar", "0", HIGHS.capabilities

    def __init__(self, kind):
        self.kind = kind

    def solve(self, program, options=None):
        return LyingSession(program, self.kind).solve(options)


def kinds(network, box, backend=HIGHS):
    """The answer for every pattern, as a string of 0 and 1."""
    sized = box.sized(network.inputs)
    patterns = itertools.product([False, True], repeat=network.compiled.neurons)
    return {"".join("01"[p] for p in phases): interior_of(backend, network, sized, np.array(phases)).kind for phases in patterns}


def full(network, box):
    return {phases for phases, kind in kinds(network, box).items() if kind is FULL}


def one_layer(weights, biases):
    """A hidden layer whose outputs are added up."""
    return mlp([weights, np.ones((1, len(weights)))], [biases, [0.0]])


@pytest.mark.parametrize("scale", [1.0, 2.0, 1e-5, 1e7])
def test_opposite_neurons_share_no_interior(scale):
    network = mlp([[[1.0], [-1.0]], [[scale, -scale]]], [[0.0, 0.0], [0.0]])
    assert kinds(network, Box(-1, 1)) == {"00": EMPTY, "01": FULL, "10": FULL, "11": EMPTY}


def test_a_cone_whose_rows_differ_by_orders_of_magnitude():
    """A pattern of the homogenised iris network: the proof needs a weight of 1e-8 beside 1, and a gradient of 1e-8 that stays."""
    network = homogenised(load(Path(__file__).parent / "data" / "golden" / "g14_iris.onnx"))
    box = Box(np.array([-1.0, -1.0, -1.0, -1.0, 0.0]), np.ones(5))
    phases = np.array([c == "1" for c in "11111101111110011011111011111111"])
    assert interior_of(HIGHS, network, box, phases).kind is EMPTY


def test_three_lines_through_a_point_enclose_no_triangle():
    # the point is (1/2, 1/4), and all numbers are floats
    network = one_layer([[1.0, 2.0], [3.0, -1.0], [-5.0, -0.75]], [-1.0, -1.25, 2.6875])
    answers = kinds(network, Box(-1, 1))
    assert set(answers.values()) == {FULL, EMPTY}
    assert sum(kind is FULL for kind in answers.values()) == 6


def test_a_triangle_of_a_millionth_is_found():
    network = one_layer([[1.0, 2.0], [3.0, -1.0], [-5.0, -0.75]], [-1.0, -1.25, 2.6875 + 2.0**-22])
    answers = kinds(network, Box(-1, 1))
    assert sum(kind is FULL for kind in answers.values()) == 7
    assert sum(kind is EMPTY for kind in answers.values()) == 1


@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-10, 1e-13])
def test_narrow_strips_are_full_dimensional(gap):
    network = one_layer([[1.0, 0.0], [-1.0, 0.0]], [0.0, gap])
    assert kinds(network, Box(-1, 1)) == {"00": EMPTY, "01": FULL, "10": FULL, "11": FULL}


def test_a_corner_of_the_box_is_no_interior():
    network = one_layer([[1.0, 1.0], [-1.0, 0.0]], [-2.0, -1.0])
    assert kinds(network, Box(-1, 1)) == {"00": FULL, "01": EMPTY, "10": EMPTY, "11": EMPTY}


def test_neurons_that_vanish_identically_exclude_nothing():
    network = one_layer([[0.0, 0.0], [1.0, 1.0]], [0.0, 0.0])
    assert set(kinds(network, Box(-1, 1)).values()) == {FULL}
    # the second layer sees relu(a) - relu(a) where both are active, and 0 - 0 elsewhere
    twins = mlp([[[1.0, 0.3], [1.0, 0.3]], [[0.7, -0.7]], [[1.0]]], [[0.1, 0.1], [0.0], [0.0]])
    assert full(twins, Box(-1, 1)) == {"000", "001", "110", "111"}


def test_constant_neurons_of_the_wrong_sign_exclude_the_cell():
    network = one_layer([[0.0, 0.0], [1.0, 1.0]], [-1e-300, 0.0])
    assert full(network, Box(-1, 1)) == {"00", "01"}
    assert all(kind is EMPTY for phases, kind in kinds(network, Box(-1, 1)).items() if phases[0] == "1")


def test_duplicated_neurons_move_together():
    network = one_layer([[0.1, 0.7], [0.1, 0.7], [0.2, 1.4]], [0.3, 0.3, 0.6])
    assert full(network, Box(-1, 1)) == {"000", "111"}
    assert set(kinds(network, Box(-1, 1)).values()) == {FULL, EMPTY}


def test_fixed_coordinates_do_not_count():
    network = one_layer([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0])
    # on x_0 = 0 the first neuron vanishes; on x_0 = 1/2 it is active
    assert full(network, Box([0.0, -1.0], [0.0, 1.0])) == {"00", "01", "10", "11"}
    assert full(network, Box([0.5, -1.0], [0.5, 1.0])) == {"10", "11"}


def test_a_point_is_the_only_cell_of_a_fixed_box():
    network = one_layer([[1.0, 0.0], [0.0, 1.0]], [0.0, -1.0])
    assert kinds(network, Box([0.5, 0.5], [0.5, 0.5])) == {"00": EMPTY, "01": EMPTY, "10": FULL, "11": EMPTY}


@settings(max_examples=15, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 2**32 - 1))
def test_agrees_with_enumeration(network, seed):
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-2, 1, 2)
    box = Box(lower, lower + rng.uniform(0.1, 2, 2))
    cells = {
        tuple(active for name in network.relu_nodes for active in cell.pattern[name]) for cell in enumerate_cells(network, box)
    }
    patterns = {tuple((rng.random(network.compiled.neurons) < 0.5).tolist()) for _ in range(5)}
    near = {tuple(np.logical_xor(cell, np.eye(1, len(cell), rng.integers(len(cell)))[0]).tolist()) for cell in cells}
    for phases in cells | patterns | near:
        answer = interior_of(HIGHS, network, box, np.array(phases))
        assert answer.kind is (FULL if phases in cells else EMPTY)
        if answer.point is not None:
            assert interior_at(network, box, np.array(phases), answer.point)


def test_interior_at_needs_every_sign_and_the_inside_of_the_box():
    network, box = one_layer([[1.0, 0.0], [0.0, 1.0]], [0.0, 0.0]), Box(-1, 1).sized(2)
    both = np.array([True, True])
    assert interior_at(network, box, both, np.array([1e-320, 0.5]))
    assert not interior_at(network, box, both, np.array([0.0, 0.5]))
    assert not interior_at(network, box, both, np.array([-0.5, 0.5]))
    assert not interior_at(network, box, both, np.array([1.0, 0.5]))
    assert not interior_at(network, box, both, np.array([np.nan, 0.5]))
    assert interior_at(network, Box(0, np.inf).sized(2), both, np.array([1.0, 0.5]))


@pytest.mark.parametrize("kind", [*LIES, "honest"])
def test_lies_only_leave_cells_undecided(kind):
    network, box = random_mlp([2, 3, 2, 1], 7), Box(-1, 1)
    truth, answers = kinds(network, box), kinds(network, box, LyingSolver(kind))
    assert set(truth.values()) == {FULL, EMPTY}
    assert all(answer in (THIN, truth[phases]) for phases, answer in answers.items())
    if kind == "honest":
        assert answers == truth


def test_an_unknown_answer_is_thin():
    class Silent(LyingSolver):
        def solve(self, program, options=None):
            return SolveResult(status=Status.FAILED, bound=np.inf)

    network, box = one_layer([[1.0, 0.0], [-1.0, 0.5]], [0.0, 0.0]), Box(-1, 1)
    assert set(kinds(network, box, Silent("")).values()) == {THIN}


def test_unbounded_boxes_are_refused():
    with pytest.raises(DomainError, match="bounded"):
        interior_of(HIGHS, one_layer([[1.0]], [0.0]), Box.whole_space().sized(1), np.array([True]))
