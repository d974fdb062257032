"""Planar networks against rational arithmetic: the same cells, and constants to the last bit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.exact_planar import area, planar_cells
from tests.networks import mlp
from tests.strategies import small_networks
from wdaverify._types import Norm
from wdaverify.cells.interior import InteriorKind, interior_of
from wdaverify.domain import Box
from wdaverify.gradients.by_enumeration import largest_gradients_by_enumeration
from wdaverify.gradients.question import GradientQuestion
from wdaverify.program.backend import get_backend

HIGHS = get_backend("highs")
UNIT = Box([-1.0, -1.0], [1.0, 1.0])


def one_layer(weights, biases):
    return mlp([weights, np.ones((1, len(weights)))], [biases, [0.0]])


def few_values(seed):
    """Two hidden layers with weights of few values: duplicates, multiples, vanishing neurons, common points, corners."""
    rng = np.random.default_rng(seed)

    def draw(*shape):
        return rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], size=shape)

    return mlp([draw(4, 2), draw(3, 4), draw(2, 3)], [draw(4), draw(3), draw(2)])


def assert_same_cells(network, box):
    truth, found = planar_cells(network, box), wv.cells(network, box)
    assert found.complete
    assert sorted(tuple(cell.phases.tolist()) for cell in found) == sorted(cell.phases for cell in truth)
    size = np.prod([Fraction(float(h)) - Fraction(float(low)) for low, h in zip(box.lower, box.upper, strict=True)])
    assert sum((area(cell.corners) for cell in truth), Fraction(0)) == size
    return truth


def assert_same_constants(network, box, truth):
    questions = [GradientQuestion(np.eye(network.outputs), norm) for norm in (Norm.L1, Norm.LINF, Norm.L2)]
    gradients = [gradient for cell in truth for gradient in cell.gradients]
    exact = [max(max(abs(a), abs(b)) for a, b in gradients), max(abs(a) + abs(b) for a, b in gradients)]
    square = max(a * a + b * b for a, b in gradients)
    answers = largest_gradients_by_enumeration(HIGHS, network, box, questions)
    for answer, value in zip(answers, exact, strict=False):
        assert answer.lower <= value <= answer.upper <= np.nextafter(answer.lower, np.inf)
    assert Fraction(answers[2].lower) ** 2 <= square <= Fraction(answers[2].upper) ** 2


@settings(max_examples=20, deadline=None)
@given(network=small_networks(), seed=st.integers(0, 2**32 - 1))
def test_networks_in_general_position(network, seed):
    lower = np.random.default_rng(seed).uniform(-2, 1, 2)
    box = Box(lower, lower + 1.0)
    assert_same_constants(network, box, assert_same_cells(network, box))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_degenerate_networks(seed):
    network = few_values(seed)
    assert_same_constants(network, UNIT, assert_same_cells(network, UNIT))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_pattern_of_a_degenerate_network_is_decided(seed):
    """The interior of a cell, pattern by pattern: those that differ from a cell in vanishing neurons are full as well."""
    network = few_values(seed)
    truth = {cell.phases for cell in planar_cells(network, UNIT)}
    rng = np.random.default_rng(seed)
    for _ in range(12):
        phases = tuple((rng.random(7) < 0.5).tolist())
        answer = interior_of(HIGHS, network, UNIT, np.array(phases))
        assert answer.kind is not InteriorKind.THIN
        if phases in truth:
            assert answer.kind is InteriorKind.FULL
        if answer.kind is InteriorKind.FULL and phases not in truth:
            assert any(all(a >= b for a, b in zip(cell, phases, strict=True)) for cell in truth)


def sliver(gap):
    """Two parallel lines at a distance of about `gap`, and a third one that crosses them at an angle of about `gap`."""
    return one_layer([[1.0, 0.5], [-1.0, -0.5], [1.0, 0.5 + gap]], [0.25, -0.25 + gap, 0.25])


@pytest.mark.parametrize("power", [10, 25, 36])
def test_slivers(power):
    truth = assert_same_cells(sliver(2.0**-power), UNIT)
    assert len(truth) > 4


@pytest.mark.parametrize("power", [44, 48, 50])
def test_slivers_of_a_few_floats_are_found_or_left_open(power):
    network = sliver(2.0**-power)
    truth, found = {cell.phases for cell in planar_cells(network, UNIT)}, wv.cells(network, UNIT)
    patterns = {tuple(cell.phases.tolist()) for cell in found}
    assert patterns <= truth
    for phases in truth - patterns:
        assert any(all(phases[k] == part.phases[k] for k in np.flatnonzero(part.decided)) for part in found.open)
    questions = [GradientQuestion(np.ones((1, 1)), norm) for norm in Norm]
    steepest = max(abs(a) + abs(b) for cell in planar_cells(network, UNIT) for a, b in cell.gradients)
    answers = largest_gradients_by_enumeration(HIGHS, network, UNIT, questions)
    linf = answers[list(Norm).index(Norm.LINF)]
    assert linf.lower <= steepest <= linf.upper
