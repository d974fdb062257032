"""Enumeration of cells: each once, all of them, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import ConvexHull, HalfspaceIntersection

import wdaverify as wv
from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import DomainError, InputError
from wdaverify.cells.interior import interior_at
from wdaverify.cells.layer_search import FoundCells, LayerSearch
from wdaverify.domain import Box
from wdaverify.program.backend import get_backend

DATA = Path(__file__).parent / "data" / "lipschitz"
ANCHORS = json.loads((DATA / "anchors.json").read_text())["cases"]
UNIT = Box(-1, 1)


def one_layer(weights, biases):
    """A hidden layer whose outputs are added up."""
    return mlp([weights, np.ones((1, len(weights)))], [biases, [0.0]])


def patterns(found):
    return {tuple(cell.phases.tolist()) for cell in found}


def searched(network, box, *, vertices, deadline=None):
    """The patterns found and the prefixes left open, with regions of the given kind."""
    search = LayerSearch(get_backend("highs"), network, box.sized(network.inputs), deadline or Deadline(), vertices=vertices)
    parts = list(search.cells())
    found = [tuple(phases.tolist()) for part in parts if isinstance(part, FoundCells) for phases in part.phases]
    assert len(found) == len(set(found))
    return set(found), [part for part in parts if not isinstance(part, FoundCells)]


def by_oracle(network, box):
    names = network.relu_nodes
    return {tuple(active for name in names for active in cell.pattern[name]) for cell in enumerate_cells(network, box)}


@pytest.mark.parametrize("case", ANCHORS, ids=lambda case: case["case"])
def test_known_numbers_of_cells(case):
    box = np.load(DATA / case["box"])
    found = wv.cells(wv.load(DATA / case["onnx"]), Box(box["lower"], box["upper"]))
    assert found.complete
    assert len(found) == case["linear_cells"]
    assert len(patterns(found)) == len(found)


@settings(max_examples=30, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 2**32 - 1))
def test_agrees_with_an_enumeration_by_linear_programs(network, seed):
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-2, 1, 2)
    box = Box(lower, lower + rng.uniform(0.1, 2, 2))
    truth = by_oracle(network, box)
    for vertices in (True, False):
        assert searched(network, box, vertices=vertices) == (truth, [])


@pytest.mark.parametrize("sizes", [(1, 5, 4, 2), (3, 5, 4, 2), (4, 4, 3, 2), (5, 5, 2)])
def test_other_dimensions(sizes):
    network = random_mlp(sizes, 11)
    truth = by_oracle(network, UNIT)
    for vertices in (True, False):
        assert searched(network, UNIT, vertices=vertices) == (truth, [])


@pytest.mark.parametrize("network", [random_mlp([2, 9, 7, 2], 3), random_residual(4, 3, 5, 2)], ids=["mlp", "residual"])
def test_the_polyhedra_fill_the_box_and_overlap_nowhere(network):
    n, volume = network.inputs, 0.0
    found = wv.cells(network, UNIT)
    box = np.vstack([np.column_stack([np.eye(n), -np.ones(n)]), np.column_stack([-np.eye(n), -np.ones(n)])])
    for cell in found:
        halfspaces = np.vstack([np.column_stack([-cell.rows, -cell.offsets]), box])
        volume += ConvexHull(HalfspaceIntersection(halfspaces, cell.point).intersections).volume
        others = [np.all(cell.rows @ other.point + cell.offsets > 0) for other in found]
        assert sum(others) == 1
    assert volume == pytest.approx(2.0**n, rel=1e-9)


def test_records_describe_the_network():
    network = random_residual(1, 2, 4, 3)
    for cell in wv.cells(network, UNIT):
        assert interior_at(network, UNIT.sized(2), cell.phases, cell.point)
        assert np.allclose(cell.weight @ cell.point + cell.bias, network.compiled.forward(cell.point[None])[0])
        assert (cell.rows @ cell.point + cell.offsets > 0).all()
        assert np.array_equal(np.concatenate([cell.pattern[name] for name in network.relu_nodes]), cell.phases)


@pytest.mark.parametrize("vertices", [True, False])
@pytest.mark.parametrize("gap", [1e-3, 1e-7, 1e-10, 1e-12, 1e-13])
def test_narrow_strips_are_cells(gap, vertices):
    network = one_layer([[1.0, 0.0], [-1.0, 0.0]], [0.0, gap])
    assert searched(network, UNIT, vertices=vertices) == ({(False, True), (True, False), (True, True)}, [])


@pytest.mark.parametrize("vertices", [True, False])
def test_a_triangle_of_a_millionth_is_a_cell_and_a_point_is_none(vertices):
    for extra, count in ((0.0, 6), (2.0**-22, 7), (2.0**-38, 7)):
        network = one_layer([[1.0, 2.0], [3.0, -1.0], [-5.0, -0.75]], [-1.0, -1.25, 2.6875 + extra])
        found, rest = searched(network, UNIT, vertices=vertices)
        assert (len(found), rest) == (count, [])


@pytest.mark.parametrize("vertices", [True, False])
def test_degenerate_networks(vertices):
    twins = mlp([[[1.0, 0.3], [1.0, 0.3]], [[0.7, -0.7]], [[1.0]]], [[0.1, 0.1], [0.0], [0.0]])
    assert searched(twins, UNIT, vertices=vertices) == ({(False, False, True), (True, True, True)}, [])
    multiples = one_layer([[0.1, 0.7], [0.2, 1.4], [-0.4, -2.8], [0.0, 0.0]], [0.3, 0.6, -1.2, 0.0])
    assert searched(multiples, UNIT, vertices=vertices) == ({(False, False, True, True), (True, True, False, True)}, [])
    dead = one_layer([[1.0, 0.0], [1.0, 1.0]], [-5.0, -2.0])  # the second touches a corner
    assert searched(dead, UNIT, vertices=vertices) == ({(False, False)}, [])
    linear = mlp([[[1.0, 2.0]]], [[0.0]])
    assert searched(linear, UNIT, vertices=vertices) == ({()}, [])


@pytest.mark.parametrize("vertices", [True, False])
def test_many_lines_through_a_point_and_through_corners(vertices):
    slopes = [(1, 1), (1, -1), (1, 2), (2, 1), (-1, 3), (4, 1), (0, 1), (1, 0)]
    network = one_layer(np.array(slopes, dtype=float), np.zeros(len(slopes)))
    found, rest = searched(network, UNIT, vertices=vertices)
    assert (len(found), rest) == (2 * len(slopes), [])


def test_fixed_coordinates_are_left_out():
    network = random_mlp([3, 6, 4, 2], 5)
    box = Box([-1.0, 0.25, -1.0], [1.0, 0.25, 1.0])
    sliced = mlp(
        [
            network.op("affine0").matrices[0].toarray()[:, [0, 2]],
            *(network.op(f"affine{k}").matrices[0].toarray() for k in (1, 2)),
        ],
        [
            network.op("affine0").bias + 0.25 * network.op("affine0").matrices[0].toarray()[:, 1],
            *(network.op(f"affine{k}").bias for k in (1, 2)),
        ],
    )
    assert patterns(wv.cells(network, box)) == patterns(wv.cells(sliced, UNIT))
    point = wv.cells(network, Box([0.1, 0.2, 0.3], [0.1, 0.2, 0.3]))
    assert (len(point), point.complete) == (1, True)
    assert point[0].point.tolist() == [0.1, 0.2, 0.3]


def test_a_passed_deadline_leaves_open_what_it_does_not_list():
    network = random_mlp([2, 8, 8, 2], 2)

    class Soon:
        """Passes after some questions."""

        asked = 0
        at = np.inf

        @property
        def passed(self):
            self.asked += 1
            return self.asked > 6

    found, rest = searched(network, UNIT, vertices=True, deadline=Soon())
    truth = by_oracle(network, UNIT)
    assert len(rest) > 0
    assert found < truth
    covered = {p for p in truth if any(all(p[k] == part.phases[k] for k in np.flatnonzero(part.decided)) for part in rest)}
    assert covered == truth - found
    assert str(wv.cells(network, UNIT, time_limit=1e-9)).startswith("at least 0 cells")


def test_errors_for_people():
    network = random_mlp([2, 8, 8, 2], 2)
    with pytest.raises(InputError, match="more than 20 cells"):
        wv.cells(network, UNIT, limit=20)
    with pytest.raises(InputError, match="limit 0"):
        wv.cells(network, UNIT, limit=0)
    with pytest.raises(InputError, match="time_limit nan"):
        wv.cells(network, UNIT, time_limit=float("nan"))
    with pytest.raises(DomainError, match="finite ends"):
        wv.cells(network, Box(-1, np.inf))
    with pytest.raises(DomainError, match="coordinates"):
        wv.cells(network, Box([0, 0, 0], [1, 1, 1]))
