"""The largest gradient by mixed-integer programs, against enumeration; and programs whose solver lies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lying_milp import LIES, LyingMilp
from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import DomainError
from wdaverify._types import Norm
from wdaverify.bracket import Evidence
from wdaverify.domain import Box
from wdaverify.gradients.milp import largest_gradients_by_milp
from wdaverify.gradients.question import GradientLimits, GradientQuestion
from wdaverify.program.backend import get_backend
from wdaverify.search.result import End

HIGHS = get_backend("highs")
ROWS = np.array([[1.0, -1.0, 0.0], [0.0, 1.0, -1.0], [1.0, 0.0, -1.0]])
SQUARE = Box(-1, 1)


def largest(cells, question: GradientQuestion, counted=slice(None)) -> float:
    order = question.norm.dual.order
    return max(np.linalg.norm((row @ cell.slope)[counted], ord=order) for cell in cells for row in question.rows)


@settings(max_examples=6, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 99))
def test_brackets_hold_the_enumerated_maximum_and_close(network, seed):
    questions = [GradientQuestion(rows, norm) for norm in Norm for rows in (ROWS[:2], ROWS[2:])]
    cells = list(enumerate_cells(network, SQUARE))
    for question, answer in zip(questions, largest_gradients_by_milp(HIGHS, network, SQUARE, questions, seed=seed), strict=True):
        truth = largest(cells, question)
        assert answer.lower <= truth * (1 + 1e-12) + 1e-14
        assert answer.upper >= truth * (1 - 1e-12)
        if question.norm is not Norm.L2:
            assert answer.end is End.CLOSED
            assert answer.upper <= truth + 1e-6 * max(1.0, truth)
            assert answer.lower >= truth - 1e-9 * max(1.0, truth)


@settings(max_examples=4, deadline=None)
@given(network=small_networks(inputs=3))
def test_coordinates_that_do_not_count_and_coordinates_that_are_fixed(network):
    box = Box(np.array([-1.0, 0.25, -1.0]), np.array([1.0, 0.25, 0.5]))
    question = GradientQuestion(ROWS[:1], Norm.LINF)
    thick = Box(np.array([-1.0, 0.25 - 1e-6, -1.0]), np.array([1.0, 0.25 + 1e-6, 0.5]))
    first = np.array([True, False, False])
    cells = [cell for cell in enumerate_cells(network, thick) if cell.radius > 1e-7]
    fixed, one = (largest_gradients_by_milp(HIGHS, network, box, [question], coordinates=c)[0] for c in (None, first))
    assert fixed.lower <= largest(cells, question, [0, 2]) * (1 + 1e-12)
    assert one.lower <= largest(cells, question, [0]) * (1 + 1e-12)
    assert one.upper <= fixed.upper
    assert fixed.point is None or fixed.point[1] == 0.25


def test_a_witness_is_an_interior_point_of_its_cell():
    network = random_residual(5, 2, 4, 3)
    question = GradientQuestion(ROWS, Norm.LINF)
    answer = largest_gradients_by_milp(HIGHS, network, SQUARE, [question])[0]
    step = 1e-6
    moved = answer.point + step * np.vstack([np.zeros((1, 2)), np.eye(2)])
    values = network.compiled.forward(moved) @ ROWS[answer.row]
    assert np.abs(values[1:] - values[0]).sum() / step == pytest.approx(answer.lower, rel=1e-6)


def degenerate():
    """relu(x) - relu(-x) and 2 relu(x) - 2 relu(-x) - 2 x, with slopes 1 and 0; closed patterns say 2 and 2."""
    return mlp(
        [[[1.0], [-1.0], [1.0], [-1.0]], [[1.0, -1.0, 0.0, 0.0], [2.0, -2.0, -2.0, 2.0]]], [np.zeros(4), np.zeros(2)]
    )  # fmt: skip


@pytest.mark.parametrize("solver", ["highs", "cbc"])
@pytest.mark.parametrize("norm", list(Norm))
def test_patterns_without_interior_do_not_count(solver, norm):
    questions = [GradientQuestion(np.eye(2)[[k]], norm) for k in range(2)]
    answers = largest_gradients_by_milp(get_backend(solver), degenerate(), SQUARE, questions)
    assert [answer.lower for answer in answers] == [1.0, 0.0]
    assert [answer.upper for answer in answers] == pytest.approx([1.0, 0.0], abs=1e-6)


def test_questions_share_programs_and_norms_are_even():
    network = random_mlp([2, 5, 3], 4)
    one = largest_gradients_by_milp(HIGHS, network, SQUARE, [GradientQuestion(ROWS[:1], Norm.L1)])[0]
    both = largest_gradients_by_milp(HIGHS, network, SQUARE, [GradientQuestion(s * ROWS[:1], Norm.L1) for s in (1.0, -1.0)])
    assert [(a.lower, a.upper, a.nodes) for a in both] == [(one.lower, one.upper, one.nodes)] * 2


def test_a_box_without_free_coordinates_has_no_slope():
    answer = largest_gradients_by_milp(HIGHS, random_mlp([2, 5, 3], 4), Box(0.5, 0.5), [GradientQuestion(ROWS, Norm.LINF)])[0]
    assert (answer.lower, answer.upper, answer.end, answer.evidence) == (0.0, 0.0, End.CLOSED, Evidence.CHECKED)


def test_affine_networks_and_zero_forms():
    network = mlp([[[3.0, -4.0], [1.0, 0.0]]], [np.ones(2)])
    questions = [GradientQuestion(np.array([row]), norm) for row in ([1.0, 0.0], [0.0, 0.0]) for norm in Norm]
    answers = largest_gradients_by_milp(HIGHS, network, SQUARE, questions)
    assert [answer.lower for answer in answers] == [4.0, 5.0, 7.0, 0.0, 0.0, 0.0]
    assert [answer.upper for answer in answers] == pytest.approx([4.0, math.sqrt(28.0), 7.0, 0.0, 0.0, 0.0], abs=1e-6)


def test_unbounded_boxes_are_refused():
    with pytest.raises(DomainError, match="not bounded"):
        largest_gradients_by_milp(HIGHS, degenerate(), Box.whole_space(), [GradientQuestion(np.eye(2), Norm.LINF)])


def test_limits_leave_brackets():
    network, question = random_mlp([3, 8, 8, 3], 1), GradientQuestion(ROWS, Norm.LINF)
    full = largest_gradients_by_milp(HIGHS, network, SQUARE, [question])[0]
    for limits in (
        GradientLimits(deadline=Deadline.after(0.0)),
        GradientLimits(deadline=Deadline.after(0.2)),
        GradientLimits(nodes=1),
    ):
        answer = largest_gradients_by_milp(HIGHS, network, SQUARE, [question], limits=limits)[0]
        assert answer.lower <= full.upper
        assert answer.upper >= full.lower
    assert answer.end is End.LIMIT


@pytest.mark.parametrize("exponent", [-200, -60, 60, 200])
def test_outputs_may_have_any_scale(exponent):
    generator = np.random.default_rng(2)
    weights = [generator.normal(size=shape) for shape in ((5, 2), (4, 5), (3, 4))]
    biases = [generator.normal(size=size) for size in (5, 4, 3)]
    factor = 2.0**exponent
    plain, scaled = (
        largest_gradients_by_milp(
            HIGHS, mlp([*weights[:2], f * weights[2]], biases), SQUARE, [GradientQuestion(ROWS, Norm.LINF)]
        )[0]
        for f in (1.0, factor)
    )
    assert scaled.end is End.CLOSED
    assert scaled.lower == pytest.approx(factor * plain.lower, rel=1e-12)
    assert scaled.upper == pytest.approx(factor * plain.upper, rel=1e-6)


@pytest.mark.parametrize("kind", LIES)
def test_lies_only_weaken(kind):
    for network in (
        random_mlp([2, 5, 4, 3], 7),
        mlp([[[1.0], [-1.0]], [[2.0, -2.0], [0.0, 0.0], [0.0, 0.0]]], [np.zeros(2), np.zeros(3)]),
    ):
        question = GradientQuestion(ROWS, Norm.LINF)
        backend = LyingMilp(kind)
        answer = largest_gradients_by_milp(backend, network, SQUARE, [question], limits=GradientLimits(nodes=2000))[0]
        truth = largest(list(enumerate_cells(network, SQUARE)), question)
        assert backend.asked
        assert answer.lower <= truth * (1 + 1e-12)
        assert answer.upper >= truth * (1 - 1e-12), "a lie was believed"
        assert answer.end is not End.CLOSED or answer.upper - answer.lower <= 1e-6


def test_ctrl_c_leaves_a_bracket(monkeypatch):
    backend = LyingMilp("honest")
    honest = backend.solve

    def interrupt(program, options=None):
        if program.is_mixed_integer and backend.asked == 1:
            raise KeyboardInterrupt
        return honest(program, options)

    monkeypatch.setattr(backend, "solve", interrupt)
    answer = largest_gradients_by_milp(backend, random_mlp([2, 8, 8, 3], 2), SQUARE, [GradientQuestion(ROWS, Norm.LINF)])[0]
    assert answer.end is End.INTERRUPTED
    assert 0.0 < answer.lower <= answer.upper < math.inf
