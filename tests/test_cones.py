"""Networks without biases: cones found through their sections, the same as without that detour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.exact_planar import planar_cells
from tests.networks import mlp, random_mlp, random_residual
from tests.test_cells import searched
from wdaverify._deadline import Deadline
from wdaverify._types import Norm
from wdaverify.cells.cone_search import ConeSearch
from wdaverify.cells.interior import interior_at
from wdaverify.cells.layer_search import FoundCells, LayerSearch
from wdaverify.cells.search import cell_search
from wdaverify.domain import Box
from wdaverify.gradients.by_enumeration import largest_gradients_by_enumeration
from wdaverify.gradients.question import GradientQuestion
from wdaverify.ir.homogenise import homogenised, without_biases
from wdaverify.program.backend import get_backend

HIGHS = get_backend("highs")


def cones(network, box):
    """The patterns of the cells, each of which comes with a point that is inside."""
    search = cell_search(HIGHS, network, box, Deadline())
    assert isinstance(search, ConeSearch)
    parts = list(search.cells())
    assert all(isinstance(part, FoundCells) for part in parts)
    for part in parts:
        for phases, point in zip(part.phases, part.points, strict=True):
            assert interior_at(network, box, phases, point)
    patterns = [tuple(phases.tolist()) for part in parts for phases in part.phases]
    assert len(patterns) == len(set(patterns))
    return set(patterns)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), inputs=st.integers(1, 3), residual=st.booleans())
def test_sections_find_the_same_cells(seed, inputs, residual):
    network = random_residual(seed, inputs, 3, 2) if residual else random_mlp([inputs, 4, 3, 2], seed)
    for searched_network, box in (
        (without_biases(network), Box(-np.ones(inputs), 2.0 * np.ones(inputs))),
        (homogenised(network), Box(np.append(-np.ones(inputs), 0.0), np.ones(inputs + 1))),
    ):
        assert (cones(searched_network, box), []) == searched(searched_network, box, vertices=True)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_planar_cones_in_rational_arithmetic(seed):
    rng = np.random.default_rng(seed)
    network = mlp(
        [rng.integers(-2, 3, (5, 2)), rng.integers(-1, 2, (3, 5)), np.ones((1, 3))], [np.zeros(5), np.zeros(3), np.zeros(1)]
    )
    box = Box([-1.0, 0.0], [1.0, 0.5])
    assert cones(network, box) == {cell.phases for cell in planar_cells(network, box)}


def test_gradients_on_cones():
    network = homogenised(random_mlp([2, 6, 5, 2], 9))
    box, counted = Box([-1.0, -1.0, 0.0], [1.0, 1.0, 1.0]), np.array([True, True, False])
    questions = [GradientQuestion(np.eye(2), norm) for norm in Norm]
    answers = largest_gradients_by_enumeration(HIGHS, network, box, questions, coordinates=counted)
    weights = [cell.weight[:, counted] for cell in wv.cells(network, box)]
    for answer, question in zip(answers, questions, strict=True):
        truth = max(np.linalg.norm(row, ord=question.norm.dual.order) for weight in weights for row in weight)
        assert answer.lower == pytest.approx(truth, rel=1e-12)
        assert answer.upper <= np.nextafter(answer.lower, np.inf)


def test_what_is_no_cone_is_searched_as_it_is():
    network = random_mlp([2, 4, 2], 1)
    for other, box in (
        (network, Box([-1.0, -1.0], [1.0, 1.0])),
        (without_biases(network), Box([0.25, -1.0], [1.0, 1.0])),
        (without_biases(network), Box([0.0, 0.0], [0.0, 0.0])),
    ):
        assert isinstance(cell_search(HIGHS, other, box, Deadline()), LayerSearch)
    quadrant = without_biases(network), Box([0.0, 0.0], [1.0, 1.0])
    assert cones(*quadrant) == searched(*quadrant, vertices=False)[0]
    line = without_biases(network), Box([-1.0, 0.0], [1.0, 0.0])
    assert cones(*line) == searched(*line, vertices=True)[0]
