"""Exact sums and products of arrays against fractions, number by number; and what would never end is refused."""

from __future__ import annotations

import math
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import parser

from wdaverify._errors import ModelError
from wdaverify.ir import ops
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.values import Values, accumulate, distinct, is_float, product, simplify, to_fractions

FLOATS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, width=64),
    st.integers(-4, 4).map(float),
    st.sampled_from([0.1, -0.1, 1e300, -1e300, 5e-324, -5e-324, 2.0**53, 1.7976931348623157e308, -0.0]),
)
FRACTIONS = st.fractions(max_denominator=50)


def _values(numbers: list[float] | list[Fraction]) -> Values:
    if all(isinstance(v, float) for v in numbers):
        return np.array(numbers, dtype=np.float64)
    result = np.empty(len(numbers), dtype=object)
    result[:] = numbers
    return result


@given(st.lists(st.tuples(st.integers(0, 4), FLOATS)) | st.lists(st.tuples(st.integers(0, 4), FRACTIONS), min_size=1))
def test_sums_of_groups_are_those_of_fractions(members: list[tuple[int, float]] | list[tuple[int, Fraction]]) -> None:
    expected = [sum((Fraction(v) for g, v in members if g == group), Fraction(0)) for group in range(5)]
    total = accumulate(np.array([g for g, _ in members], dtype=np.int64), _values([v for _, v in members]), 5)
    assert list(to_fractions(total)) == expected
    assert is_float(total) == all(abs(v) < 2**1024 and Fraction(float(v)) == v for v in expected)  # floats wherever they do


@given(st.lists(st.tuples(FLOATS | FRACTIONS, FLOATS | FRACTIONS)))
def test_products_are_those_of_fractions(pairs: list[tuple[float | Fraction, float | Fraction]]) -> None:
    found = product(*(_values([(p[k] if mixed else Fraction(p[k])) for p in pairs]) for k, mixed in ((0, False), (1, False))))
    assert list(to_fractions(found)) == [Fraction(a) * Fraction(b) for a, b in pairs]
    floats = [(float(a), float(b)) for a, b in pairs]
    found = product(_values([a for a, _ in floats]), _values([b for _, b in floats]))
    assert list(to_fractions(found)) == [Fraction(a) * Fraction(b) for a, b in floats]


@given(st.lists(st.lists(FLOATS, min_size=3, max_size=3), min_size=1, max_size=3))
def test_products_broadcast(rows: list[list[float]]) -> None:
    a, b = np.array(rows), np.array([0.1, 3.0, -0.3])
    expected = [[Fraction(v) * Fraction(w) for v, w in zip(row, b.tolist(), strict=True)] for row in rows]
    assert to_fractions(product(a, b)).tolist() == expected


@given(st.lists(FLOATS) | st.lists(FRACTIONS, min_size=1))
def test_a_table_of_different_numbers_gives_the_array_back(numbers: list[float] | list[Fraction]) -> None:
    values = _values(numbers)
    table, codes = distinct(values)
    assert table[codes].tolist() == values.tolist()
    assert to_fractions(simplify(values)).tolist() == [Fraction(v) for v in numbers]


def test_an_infinity_in_a_sum_is_refused() -> None:
    for values in ([math.inf, 1.0], [math.inf, -math.inf, 1.0]):
        with pytest.raises((OverflowError, ValueError)):
            accumulate(np.zeros(len(values), dtype=np.int64), np.array(values), 1)


ELEMENTWISE = """<ir_version: 8, opset_import: ["" : 13]> g (float[1,{n}] x) => (float[1,{n}] y)
<float[1] a = {{0.3}}, float[1] b = {{-0.7}}, float[1] c = {{0.1}}, float[1] d = {{1e-9}}>
{{ m = Mul(x, a)  s = Sum(m, b, c, d, x)  r = Relu(s)  t = Mul(r, b)  y = Sum(t, a, d, b) }}"""


def test_elementwise_models_of_the_size_of_images_are_read_in_seconds(tmp_path: Path) -> None:
    """Sums that float64 cannot hold, for 200,000 inputs; at first this took a minute."""
    onnx.save(parser.parse_model(ELEMENTWISE.format(n=200_000)), tmp_path / "m.onnx")
    start = time.process_time()
    network = from_onnx(tmp_path / "m.onnx")
    assert time.process_time() - start < 5.0
    onnx.save(parser.parse_model(ELEMENTWISE.format(n=1)), tmp_path / "one.onnx")
    (one,) = exact_forward(from_onnx(tmp_path / "one.onnx"), [Fraction(5, 2)])
    a, b, c, d = (Fraction(float(np.float32(v))) for v in (0.3, -0.7, 0.1, 1e-9))
    assert one == max(0, Fraction(5, 2) * a + b + c + d + Fraction(5, 2)) * b + a + d + b
    assert (network.inputs, network.outputs, network.relus) == (200_000, 200_000, 200_000)


def test_a_common_denominator_beyond_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = """<ir_version: 8, opset_import: ["" : 13]> g (float[1,8] x) => (float[1,8] y)
    <float[8] b = {3, 5, 7, 11, 13, 17, 19, 23}> { q = Div(x, b)  y = Relu(q) }"""
    onnx.save(parser.parse_model(text), tmp_path / "m.onnx")
    assert from_onnx(tmp_path / "m.onnx").outputs == 8
    monkeypatch.setattr(ops, "MAX_BITS", 16 * 27)  # the product of the primes has 27 bits; there are 16 coefficients
    assert from_onnx(tmp_path / "m.onnx").outputs == 8
    monkeypatch.setattr(ops, "MAX_BITS", 200)
    with pytest.raises(ModelError, match=r"^m\.onnx: the coefficients of .* too many different denominators"):
        from_onnx(tmp_path / "m.onnx")
