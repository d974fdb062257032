"""The rules of the judge on random small programs: what is proved holds at every point, gradient and vertex that is tried."""

from __future__ import annotations

import itertools
import random
from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.judge_walks import Walk, random_program
from wdaverify.check.concave import conc
from wdaverify.check.context import Context, Cost, Question, Target
from wdaverify.check.num import Rejected, exp, iroot, power, r32, r32_quotient
from wdaverify.check.points import length
from wdaverify.check.program import Form, Program
from wdaverify.check.tree import Tree

SEEDS = st.integers(0, 2**48)
CASES = settings(max_examples=120, deadline=None)


def coordinate(rng: random.Random, low: int = -2, high: int = 2) -> Fraction:
    return low + Fraction(rng.randrange(0, (high - low) * 24 + 1), 24)


def ask(rng: random.Random, program: Program, *, box: bool = True) -> Question:
    """A random question about values: with cost or ball or cutoff or none."""
    n = program.inputs
    low = [Fraction(rng.choice((-2, -1, 0))) if box or rng.random() < 0.7 else None for _ in range(n)]
    high = [Fraction(rng.choice((1, 2))) if box or rng.random() < 0.7 else None for _ in range(n)]
    center = tuple(coordinate(rng, 0, 1) for _ in range(n))
    targets = []
    for _ in range(rng.choice((1, 1, 2))):
        c = {k: Fraction(rng.choice((-1, 1, 2)), rng.choice((1, 3))) for k in range(len(program.outputs))}
        rows = [program.objective({0: Fraction(rng.choice((-1, 1)))}) for _ in range(rng.choice((0, 1)))]
        targets.append(Target(program.objective(c), [Form(r.terms, r.constant + rng.choice((0, 1))) for r in rows]))
    question = Question(program, low, high, targets)
    kind, norm = rng.choice(("none", "price", "ball")), rng.choice(("l1", "l2", "linf"))
    if kind == "price":
        question.cost = Cost(norm, rng.choice((Fraction(1), Fraction(2), Fraction(3, 2))), center)
        if question.cost.order == 2 and norm != "l2":
            question.cost = Cost(norm, Fraction(1), center)
        question.multiplier = Fraction(rng.choice((1, 2, 4, 9)), rng.choice((1, 2)))
    elif kind == "ball":
        question.cost, question.ball = Cost(norm, Fraction(2 if norm == "l2" else 1), center), Fraction(rng.choice((1, 2)), 2)
    if rng.random() < 0.3:
        question.cutoff = Fraction(rng.randrange(-4, 5))
    if rng.random() < 0.3:
        question.bits = 64
    return question


def kappa(cost: Cost, x: list[Fraction]) -> float | Fraction:
    """The cost at a point; rational where it can be."""
    size = length([a - b for a, b in zip(x, cost.center, strict=True)], cost.norm)
    if cost.norm == "l2":
        return size if cost.order == 2 else float(size) ** (float(cost.order) / 2)
    return size if cost.order == 1 else float(size) ** float(cost.order)


@given(SEEDS)
@example(230)  # an upper row that is too low shows here
@example(624)  # a row of the target that is too strong
@CASES
def test_a_stream_bounds_the_objective_at_every_point(seed: int) -> None:
    rng = random.Random(seed)
    program = random_program(rng, rng.choice((1, 2)), skips=rng.random() < 0.5)
    question = ask(rng, program, box=rng.random() < 0.8)
    tree = Tree(question)
    try:
        outcome = tree.run(Walk(tree, rng).records())
    except Rejected as error:
        assert "unbounded" in str(error) or "no finite upper row" in str(error) or "open" in str(error)  # noqa: PT017
        return
    value = outcome.value
    for _ in range(150):
        x = [coordinate(rng) for _ in range(program.inputs)]
        inside = all(
            (a is None or a <= v) and (b is None or v <= b) for a, v, b in zip(question.low, x, question.high, strict=True)
        )
        cost = kappa(question.cost, x) if question.cost else 0
        if not inside or (question.ball is not None and cost > question.ball):
            continue
        blocks = program.values(x)
        for target in question.targets:
            if any(program.at(row, blocks) < 0 for row in target.rows):
                continue
            reached = program.at(target.objective, blocks) - question.multiplier * cost
            if question.cutoff is not None and reached <= question.cutoff:
                continue
            assert value is not None
            assert value >= reached - (1e-9 if isinstance(reached, float) else 0)


