"""Planar networks: every method's bracket against rational arithmetic, without any tolerance."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import mlp
from tests.rational_cells import output_forms
from tests.strategies import small_networks
from wdaverify._types import Norm
from wdaverify.domain import Box
from wdaverify.gradients.by_enumeration import largest_gradients_by_enumeration
from wdaverify.gradients.by_search import largest_gradients_by_search
from wdaverify.gradients.oracle import largest_gradients
from wdaverify.gradients.question import GradientQuestion
from wdaverify.program.backend import get_backend

HIGHS = get_backend("highs")
METHODS = (largest_gradients_by_search, largest_gradients_by_enumeration, largest_gradients)


def truth(network, question):
    """The largest norm (its square for l2), exactly."""
    best = Fraction(0)
    for forms in output_forms(network, -1.0, 1.0):
        for row in question.rows.tolist():
            gradient = [sum((Fraction(c) * form[k] for c, form in zip(row, forms, strict=True)), Fraction(0)) for k in (0, 1)]
            sizes = [abs(v) for v in gradient]
            size = {Norm.LINF: sum(sizes), Norm.L1: max(sizes), Norm.L2: sum(v * v for v in sizes)}[question.norm]
            best = max(best, size)
    return best


def check(network, *, width):
    """No bracket of any method misses the truth, and all are narrow."""
    row = np.eye(network.outputs)[0] - (np.eye(network.outputs)[1] if network.outputs > 1 else 0.0)
    questions = [GradientQuestion(row[None], norm) for norm in Norm]
    for method in METHODS:
        for question, answer in zip(questions, method(HIGHS, network, Box(-1, 1).sized(2), questions), strict=True):
            power = 2 if question.norm is Norm.L2 else 1
            exact = truth(network, question)
            assert Fraction(answer.lower) ** power <= exact <= Fraction(answer.upper) ** power, method.__name__
            assert answer.upper - answer.lower <= width * max(1.0, answer.upper)


@settings(max_examples=25, deadline=None)
@given(small_networks())
def test_brackets_hold_the_rational_value(network):
    check(network, width=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 4), min_size=1, max_size=2), st.integers(1, 2))
def test_networks_of_small_integers(seed, hidden, outputs):
    """Ties, duplicates, neurons that vanish, parallel kinks and kinks on corners are the rule here."""
    rng, sizes = np.random.default_rng(seed), [2, *hidden, outputs]
    weights = [rng.integers(-2, 3, (after, before)) for before, after in pairwise(sizes)]
    biases = [rng.integers(-1, 2, len(weight)) for weight in weights]
    check(mlp(weights, biases), width=1e-9)
