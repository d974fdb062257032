"""The knapsack against linear programs and against enumeration."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from wdaverify.dataset import Dataset
from wdaverify.knapsack import fill
from wdaverify.plan import plan_of_moves

LENGTHS = st.one_of(st.floats(0.01, 4.0), st.sampled_from([0.0, math.inf, 0.5, 1.0]))


@st.composite
def questions(draw):
    lengths = draw(st.lists(LENGTHS, min_size=1, max_size=8))
    parts = draw(st.lists(st.integers(0, 5), min_size=len(lengths), max_size=len(lengths)).filter(any))
    return lengths, [Fraction(p, sum(parts)) for p in parts], draw(st.floats(0.05, 3.0))


@given(question=questions(), order=st.sampled_from([1.0, 1.5, 2.0, 7.0]))
def test_the_filling_is_worth_what_a_linear_program_says(question, order):
    lengths, weights, radius = question
    filling = fill(lengths, weights, radius=radius, order=order, costly=True)
    d, w = np.array(lengths), np.array([float(v) for v in weights])
    movable = np.isfinite(d)
    cost = np.where(movable, (np.where(movable, d, 0.0) / radius) ** order, 0.0)
    bounds = [(0, v if m else 0) for v, m in zip(w, movable, strict=True)]
    best = linprog(-np.ones(len(d)), A_ub=cost[None], b_ub=[1.0], bounds=bounds, method="highs")
    assert float(filling.value) == pytest.approx(-best.fun, abs=1e-7)
    spent = sum(m * Fraction(v) ** 2 for m, v in zip(filling.moved, lengths, strict=True) if m)
    assert order != 2 or spent <= Fraction(radius) ** 2


@given(question=questions())
def test_order_inf_is_the_best_choice_of_whole_samples(question):
    lengths, weights, radius = question
    best = max(
        sum((w for w, c in zip(weights, chosen, strict=True) if c), Fraction(0))
        for chosen in product([False, True], repeat=len(lengths))
        if all(d <= radius for d, c in zip(lengths, chosen, strict=True) if c)
    )
    assert fill(lengths, weights, radius=radius, order=math.inf, costly=True).value == best


@given(question=questions(), order=st.sampled_from([1.0, 2.0, 3.7, math.inf]))
def test_the_plan_keeps_every_weight_and_stays_in_the_ball(question, order):
    lengths, weights, radius = question
    data = Dataset(np.zeros((len(lengths), 1)), [0] * len(lengths), [float(w) for w in weights])
    filling = fill(lengths, data.fractions, radius=radius, order=order, costly=True)
    goals = [np.array([d]) if math.isfinite(d) else None for d in lengths]
    plan = plan_of_moves(data, goals, lengths, filling.moved, order=order)
    assert plan.source_marginal(len(lengths)) == pytest.approx([float(w) for w in data.fractions], abs=1e-15)
    assert plan.cost <= (radius if math.isinf(order) else radius**order * (1 + 1e-12))
    errs = sum(float(w) for w, d in zip(data.fractions, lengths, strict=True) if d == 0)
    assert sum(a.mass for a in plan.moved) + errs == pytest.approx(float(filling.value), abs=1e-12)
    assert len(plan.atoms) <= len(lengths) + 1