def gradient(program: Program, form: Form, x: list[Fraction]) -> list[Fraction] | None:
    """The exact gradient at a point near which no neuron changes its phase, by differences; None at a kink."""
    at = program.values(x)
    step = Fraction(1, 10**9)
    result = []
    for j in range(program.inputs):
        moved = [program.values([v + s * step * (k == j) for k, v in enumerate(x)]) for s in (-1, 1)]
        for block, i in program.neurons:
            signs = {(b[block][0][i] > 0) - (b[block][0][i] < 0) for b in (at, *moved)}
            if len(signs) > 1:
                return None
        result.append((program.at(form, moved[1]) - program.at(form, at)) / step)
    return result


@given(SEEDS)
@example(19)  # a thin cell without a strict ingredient shows here
@example(132)  # a mixing bound that is too small
@example(984)  # an off split that counts as strict where the neuron vanishes identically
@CASES
def test_a_lipschitz_stream_bounds_every_gradient(seed: int) -> None:
    rng = random.Random(seed)
    program = random_program(rng, rng.choice((1, 2, 2)), skips=rng.random() < 0.5)
    n, norm = program.inputs, rng.choice(("l1", "l2", "linf"))
    form = program.objective({k: Fraction(rng.choice((-1, 1, 2))) for k in range(len(program.outputs))})
    low, high = [Fraction(-1)] * n, [Fraction(rng.choice((0, 1, 2))) for _ in range(n)]
    tree = Tree(Question(program, low, high, [Target(form)], norm=norm, gradient=form))
    tree.question.stated = Fraction(rng.randrange(1, 16), 2)
    value = tree.run(Walk(tree, rng).records()).value
    dual = {"l1": "linf", "linf": "l1", "l2": "l2"}[norm]
    for _ in range(60):
        x = [low[j] + (high[j] - low[j]) * Fraction(rng.randrange(1, 997), 997) for j in range(n)]
        found = gradient(program, form, x)
        if found is not None:
            assert value is not None
            assert value >= length(found, dual)


@given(SEEDS)
@CASES
def test_conc_is_the_maximum_over_vertices_and_breakpoints(seed: int) -> None:
    """Order 1 in l1 and linf, no cost, and order 2 in l2: exactly; the candidates contain a maximiser."""
    rng = random.Random(seed)
    n = rng.choice((1, 2, 3))
    norm, order = rng.choice((("l1", 1), ("linf", 1), ("l2", 2)))
    low = [coordinate(rng, -2, 0) for _ in range(n)]
    high = [v + rng.choice((0, 1, Fraction(1, 3), 2)) for v in low]
    center = tuple(coordinate(rng, -2, 1) for _ in range(n))
    r, den = [rng.randrange(-5, 6) for _ in range(n)], rng.choice((1, 2, 3))
    multiplier = Fraction(rng.randrange(0, 12), rng.choice((1, 2)))
    ctx = Context(Question(Program(n), low, high, [Target()], cost=Cost(norm, Fraction(order), center)))
    found = conc(ctx, r, den, multiplier, None, None)

    def clip(j: int, v: Fraction) -> Fraction:
        return min(max(v, low[j]), high[j])

    if norm == "linf":
        radii = {abs(e - c) for e, c in zip((*low, *high), center * 2, strict=True)} | {Fraction(0)}
        points = [[clip(j, center[j] + (tau if r[j] > 0 else -tau)) for j in range(n)] for tau in radii]
    else:
        stops = [{low[j], high[j], clip(j, center[j])} for j in range(n)]
        if order == 2 and multiplier:
            stops = [{clip(j, center[j] + Fraction(r[j], den) / (2 * multiplier))} for j in range(n)]
        points = [list(p) for p in itertools.product(*stops)]

    def value(x: list[Fraction]) -> Fraction:
        cost = length([a - b for a, b in zip(x, center, strict=True)], norm)
        return sum((Fraction(v, den) * a for v, a in zip(r, x, strict=True)), Fraction(0)) - multiplier * cost

    assert found == max(map(value, points))
    for _ in range(40):
        x = [low[j] + (high[j] - low[j]) * Fraction(rng.randrange(0, 13), 12) for j in range(n)]
        assert value(x) <= found


