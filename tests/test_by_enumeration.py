"""The largest gradients by enumeration: known constants to the last bit, and honest brackets when stopped."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.networks import mlp, random_mlp
from tests.oracles import enumerate_cells
from tests.strategies import small_networks
from wdaverify._deadline import Deadline
from wdaverify._errors import DomainError, InputError
from wdaverify._types import Norm
from wdaverify.cells.layer_search import LayerSearch
from wdaverify.domain import Box
from wdaverify.gradients.by_enumeration import largest_gradients_by_enumeration
from wdaverify.gradients.norms import dual_norm_ends
from wdaverify.gradients.question import GradientLimits, GradientQuestion
from wdaverify.gradients.steepest import SteepestCells
from wdaverify.gradients.targets import Targets
from wdaverify.ir.exact_piece import exact_gradient
from wdaverify.program.backend import get_backend
from wdaverify.search.result import End

HIGHS = get_backend("highs")
DATA = Path(__file__).parent / "data" / "lipschitz"
UNIT = Box(-1, 1)


def anchored():
    """Every case of the anchors without the cross-entropy."""
    for case in json.loads((DATA / "anchors.json").read_text())["cases"]:
        constants = [c for c in case["constants"] if not c["functional"].startswith("loss")]
        yield pytest.param(case, constants, id=case["case"])


def question_of(constant, outputs):
    """``logit:K`` or ``margin:J-Y`` as a question."""
    row = np.zeros((1, outputs))
    first, *second = constant["functional"].split(":")[1].split("-")
    row[0, int(first)] = 1.0
    if second:
        row[0, int(second[0])] = -1.0
    return GradientQuestion(row, Norm(constant["norm"]))


def truths(network, box, questions, coordinates=slice(None)):
    """The maxima by linear programs and float64."""
    slopes = [cell.slope[:, coordinates] for cell in enumerate_cells(network, box)]
    return [max(np.linalg.norm(row @ slope, ord=q.norm.dual.order) for slope in slopes for row in q.rows) for q in questions]


def answers(network, box, questions, **options):
    return largest_gradients_by_enumeration(HIGHS, network, box.sized(network.inputs), questions, **options)


@pytest.mark.parametrize(("case", "constants"), list(anchored()))
def test_known_constants(case, constants):
    network, box = wv.load(DATA / case["onnx"]), np.load(DATA / case["box"])
    questions = [question_of(constant, network.outputs) for constant in constants]
    found = answers(network, Box(box["lower"], box["upper"]), questions)
    for constant, answer in zip(constants, found, strict=True):
        assert answer.end is End.CLOSED
        assert answer.nodes == case["linear_cells"]
        assert answer.upper <= np.nextafter(answer.lower, np.inf)
        assert answer.lower == pytest.approx(constant["exact"], rel=1e-12)
        if "exact_rational" in constant:
            assert answer.lower <= Fraction(constant["exact_rational"]) <= answer.upper
        if "exact_rational_square" in constant:
            square = Fraction(constant["exact_rational_square"])
            assert Fraction(answer.lower) ** 2 <= square <= Fraction(answer.upper) ** 2


@settings(max_examples=25, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 2**32 - 1))
def test_agrees_with_linear_programs(network, seed):
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-2, 1, 2)
    box = Box(lower, lower + 10.0 ** rng.uniform(-2, 0.3, 2))
    questions = [GradientQuestion(rng.normal(size=(2, 3)), norm) for norm in Norm]
    for answer, truth in zip(answers(network, box, questions), truths(network, box, questions), strict=True):
        assert answer.lower == pytest.approx(truth, rel=1e-9, abs=1e-12)
        assert answer.lower <= answer.upper <= np.nextafter(answer.lower, np.inf)


def test_the_witness_attains_the_lower_end():
    network = random_mlp([3, 6, 5, 3], 4)
    rows = np.array([[1.0, -1.0, 0.0], [1.0, 0.0, -1.0], [0.0, 1.0, -1.0]])
    for norm in Norm:
        (answer,) = answers(network, UNIT, [GradientQuestion(rows, norm)])
        values = network.compiled.trace(answer.point[None])
        phases = np.concatenate([values[step.source][0] > 0 for step in network.compiled.relus])
        numerators, denominator = exact_gradient(network, phases, rows[answer.row])
        assert dual_norm_ends(numerators[0].tolist(), denominator, norm)[0] == answer.lower


@pytest.mark.parametrize("scale", [1.0, 1e-30, 1e30])
def test_patterns_without_interior_do_not_count(scale):
    identity = mlp([[[1.0], [-1.0]], [[2.0 * scale, -2.0 * scale]]], [[0.0, 0.0], [0.0]])
    (answer,) = answers(identity, UNIT, [GradientQuestion(np.ones((1, 1)), Norm.LINF)])
    assert (answer.lower, answer.upper) == (2.0 * scale, 2.0 * scale)
    constant = mlp([[[1.0, 0.5], [1.0, 0.5]], [[scale, -scale]]], [[0.1, 0.1], [7.0]])
    (answer,) = answers(constant, UNIT, [GradientQuestion(np.ones((1, 1)), Norm.L2)])
    assert (answer.lower, answer.upper) == (0.0, 0.0)


def test_coordinates_that_do_not_count():
    network = random_mlp([3, 5, 4, 2], 7)
    questions = [GradientQuestion(np.eye(2), norm) for norm in Norm]
    counted = np.array([True, False, True])
    for answer, truth in zip(answers(network, UNIT, questions, coordinates=counted), truths(network, UNIT, questions, counted),
                             strict=True):  # fmt: skip
        assert answer.lower == pytest.approx(truth, rel=1e-9)
    fixed = Box([-1.0, 0.5, -1.0], [1.0, 0.5, 1.0])
    with pytest.raises(InputError, match="coordinate 1 is fixed"):
        answers(network, fixed, questions, coordinates=np.ones(3, dtype=bool))
    assert all(a.upper > 0 for a in answers(network, fixed, questions))
    point = Box([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert [(a.lower, a.upper, a.end) for a in answers(network, point, questions)] == [(0.0, 0.0, End.CLOSED)] * 3
    with pytest.raises(DomainError, match="finite ends"):
        answers(network, Box(0, np.inf), questions)


@pytest.mark.parametrize("limits", [GradientLimits(nodes=40), GradientLimits(deadline=Deadline.after(0.0))])
def test_limits_leave_brackets(limits):
    network = random_mlp([2, 16, 16, 2], 3)
    questions = [GradientQuestion(np.eye(2), norm) for norm in Norm]
    for answer, truth in zip(answers(network, UNIT, questions, limits=limits), answers(network, UNIT, questions), strict=True):
        assert (answer.end, truth.end) == (End.LIMIT, End.CLOSED)
        assert answer.lower <= truth.lower
        assert truth.upper <= answer.upper < np.inf
        assert (answer.point is None) == (answer.lower == 0.0)


def test_ctrl_c_leaves_a_bracket(monkeypatch):
    honest = LayerSearch.cells

    def interrupted(self):
        for count, part in enumerate(honest(self)):
            if count == 2:
                raise KeyboardInterrupt
            yield part

    network, questions = random_mlp([2, 16, 16, 2], 3), [GradientQuestion(np.eye(2), Norm.LINF)]
    truth = answers(network, UNIT, questions)[0]
    monkeypatch.setattr(LayerSearch, "cells", interrupted)
    (answer,) = answers(network, UNIT, questions)
    assert answer.end is End.INTERRUPTED
    assert 0.0 < answer.lower <= truth.lower
    assert truth.upper <= answer.upper < np.inf


def test_more_steepest_cells_than_are_remembered():
    # every cell has the same slopes in x_0, and the kinks in x_1 are too small to matter
    network = mlp([np.column_stack([np.zeros(60), np.ones(60)]), np.full((1, 60), 1e-9)], [-np.linspace(-0.9, 0.9, 60), [0.0]])
    (answer,) = answers(network, UNIT, [GradientQuestion(np.ones((1, 1)), Norm.LINF)])
    assert answer.nodes == 61
    assert answer.lower == pytest.approx(6e-8, rel=1e-12)
    assert answer.lower <= answer.upper <= answer.lower * (1 + 1e-12)


def test_float_norms_are_only_a_screen():
    """With errors as large as the norms every cell stays a candidate, and the exact maximum is found."""
    network = random_mlp([2, 5, 4, 2], 1)
    targets = Targets.of([GradientQuestion(np.array([[1.0, -1.0]]), Norm.L2)])
    cells = wv.cells(network, UNIT)
    exact = [np.linalg.norm(np.array([1.0, -1.0]) @ cell.weight) for cell in cells]
    phases, points = np.array([c.phases for c in cells]), np.array([c.point for c in cells])
    steepest = SteepestCells(network, targets, np.arange(2))
    rng = np.random.default_rng(0)
    norms = np.array(exact)[:, None] + 0.5 * rng.uniform(-1, 1, (len(exact), 1))
    steepest.offer(norms, np.full_like(norms, 0.5), phases, points)
    steepest.settle()
    assert steepest.lower[0] == pytest.approx(max(exact), rel=1e-12)
    assert steepest.lower[0] <= steepest.upper[0]
    broken = SteepestCells(network, targets, np.arange(2))
    broken.offer(np.full_like(norms, np.nan), np.full_like(norms, np.nan), phases, points)
    broken.settle()
    assert broken.upper[0] >= max(exact) * (1 - 1e-12)
