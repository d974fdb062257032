"""Branch and bound for gradients against enumeration of cells, at every limit, with liars and interrupts."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lying_sessions import LIES, LyingBackend
from tests.networks import mlp, random_mlp, random_residual
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import InputError
from wdaverify._types import Norm
from wdaverify.bracket import Evidence
from wdaverify.domain import Box
from wdaverify.gradients import by_search
from wdaverify.gradients import tree as tree_module
from wdaverify.gradients.oracle import largest_gradients
from wdaverify.gradients.question import GradientLimits, GradientQuestion
from wdaverify.program.backend import get_backend
from wdaverify.search.result import End

HIGHS = get_backend("highs")
UNIT = Box(-1, 1)

largest_gradients_by_search = partial(by_search.largest_gradients_by_search, regions=False)
"""The trees over phases: those over regions have a file of their own."""

ABS_IDENTITY = mlp([[[1.0], [-1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]])


def truths(network, box, questions):
    """The largest norms over the cells that SciPy finds."""
    best = np.zeros(len(questions))
    for cell in enumerate_cells(network, box):
        for q, question in enumerate(questions):
            values = np.linalg.norm(question.rows @ cell.slope, ord=question.norm.dual.order, axis=1)
            best[q] = max(best[q], values.max())
    return best


def pairs(outputs):
    """Every margin in every norm, and all of them at once."""
    eye = np.eye(outputs)
    rows = [eye[j] - eye[k] for j in range(outputs) for k in range(j)] or [eye[0]]
    return [GradientQuestion(row[None], norm) for row in rows for norm in Norm] + [GradientQuestion(np.array(rows), Norm.LINF)]


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(small_networks())
def test_brackets_close_on_the_largest_gradient(network):
    questions = pairs(network.outputs)
    answers = largest_gradients_by_search(HIGHS, network, UNIT.sized(network.inputs), questions)
    for answer, truth in zip(answers, truths(network, UNIT, questions), strict=True):
        assert answer.end is End.CLOSED
        assert answer.evidence is Evidence.CHECKED
        assert answer.lower <= truth * (1 + 1e-9) + 1e-12
        assert answer.upper >= truth * (1 - 1e-9)
        assert answer.upper <= answer.lower * (1 + 2e-10) + 1e-9


@pytest.mark.parametrize(("sizes", "seed"), [([3, 6, 5, 2], 1), ([4, 6, 4, 3], 2), ([6, 7, 3], 3)])
def test_search_and_enumeration_agree(sizes, seed):
    network = random_mlp(sizes, seed)
    box, questions = UNIT.sized(sizes[0]), pairs(sizes[-1])
    searched = largest_gradients_by_search(HIGHS, network, box, questions)
    for answer, truth in zip(searched, truths(network, UNIT, questions), strict=True):
        assert answer.lower == pytest.approx(truth, rel=1e-8)
        assert answer.upper == pytest.approx(truth, rel=1e-8)


@pytest.mark.parametrize("network", [random_mlp([3, 6, 6, 3], 0), random_residual(4, 3, 5, 3)])
def test_every_limit_leaves_a_valid_bracket(network):
    questions = [GradientQuestion(np.array([[1.0, -1.0, 0.0]]), norm) for norm in Norm]
    truth = truths(network, UNIT, questions)
    before = np.full(3, np.inf)
    for nodes in (0, 1, 2, 4, 16, 64, 256, 4096):
        answers = largest_gradients_by_search(
            HIGHS, network, UNIT.sized(network.inputs), questions, limits=GradientLimits(nodes=nodes)
        )
        uppers = np.array([answer.upper for answer in answers])
        assert (np.array([answer.lower for answer in answers]) <= truth * (1 + 1e-9)).all()
        assert (uppers >= truth * (1 - 1e-9)).all()
        assert (uppers <= before * (1 + 1e-9)).all()
        before = uppers


def test_no_time_is_an_honest_bracket():
    network = random_mlp([6, 12, 12, 2], 1)
    question = GradientQuestion(np.array([[1.0, -1.0]]), Norm.LINF)
    for method in (largest_gradients_by_search, largest_gradients):
        (answer,) = method(HIGHS, network, UNIT.sized(6), [question], limits=GradientLimits(deadline=Deadline.after(0.0)))
        assert answer.end is End.LIMIT
        assert 0 <= answer.lower < answer.upper < np.inf


@pytest.mark.parametrize(
    ("network", "truth"),
    [
        (ABS_IDENTITY, 1.0),
        (mlp([[[1.0], [1.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]]), 0.0),  # relu(x) - relu(x)
        (mlp([[[2.0], [-2.0]], [[1.0, -1.0]]], [[0.0, 0.0], [0.0]]), 2.0),
        (mlp([[[1.0]], [[3.0]]], [[-1.0], [0.0]]), 0.0),  # the kink lies on the face x = 1
        (mlp([[[1.0]], [[3.0]]], [[1.0], [0.0]]), 3.0),  # and here on x = -1
        (mlp([[[0.0]], [[5.0]]], [[1.0], [0.0]]), 0.0),
        (mlp([[[1.0], [-1.0]], [[1.0, 1.0], [-1.0, -1.0]], [[1.0, -1.0]]], [[0, 0], [0, 0], [0]]), 1.0),  # |x| - relu(-|x|)
    ],
)
def test_degenerate_networks(network, truth):
    for method in (largest_gradients_by_search, largest_gradients):
        for norm in Norm:
            (answer,) = method(HIGHS, network, UNIT.sized(1), [GradientQuestion(np.ones((1, 1)), norm)])
            assert answer.lower <= truth <= answer.upper
            assert answer.upper - answer.lower <= 1e-9
            assert answer.end is End.CLOSED


def test_fixed_coordinates_have_no_gradient():
    network = mlp([[[1.0, 100.0]], [[1.0]]], [[2.0], [0.0]])
    box = Box([-1, 0.5], [1, 0.5])
    (answer,) = largest_gradients(HIGHS, network, box, [GradientQuestion(np.ones((1, 1)), Norm.LINF)])
    assert answer.lower == answer.upper == 1.0
    (nothing,) = largest_gradients(HIGHS, network, Box([0, 0], [0, 0]), [GradientQuestion(np.ones((1, 1)), Norm.LINF)])
    assert nothing.lower == nothing.upper == 0.0


def test_coordinates_can_be_left_out():
    network = mlp([[[1.0, 100.0]], [[1.0]]], [[200.0], [0.0]])
    (answer,) = largest_gradients_by_search(
        HIGHS, network, UNIT.sized(2), [GradientQuestion(np.ones((1, 1)), Norm.LINF)], coordinates=np.array([True, False])
    )
    assert answer.lower == pytest.approx(1.0)
    assert answer.upper == pytest.approx(1.0)


def test_unbounded_boxes_are_refused():
    with pytest.raises(InputError, match="bounded"):
        largest_gradients(HIGHS, ABS_IDENTITY, Box.whole_space().sized(1), [GradientQuestion(np.ones((1, 1)), Norm.L1)])


@pytest.mark.parametrize("lie", LIES)
def test_lies_can_only_widen(lie):
    network = random_mlp([3, 6, 6, 2], 5)
    questions = [GradientQuestion(np.array([[1.0, -1.0]]), norm) for norm in Norm]
    truth = truths(network, UNIT, questions)
    answers = largest_gradients_by_search(LyingBackend(lie), network, UNIT.sized(3), questions, limits=GradientLimits(nodes=150))
    for answer, value in zip(answers, truth, strict=True):
        assert answer.lower <= value * (1 + 1e-9)
        assert answer.upper >= value * (1 - 1e-9)


@pytest.mark.parametrize("moment", [1, 3, 8, 20])
def test_interrupts_leave_valid_brackets(monkeypatch, moment):
    network = random_mlp([3, 6, 6, 3], 0)
    questions = [GradientQuestion(np.array([[1.0, -1.0, 0.0]]), norm) for norm in Norm]
    calls, refreshed = [], tree_module.refreshed

    def interrupting(*arguments):
        calls.append(1)
        if len(calls) == moment:
            raise KeyboardInterrupt
        return refreshed(*arguments)

    monkeypatch.setattr(tree_module, "refreshed", interrupting)
    answers = largest_gradients_by_search(HIGHS, network, UNIT.sized(3), questions)
    assert End.INTERRUPTED in [answer.end for answer in answers]
    for answer, value in zip(answers, truths(network, UNIT, questions), strict=True):
        assert answer.lower <= value * (1 + 1e-9)
        assert answer.upper >= value * (1 - 1e-9)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(-20, 20))
def test_powers_of_two_scale_the_answer(seed, exponent):
    factor, base = 2.0**exponent, random_mlp([2, 5, 4, 2], seed)
    plain = [base.op(f"affine{k}") for k in range(3)]
    weights = [op.matrices[0].toarray() for op in plain]
    weights[1] = weights[1] * factor
    biases = [plain[0].bias, plain[1].bias * factor, plain[2].bias * factor]
    scaled = mlp(weights, biases)
    question = [GradientQuestion(np.array([[1.0, -1.0]]), Norm.L2)]
    (first,), (second,) = (largest_gradients_by_search(HIGHS, n, UNIT.sized(2), question) for n in (base, scaled))
    assert second.lower == pytest.approx(first.lower * factor, rel=1e-9)
    assert second.upper == pytest.approx(first.upper * factor, rel=1e-9)