@given(SEEDS)
@CASES
def test_conc_in_euclidean_norm_and_other_orders_bounds_all_points(seed: int) -> None:
    rng = random.Random(seed)
    n, norm = rng.choice((1, 2, 3)), rng.choice(("l1", "l2", "linf"))
    order = Fraction(1) if norm == "l2" and rng.random() < 0.5 else Fraction(3, 2)
    low = [Fraction(-1)] * n
    high = [Fraction(rng.choice((1, 2))) for _ in range(n)]
    center = tuple(coordinate(rng, 0, 1) for _ in range(n))
    r, den = [rng.randrange(-5, 6) for _ in range(n)], rng.choice((1, 2, 3))
    multiplier = Fraction(rng.randrange(0, 12), rng.choice((1, 2)))
    ctx = Context(Question(Program(n), low, high, [Target()], cost=Cost(norm, order, center)))
    a = Fraction(rng.randrange(1, 9), 4)
    w = {j: multiplier * Fraction(rng.choice((-1, 0, 1)), 2) for j in range(n)} if rng.random() < 0.5 else None
    try:
        found = conc(ctx, r, den, multiplier, (a, 4 * a**3 / 27), w)
    except Rejected as error:
        assert "longer than the multiplier" in str(error)  # noqa: PT017
        return
    for _ in range(60):
        x = [low[j] + (high[j] - low[j]) * Fraction(rng.randrange(0, 13), 12) for j in range(n)]
        reached = sum((Fraction(v, den) * b for v, b in zip(r, x, strict=True)), Fraction(0))
        assert float(found) >= float(reached) - float(multiplier) * float(kappa(ctx.question.cost, x)) - 1e-9


@given(st.fractions(min_value=-80, max_value=80))
def test_exp_is_enclosed(q: Fraction) -> None:
    mpmath = pytest.importorskip("mpmath")
    low, high = exp(q)
    with mpmath.workprec(600):
        truth = mpmath.exp(mpmath.mpf(q.numerator) / q.denominator)
        assert mpmath.mpf(low.numerator) / low.denominator <= truth <= mpmath.mpf(high.numerator) / high.denominator
        assert high - low <= Fraction(1, 1 << 80) * (1 + Fraction(int(truth) + 1))


@given(st.fractions(min_value=0, max_value=50), st.integers(1, 9), st.integers(1, 5))
def test_powers_are_rounded_to_the_right_side(a: Fraction, p: int, q: int) -> None:
    low, high = (power(a, Fraction(p, q), up=up) for up in (False, True))
    root = Fraction(p, q)
    assert low**root.denominator <= a**root.numerator <= high**root.denominator
    assert high - low <= Fraction(1, 1 << 96)
    n = a.numerator
    assert iroot(n, q) ** q <= n < (iroot(n, q) + 1) ** q


@given(st.fractions())
def test_r32_rounds_outward_and_keeps_short_numbers(x: Fraction) -> None:
    low, high = r32(x, up=False), r32(x, up=True)
    assert low <= x <= high
    assert high - low <= abs(x) / (1 << 30)
    assert r32(low, up=True) == low
    assert (low, high) == tuple(r32_quotient(12 * x.numerator, 12 * x.denominator, up=up) for up in (False, True))
    for end in (low.numerator, high.numerator):
        assert (end // ((end & -end) or 1)).bit_length() <= 32  # significant bits: trailing zeros do not count
