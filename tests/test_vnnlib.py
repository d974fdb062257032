"""What VNN-LIB files mean: exact semantics against an evaluator of its own, forms of text, published properties."""

from __future__ import annotations

import gzip
import hashlib
import itertools
import math
import operator
import os
import re
import time
from fractions import Fraction
from functools import reduce
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property_text import BOX, HEAD, NAMES, boxed, parse
from wdaverify.property.counterexample import format_counterexample
from wdaverify.property.property import Disjunct, LinearRow, float_above, float_below
from wdaverify.property.vnnlib import load_property

DATA = Path(__file__).parent / "data"
PUBLISHED = Path(os.environ.get("WDAVERIFY_BENCHMARK_DATA", Path(__file__).parents[2] / "shared" / "data"))
FILES = sorted(PUBLISHED.glob("*/vnnlib/*.vnnlib.gz"))
SIZES = {"acasxu": (5, 5), "mnist_fc": (784, 10), "oval21": (3072, 10), "cartpole": (4, 2), "lunarlander": (8, 4)}
# An independent account of the language: trees, written as text, and evaluated by Python's own operators.
NUMBERS = st.builds(Fraction, st.integers(-4, 4), st.sampled_from([1, 2, 3, 5]))
COMPARE = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt, "=": operator.eq}


def terms(names: tuple[str, ...]) -> st.SearchStrategy:
    def grow(inner: st.SearchStrategy) -> st.SearchStrategy:
        some = st.lists(inner, min_size=1, max_size=3)
        return st.one_of(
            st.tuples(st.sampled_from("+-"), some),
            st.tuples(st.just("*"), st.tuples(NUMBERS, inner)),
            st.tuples(st.just("*"), st.tuples(inner, NUMBERS)),
            st.tuples(st.just("/"), st.tuples(inner, NUMBERS.filter(bool))),
        )

    return st.recursive(st.sampled_from(names) | NUMBERS, grow, max_leaves=4)


def comparisons() -> st.SearchStrategy:
    def over(names: tuple[str, ...]) -> st.SearchStrategy:
        return st.tuples(st.sampled_from(sorted(COMPARE)), st.lists(terms(names), min_size=2, max_size=3))

    return over(NAMES[:2]) | over(NAMES[2:])


FORMULAS = st.recursive(
    comparisons(), lambda inner: st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)), max_leaves=7
)


def written(tree: object, plain: bool) -> str:
    if isinstance(tree, str):
        return tree
    if isinstance(tree, Fraction):
        if 10 % tree.denominator == 0:
            text = repr(float(abs(tree)))
            return text if tree >= 0 else (f"-{text}" if plain else f"(- {text})")
        return f"(/ {tree.numerator} {tree.denominator})" if plain else f"(/ (- {-tree.numerator}) {float(tree.denominator)!r})"
    symbol, operands = tree
    return f"({symbol} {' '.join(written(operand, plain) for operand in operands)})"


