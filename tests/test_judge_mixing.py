"""Leaf mix: the proof that a matrix is positive semidefinite, and bounds of zonotopes against their corners."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify.check.context import Context, Question, Target
from wdaverify.check.mixing import mixing, positive, zonotope
from wdaverify.check.num import Rejected
from wdaverify.check.program import Form, Program

MATRICES = st.integers(1, 5).flatmap(
    lambda n: st.lists(st.lists(st.integers(-6, 6), min_size=n, max_size=n), min_size=n, max_size=n)
)


def semidefinite(matrix: list[list[Fraction]]) -> bool:
    """By symmetric elimination in rationals: a zero pivot must have a zero row."""
    a = [list(row) for row in matrix]
    for k in range(len(a)):
        if a[k][k] < 0 or (a[k][k] == 0 and any(a[k][k:])):
            return False
        for i in range(k + 1, len(a)):
            factor = a[i][k] / a[k][k] if a[k][k] else Fraction(0)
            a[i] = [u - factor * v for u, v in zip(a[i], a[k], strict=True)]
    return True


def lower(matrix: list[list[int]], factor: int = 1) -> list[list[int]]:
    return [[factor * v for v in row[: i + 1]] for i, row in enumerate(matrix)]


@given(MATRICES, st.sampled_from([1, 10**3, 10**90]), st.integers(0, 3))
@settings(max_examples=300, deadline=None)
def test_what_is_called_semidefinite_is(entries: list[list[int]], factor: int, lift: int) -> None:
    n = len(entries)
    symmetric = [[entries[i][j] + entries[j][i] + lift * 4 * (i == j) for j in range(n)] for i in range(n)]
    if positive(lower(symmetric, factor)):
        assert semidefinite([[Fraction(v) for v in row] for row in symmetric])


@given(MATRICES, st.sampled_from([1, 10**3, 10**90]))
@settings(max_examples=300, deadline=None)
def test_definite_matrices_are_recognised(entries: list[list[int]], factor: int) -> None:
    n = len(entries)
    gram = [[sum(entries[k][i] * entries[k][j] for k in range(n)) + (i == j) for j in range(n)] for i in range(n)]
    assert positive(lower(gram, factor))


@pytest.mark.parametrize("factor", [1, 10**40])
def test_the_smallest_indefinite_matrix_is_not_accepted(factor: int) -> None:
    big = 1 << 80
    assert not positive([[factor], [factor, factor - 1]])
    assert not positive([[big * factor], [big * factor, big * factor - 1]])
    assert positive([[0], [0, 0]])
    assert not positive([[0], [1, 0]])


def crossed() -> Question:
    """The gradient of relu(z_0) + relu(z_1) with z = (x_0 + x_1, x_0 - x_1): (1, 1)/2 and (1, -1)/2 times 1 +- 1."""
    program, one = Program(2), Fraction(1)
    y = program.relu(program.affine([Form.of([0, 1], [one, one]), Form.of([0, 1], [one, -one])]))
    program.outputs = program.affine([Form.of(y, [one, one])])
    form = program.objective({0: one})
    return Question(program, [-one] * 2, [one] * 2, [Target(form)], norm="linf", gradient=form)


def test_a_zonotope_and_its_bound() -> None:
    """The largest l1 norm of a gradient is 2, coordinates alone give 3, and these weights the root of 6."""
    question = crossed()
    ctx = Context(question)
    ctx.propagate()
    half = Fraction(1, 2)
    numerators, den = zonotope(ctx, {}, [0, 1])
    columns = [[Fraction(v, den) for v in c] for c in numerators]
    assert columns == [[1, 0], [half, half], [half, -half]]
    corners = [
        sum(abs(columns[0][j] + sum(e * c[j] for e, c in zip(signs, columns[1:], strict=True))) for j in (0, 1))
        for signs in itertools.product((-1, 1), repeat=2)
    ]
    assert max(corners) == 2
    fields = {"lam": [4, [24, 8]], "mu": [4, [16, 16, 16]]}
    question.stated = Fraction(5, 2)
    assert mixing(ctx, dict(fields), {}, [0, 1]) == question.stated
    for wrong in (Fraction(2449, 1000), Fraction(0), Fraction(-3)):
        question.stated = wrong
        with pytest.raises(Rejected):
            mixing(ctx, dict(fields), {}, [0, 1])
    question.stated = Fraction(3)
    for bad in ({"lam": [4, [24, 0]]}, {"mu": [4, [16, 16]]}, {"lam": [4, [24, -1]]}, {"mu": [10**9, [1, 1, 1]]}, {"lam": None}):
        with pytest.raises(Rejected):
            mixing(ctx, {**fields, **bad}, {}, [0, 1])
