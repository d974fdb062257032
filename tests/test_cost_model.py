"""The parts of a constrained price: rows hold for the exact cost, shrinking loses nothing, lines bound what they say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import wdaverify as wv
from tests.networks import random_mlp
from wdaverify.domain import Box
from wdaverify.pricing.cost_model import CostModel
from wdaverify.pricing.pieces import Piece
from wdaverify.pricing.propagation import Propagation
from wdaverify.transport import GroundCost

NETWORK = random_mlp([3, 2, 2], 0)
UNIT = st.floats(0, 1).map(lambda v: round(v, 6))


def exact_parts(norm, order, scales, center, x, moving):
    """The parts as rationals; the last of them, the power, where the order is not that of the sum."""
    y = [abs(Fraction(float(s)) * (Fraction(float(v)) - Fraction(float(c)))) for s, v, c in zip(scales, x, center, strict=True)]
    y = [y[k] for k in moving]
    parts = [max(y)] if norm == "linf" else [v * v for v in y] if norm == "l2" else y
    exponent = Fraction(order) / (2 if norm == "l2" else 1)
    return parts if exponent == 1 else [*parts, sum(parts) ** int(exponent)]


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from([("linf", 1), ("linf", 3), ("l1", 1), ("l1", 2), ("l2", 2), ("l2", 4)]),
    st.lists(UNIT, min_size=9, max_size=9),
    st.lists(st.sampled_from([0.125, 0.3, 1.0, 7.7]), min_size=3, max_size=3),
    st.booleans(),
)
def test_every_point_of_a_shell_satisfies_the_rows_with_its_exact_parts(kind, numbers, scales, fixed):
    (norm, order), numbers = kind, np.array(numbers).reshape(3, 3)
    lower, upper = np.sort(numbers[:2], axis=0)
    center = numbers[2].copy()
    box = Box(np.minimum(lower, center), np.maximum(upper, center))
    if fixed:
        box = Box(np.append(box.lower[:2], center[2]), np.append(box.upper[:2], center[2]))
        lower[2] = upper[2] = center[2]
    cost = GroundCost(wv.Norm(norm), float(order), np.array(scales))
    model = CostModel(NETWORK, box, center, cost)
    moving = np.flatnonzero(~((box.lower == center) & (box.upper == center)))
    if not len(moving):
        return
    for part in (0.0, 0.3, 1.0):
        x = np.clip(lower + part * (upper - lower), lower, upper)
        length = float(cost.lengths(x - center))
        for inner, outer in ((0.0, 2.0 * length + 1.0), (0.5 * length, length * (1 + 1e-12))):
            built = model.part(lower, upper, inner, outer, [center, upper])
            parts = exact_parts(norm, order, scales, center, x, moving)
            point = [Fraction(float(v)) for v in x] + parts
            for k, value in enumerate(point):
                assert Fraction(float(built.lower[k])) <= value <= Fraction(float(built.upper[k]))
            for row, offset in zip(built.rows.tolist(), built.offsets.tolist(), strict=True):
                assert sum((Fraction(a) * v for a, v in zip(row, point, strict=True)), Fraction(offset)) >= 0


def test_the_model_of_a_cost_is_tight_where_it_is_linear():
    center, box = np.array([0.5, 0.5, 0.5]), Box([0, 0, 0], [1, 1, 1])
    model = CostModel(NETWORK, box, center, GroundCost(wv.Norm.L1, 1.0))
    full = model.completed(np.array([1.0, 0.25, 0.5]))
    assert model.network.compiled.forward(full[None])[0, -1] == pytest.approx(0.75)
    assert model.network.compiled.forward(full[None])[0, :-1] == pytest.approx(NETWORK.compiled.forward(full[None, :3])[0])


def test_a_concave_power_lies_above_its_chord():
    center, box = np.zeros(3), Box([0, 0, 0], [1, 1, 1])
    model = CostModel(NETWORK, box, center, GroundCost(wv.Norm.L2, 1.0))
    built = model.part(np.zeros(3), np.ones(3), 0.25, 1.5, ())
    for length in np.linspace(0.25, 1.5, 26):
        x = np.array([length, 0.0, 0.0]) if length <= 1 else np.full(3, length / np.sqrt(3))
        point = np.concatenate([x, x * x, [float(np.linalg.norm(x)) * (1 + 1e-15)]])
        assert (built.rows @ point + built.offsets >= -1e-15).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_shrinking_a_box_loses_no_point(seed):
    generator = np.random.default_rng(seed)
    domain = wv.Domain(
        wv.Box([0, 0, 0, -1, -1], [1, 1, 1, 5, 1]), integer=[0, 0, 0, 1, 0], one_hot=[[0, 1, 2]],
        rows=generator.integers(-3, 4, size=(2, 5)) / 2, limits=[3.0, 4.5],
    )  # fmt: skip
    ends = np.sort(generator.uniform([-0.2, -0.2, -0.2, -1, -1], [1.2, 1.2, 1.2, 5, 1], size=(2, 5)), axis=0)
    points = np.array(
        [[*np.eye(3)[c], k, v] for c in range(3) for k in range(-1, 6) for v in (ends[0, 4], *np.linspace(-1, 1, 9), ends[1, 4])]
    )
    belong = np.array([domain.broken(p) is None for p in points]) & ((points >= ends[0]) & (points <= ends[1])).all(axis=1)
    shrunk = Propagation(domain.constraints).shrunk(*ends)
    if shrunk is None:
        assert not belong.any()
    else:
        assert ((points >= shrunk[0]) & (points <= shrunk[1])).all(axis=1)[belong].all()
        assert (shrunk[0] >= ends[0]).all()
        assert (shrunk[1] <= ends[1]).all()


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(-5, 5)), min_size=1, max_size=5),
    st.floats(0, 9),
    st.floats(0, 2),
    st.floats(0, 2),
)
def test_lines_bound_what_lies_below_all_of_them(lines, multiplier, inner, width):
    piece = Piece(0, np.zeros(1), np.ones(1), inner, inner + width, 1.0, lines=list(lines))
    bound = piece.upper_bound(multiplier)
    exact = [(Fraction(a), Fraction(b)) for a, b in lines]
    first, last, price = Fraction(inner), Fraction(inner + width), Fraction(multiplier)
    crossings = [(d - b) / (a - c) for a, b in exact for c, d in exact if a != c]
    truth = max(
        min(a * t + b for a, b in exact) - price * t for t in [first, last, *(t for t in crossings if first <= t <= last)]
    )
    assert Fraction(bound) >= truth
    tight = max(abs(bound), 1.0) + (multiplier + 9.0) * float(last)
    assert Fraction(bound) <= truth + Fraction(1e-9 * tight)