def value(tree: object, at: dict[str, Fraction]) -> object:
    if isinstance(tree, str):
        return at[tree]
    if isinstance(tree, Fraction):
        return tree
    symbol, operands = tree
    values = [value(operand, at) for operand in operands]
    if symbol in COMPARE:
        return all(COMPARE[symbol](a, b) for a, b in itertools.pairwise(values))
    if symbol in ("and", "or"):
        return all(values) if symbol == "and" else any(values)
    if symbol == "-" and len(values) == 1:
        return -values[0]
    return reduce({"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[symbol], values)


GRID = st.sampled_from([Fraction(k, d) for d in (1, 2, 3) for k in range(-2 * d, 2 * d + 1)])


@settings(max_examples=300, deadline=None)
@given(st.lists(FORMULAS, min_size=1, max_size=3), st.booleans(), st.lists(st.tuples(*[GRID] * 4), min_size=12, max_size=12))
def test_semantics_at_rational_points(tmp_path_factory, trees, plain, points):
    text = HEAD + BOX + "".join(f"(assert {written(tree, plain)})\n" for tree in trees)
    parsed = parse(tmp_path_factory.mktemp("p"), text)
    for point in points:
        at = dict(zip(NAMES, point, strict=True))
        expected = all(value(tree, at) for tree in trees)
        assert parsed.holds(point[:2], point[2:]) == expected
        for disjunct in parsed.disjuncts:
            holds = disjunct.holds(point[:2], point[2:])
            assert not (holds and (disjunct.empty or not expected))
            low, high = disjunct.outer_box()
            if holds:
                assert all(Fraction(a) <= v <= Fraction(b) for a, v, b in zip(low, point[:2], high, strict=True))


@pytest.mark.parametrize(
    ("assertion", "lower", "upper"),
    [
        ("(<= (* 3 X_0) 1)", -2, Fraction(1, 3)),
        ("(<= (* -2 X_0) 0.5)", Fraction(-1, 4), 2),
        ("(>= (- 0.1 X_0) (* 2 X_0))", -2, Fraction(1, 30)),
        ("(<= (+ 1 X_0) 1.5)", -2, Fraction(1, 2)),
        ("(<= (+ X_0 X_0) 1)", -2, Fraction(1, 2)),
        ("(= X_0 1e-3)", Fraction(1, 1000), Fraction(1, 1000)),
        ("(<= X_0 (/ 1 3))", -2, Fraction(1, 3)),
        ("(>= X_0 (- 1.5))", Fraction(-3, 2), 2),
        ("(<= (+ X_0 X_1) (+ X_1 +.5E0))", -2, Fraction(1, 2)),
    ],
)
def test_bounds_of_one_input_become_the_box(tmp_path, assertion, lower, upper):
    (disjunct,) = parse(tmp_path, boxed(assertion)).disjuncts
    assert (disjunct.lower, disjunct.upper) == ((lower, -2), (upper, 2))
    assert disjunct.input_rows == disjunct.output_rows == ()


def test_rows_keep_their_coefficients(tmp_path):
    text = boxed("(and (< (* 2 Y_1) (+ Y_0 0.1)) (>= (+ X_1 X_0) 1))")
    (disjunct,) = parse(tmp_path, text).disjuncts
    assert disjunct.output_rows == (LinearRow(((0, Fraction(1)), (1, Fraction(-2))), Fraction(1, 10), strict=True),)
    assert disjunct.input_rows == (LinearRow(((0, Fraction(1)), (1, Fraction(1))), Fraction(-1)),)


def test_strict_input_bounds(tmp_path):
    (disjunct,) = parse(tmp_path, boxed("(and (> X_0 0) (< X_0 0.1) (< X_1 5))")).disjuncts
    assert len(disjunct.input_rows) == 2, "the strict bound of X_1 is not binding"
    low, high = disjunct.inner_box()
    assert (low[0], high[0]) == (5e-324, float_below(Fraction(1, 10)))
    assert disjunct.holds([low[0], 0.0], [0, 0])
    assert not disjunct.holds([0, 0], [0, 0])
    assert not disjunct.holds([Fraction(1, 10), 0], [0, 0])


def test_strict_bounds_can_empty_a_point(tmp_path):
    parsed = parse(tmp_path, boxed("(or (and (= X_0 1) (< X_0 1) (> Y_0 0)) (> Y_0 1))"))
    assert [disjunct.empty for disjunct in parsed.disjuncts] == [True, False]
    assert parsed.disjuncts[0].empty_coordinate == 0
    assert parsed.disjuncts[0].inner_box() is None
    assert parsed.warnings == ("p.vnnlib: 1 of 2 disjuncts are empty: X_0 >= 1 contradicts X_0 < 1 in disjunct 0",)


def test_rows_without_variables(tmp_path):
    assert parse(tmp_path, boxed("(and (<= 1 2) (> Y_0 1))")).disjuncts[0].input_rows == ()
    parsed = parse(tmp_path, boxed("(and (> (- Y_0 Y_0) 0) (> Y_0 1))"))
    assert parsed.disjuncts[0].empty
    assert "constants" in parsed.warnings[0]
    assert not parsed.holds([0, 0], [2, 0])


def test_unions_of_boxes_multiply_and_share_boxes(tmp_path):
    boxes = "(assert (or (and (<= 0 X_0 1) (<= 0 X_1 1)) (and (<= 3 X_0 4) (<= 3 X_1 4))))"
    parsed = parse(tmp_path, HEAD + boxes + "(assert (or (> Y_0 0) (> Y_1 0) (< Y_1 -1)))")
    assert [disjunct.lower for disjunct in parsed.disjuncts] == [(0, 0)] * 3 + [(3, 3)] * 3
    assert parsed.disjuncts[0].lower is parsed.disjuncts[2].lower
    assert parsed.warnings == ()
    assert "no output is constrained" in parse(tmp_path, HEAD + BOX).warnings[0]


@given(st.fractions(), st.integers(-1080, 1030))
def test_outward_and_inward_rounding(number, exponent):
    number *= Fraction(2) ** exponent
    low, high = float_below(number), float_above(number)
    assert low == -math.inf or Fraction(low) <= number
    assert high == math.inf or Fraction(high) >= number
    assert low == high or math.nextafter(low, math.inf) == high
    disjunct = Disjunct((number,), (number,))
    assert (disjunct.inner_box() is None) == (low != high)


@pytest.mark.parametrize("path", [pytest.param(p, id=p.name) for p in sorted((DATA / "traps").glob("*.vnnlib"))])
def test_traps_are_read(path):
    inputs = len(re.findall(r"declare-const X_", path.read_text()))
    assert load_property(path, inputs=inputs, outputs=1).source.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_text_forms(tmp_path):
    text = boxed("(> Y_0 0)")
    expected = parse(tmp_path, text).disjuncts
    for form in (
        "\ufeff" + text,
        text.replace("\n", "\r\n"),
        text.replace(" ", "\t\f \n").replace("(", " ( "),
        text.replace("\n", "; \u00fcber ) (\n"),
        text.replace("\n", " ; ( \r"),
    ):
        assert parse(tmp_path, form).disjuncts == expected
    packed = parse(tmp_path, gzip.compress(text.encode()), name="p.vnnlib.gz")
    assert (packed.disjuncts, packed.source.sha256) == (expected, hashlib.sha256(text.encode()).hexdigest())


@pytest.mark.skipif(not FILES, reason="no benchmark data: set WDAVERIFY_BENCHMARK_DATA")
def test_published_properties():
    rows = {"acasxu": [1, 4, 4, 4], "mnist_fc": [1] * 9, "oval21": [1] * 9}
    start = time.process_time()
    for path in FILES:
        family = path.parents[1].name
        inputs, outputs = SIZES[family if family in SIZES else path.name.split("_")[0]]
        parsed = load_property(path, inputs=inputs, outputs=outputs)
        counts = [len(disjunct.output_rows) for disjunct in parsed.disjuncts]
        expected = [rows["acasxu"][int(path.name[5]) - 1]] if family == "acasxu" else rows.get(family, [1])
        assert counts == expected, path.name
        assert parsed.warnings == ()
        assert all(disjunct.inner_box() is not None for disjunct in parsed.disjuncts) or family == "acasxu"
    assert time.process_time() - start < 2 * len(FILES)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=4), st.floats(-1e9, 1e9))
def test_counterexamples_round_trip(x, y):
    text = format_counterexample(x, [y])
    assert text.startswith("((X_0 ")
    assert text.endswith("))")
    found = re.findall(r"\(([XY])_(\d+) ([^()\s]+)\)", text)
    assert [(kind, int(k), float(v)) for kind, k, v in found] == [*(("X", k, v) for k, v in enumerate(x)), ("Y", 0, y)]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_counterexamples_are_finite(bad):
    with pytest.raises(ValueError, match="finite"):
        format_counterexample([bad], [0.0])


def test_pairs_of_wrong_length_are_no_pairs(tmp_path):
    parsed = parse(tmp_path, boxed("(> Y_0 0)"))
    with pytest.raises(ValueError, match="lengths 1 and 2"):
        parsed.holds([0], [0, 0])
