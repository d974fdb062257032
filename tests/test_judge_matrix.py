"""Products of integer matrices: packed lines give what the definition gives, at every width and after every change of it."""

from __future__ import annotations

import random
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.judge_drafts import DATA
from tests.judge_walks import evidence
from wdaverify.check.context import Context, Question, Target
from wdaverify.check.engine import Evidence, query
from wdaverify.check.matrix import Group
from wdaverify.check.model import program_of


@given(st.integers(0, 2**48))
@settings(max_examples=80, deadline=None)
def test_combinations_are_exact(seed: int) -> None:
    rng = random.Random(seed)
    rows, columns, bits = rng.choice((1, 5, 8, 20)), rng.choice((1, 7, 16)), rng.choice((1, 8, 53))
    weights = [[rng.choice((-1, 1)) * rng.getrandbits(bits) for _ in range(columns)] for _ in range(rows)]
    group = Group(0, tuple(range(columns)), list(range(rows)), weights)
    for _ in range(12):
        name = rng.choice(("row", "column", "size", "column size"))
        lines = [[abs(w) for w in row] if "size" in name else row for row in weights]
        if name.startswith("column"):
            lines = [list(line) for line in zip(*lines, strict=True)]
        top = rng.choice((1, 30, 100, 180, 260))
        c = [rng.choice((0, 1, -1, (1 << top) - 1, -(1 << top), rng.getrandbits(top))) for _ in lines]
        expected = [sum(v * line[k] for v, line in zip(c, lines, strict=True)) for k in range(len(lines[0]))]
        if any(c):
            assert group.combine(name, c) == expected


@given(st.integers(0, 2**48))
@settings(max_examples=60, deadline=None)
def test_combinations_that_differ_little_from_the_last_are_exact(seed: int) -> None:
    rng = random.Random(seed)
    weights = [[rng.randrange(-(2**20), 2**20) for _ in range(9)] for _ in range(16)]
    group, names = Group(0, tuple(range(9)), list(range(16)), weights), ("row", "size")
    c = [rng.randrange(1, 2**40) for _ in weights]  # changed in place, and shared by both views
    for _ in range(20):
        for k in rng.sample(range(16), rng.choice((0, 1, 2, 7, 16))):
            c[k] = rng.choice((0, 1, rng.randrange(-(2 ** rng.choice((40, 90))), 2**40)))
        name = rng.choice(names)
        lines = [[abs(w) for w in row] if name == "size" else row for row in weights]
        if any(c):
            assert group.combine(name, c) == [sum(v * line[k] for v, line in zip(c, lines, strict=True)) for k in range(9)]


def test_a_query_is_the_same_before_and_after_packing() -> None:
    """The digits network: queries with random evidence, on a fresh program and on one whose matrices are packed."""
    content = (DATA / "lipschitz" / "digits_64-32-16-10.onnx").read_bytes()
    used = program_of(content, "m.onnx")
    rng = random.Random(0)
    for _ in range(12):
        fresh = program_of(content, "m.onnx")
        values = []
        state = rng.getstate()
        for program in (used, fresh):
            rng.setstate(state)
            objective = program.objective({rng.randrange(10): Fraction(1), 3: Fraction(-1, 3)})
            question = Question(program, [Fraction(0)] * 64, [Fraction(1, 8)] * 64, [Target(objective)])
            ctx = Context(question)
            ctx.propagate()
            values.append(query(ctx, objective, Evidence.parse(ctx, evidence(rng, ctx)), Fraction(0))[0])
        assert values[0] == values[1]
    assert any(g.packs for s in used.stages for g in s.groups)
