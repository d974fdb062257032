"""Rules of the judge on constrained domains: any multipliers bound the form less the cost at every point of the domain."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wdaverify.check.context import Context, Cost, Question, Target
from wdaverify.check.domain import Region, region
from wdaverify.check.engine import Evidence, query
from wdaverify.check.num import Rejected, Unreadable
from wdaverify.check.program import Form, Program
from wdaverify.check.tree import Tree

N = 3
NUMBERS = st.fractions(-2, 2, max_denominator=8)
POSITIVE = st.fractions(Fraction(1, 4), 4, max_denominator=8)


def program_of_relus(weights, biases):
    """``relu(W x + b)``, summed up with signs."""
    program, one = Program(N), Fraction(1)
    y = program.relu(program.affine([Form.of(range(N), w, b) for w, b in zip(weights, biases, strict=True)]))
    program.outputs = program.affine([Form.of(y, [one, -one][: len(y)])])
    return program


def distance_power(norm, order, steps):
    """``||steps||^order`` for integer orders; of l2 order 2 only."""
    if norm == "l2":
        return sum(d * d for d in steps)
    return (max(map(abs, steps)) if norm == "linf" else sum(map(abs, steps))) ** order


@st.composite
def drawn(draw):
    rows = draw(st.lists(st.tuples(*[NUMBERS] * N), min_size=2, max_size=2))
    program = program_of_relus(rows, draw(st.tuples(NUMBERS, NUMBERS)))
    center = draw(st.tuples(*[st.integers(-1, 1).map(Fraction)] * N))
    fact = draw(st.tuples(*[NUMBERS] * N))
    slack = draw(st.fractions(0, 1, max_denominator=4))
    terms = dict(enumerate(fact))
    facts = [Form(terms, slack - sum(w * c for w, c in zip(fact, center, strict=True)))]
    weights = draw(st.tuples(*[POSITIVE] * N))
    domain = Region([Fraction(-2)] * N, [Fraction(2)] * N, frozenset({0}) if draw(st.booleans()) else frozenset(), frozenset({1}),
                    [], facts, weights)  # fmt: skip
    return program, center, domain


@given(drawn(), st.sampled_from((("l1", 1), ("linf", 1), ("l2", 2), ("l1", 2))), st.fractions(0, 2, max_denominator=4),
       st.fractions(0, 2, max_denominator=4), st.lists(st.tuples(*[NUMBERS] * N), min_size=8, max_size=20))  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_rows_and_weights_bound_every_point(case, threat, multiplier, mu, points):
    program, center, domain = case
    norm, order = threat
    low, high = domain.about(center)
    cost = Cost(norm, Fraction(order), center, domain.weights)
    target = Target(program.objective({0: Fraction(1)}))
    question = Question(program, low, high, [target], cost=cost, multiplier=multiplier, facts=domain.facts, whole=domain.integer)
    ctx = Context(question)
    ctx.propagate()
    line = (Fraction(2), Fraction(1)) if norm == "l1" and order == 2 else None  # t^2 >= 2 t - 1
    value, _, _ = query(ctx, target.objective, Evidence(d={0: mu}, young=line), multiplier)
    for point in [center, *points]:
        x = [c if j in domain.frozen else v for j, (v, c) in enumerate(zip(point, center, strict=True))]
        x[1] = Fraction(round(x[1]))
        if domain.broken(x, center) is None:
            paid = multiplier * distance_power(norm, order, domain.step(x, center))
            assert program.output_values(x)[0] - paid <= value


@given(drawn(), st.fractions(0, 2, max_denominator=4), st.lists(st.tuples(*[NUMBERS] * N), min_size=20, max_size=40))
@settings(max_examples=40, deadline=None)
def test_the_box_of_a_ball_holds_the_ball(case, radius, points):
    _, center, domain = case
    low, high = domain.about(center, radius)
    for point in points:
        x = [c if j in domain.frozen else v for j, (v, c) in enumerate(zip(point, center, strict=True))]
        x[1] = Fraction(round(x[1]))
        if domain.broken(x, center) is None and max(map(abs, domain.step(x, center))) <= radius:
            assert all(a <= v <= b for a, v, b in zip(low, x, high, strict=True))


def context(whole=frozenset({1})):
    none, one = Fraction(0), Fraction(1)
    program = program_of_relus([(one, one, none), (none, one, one)], (none, none))
    form = Form({0: Fraction(-1)}, Fraction(1))
    ends = [Fraction(0)] * N, [Fraction(3)] * N
    return Question(program, *ends, [Target(program.objective({0: Fraction(1)}))], facts=[form], whole=whole)


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ({"t": "whole", "j": 0, "at": 1}, "no whole number"),
        ({"t": "whole", "j": 1, "at": "1/2"}, "no whole number"),
        ({"t": "whole", "j": 3, "at": 1}, "input"),
        ({"t": "leaf", "k": "bound", "d": [0, [0, -1]]}, "negative"),
        ({"t": "leaf", "k": "bound", "d": [0, [1, 1]]}, "d"),
    ],
)
def test_records_that_the_domain_does_not_allow(record, word):
    with pytest.raises(Rejected, match=word):
        Tree(context()).run(iter([record]))


ONE_SIDED = [
    (0, 3, 3, [(0, 3)]), (0, 3, -1, [(0, 3)]), ("1/4", "7/4", 0, [(1, "7/4")]), ("1/4", "7/4", 1, [("1/4", 1)]),
    ("1/4", "3/4", 0, []), (0, 3, 1, [(0, 1), (2, 3)]), (1, 1, 0, [(1, 1)]), (None, 0, 0, [(None, 0)]),
    (0, None, -1, [(0, None)]),
]  # fmt: skip


@pytest.mark.parametrize(("low", "high", "at", "kept"), ONE_SIDED)
def test_sides_of_a_whole_split_that_hold_nothing_are_no_children(low, high, at, kept):
    question = context()
    question.low[1], question.high[1] = (None if v is None else Fraction(v) for v in (low, high))
    tree, found = Tree(question), []
    tree.ctx = Context(question)
    for child in tree._split("whole", {"j": 1, "at": at}):
        mark = len(tree.ctx.log)
        child()
        found.append((tree.ctx.low[1], tree.ctx.high[1]))
        tree.ctx.undo(mark)
    assert found == [tuple(None if v is None else Fraction(v) for v in pair) for pair in kept]


def test_whole_splits_leave_out_what_lies_between():
    # x1 in {0, .., 3} with x0 <= 1: relu(x0 + x1) - relu(x1 + x2) <= 1, from x0 <= 1 by the row alone
    leaf = {"t": "leaf", "k": "bound", "d": [0, [0, 1]]}
    with pytest.raises(Rejected, match="open"):
        Tree(context()).run(iter([{"t": "whole", "j": 1, "at": 1}, leaf]))
    outcome = Tree(context()).run(iter([{"t": "whole", "j": 1, "at": 1}, leaf, leaf]))
    assert outcome.leaves == 2
    assert outcome.value is not None
    assert outcome.value >= 1


BOX = {"lower": 0.0, "upper": [1.0, 3.0, "inf"]}


@pytest.mark.parametrize(
    ("fields", "point", "word"),
    [
        ({}, (0, 0, 7), None),
        ({}, (0, 4, 0), "leaves the domain in coordinate 1"),
        ({"integer": [1]}, (0, "3/2", 0), "not whole in coordinate 1"),
        ({"frozen": [2]}, (0, 0, 1), "frozen coordinate 2"),
        ({"one_hot": [[0, 1]]}, (1, 1, 0), "exactly one 1"),
        ({"one_hot": [[0, 1]]}, (0, 2, 0), "exactly one 1"),
        ({"one_hot": [[0, 1]]}, (0, 1, 0), None),
        ({"rows": [{"features": [2, 0], "coefficients": [0.1, -1.0], "at_most": 0.1}]}, (0, 0, 1), None),
        ({"rows": [{"features": [2, 0], "coefficients": [0.1, -1.0], "at_most": 0.1}]}, (0, 0, "1001/1000"), "breaks row 0"),
    ],
)
def test_points_satisfy_every_constraint_exactly(fields, point, word):
    domain = region({**BOX, **fields}, N)
    broken = domain.broken([Fraction(v) for v in point], [Fraction(0)] * N)
    assert broken is None if word is None else word in broken


@pytest.mark.parametrize(
    "fields",
    [
        {"weights": [1.0, 1.0]}, {"weights": [1.0, 0.0, 1.0]}, {"weights": [1.0, "inf", 1.0]}, {"integer": [True]}, {"frozen": 1},
        {"one_hot": [[0, 0]]}, {"rows": [{"features": [0], "coefficients": [], "at_most": 1}]}, {"integer": [3]},
        {"rows": [{"features": [0], "coefficients": [1], "at_most": "inf"}]}, {"rows": [{"features": [0]}]}, {"name": "x"},
    ],
)  # fmt: skip
def test_domains_that_say_something_else_are_refused(fields):
    with pytest.raises((Rejected, Unreadable)):
        region({**BOX, **fields}, N)
