"""Casts of constants, and limits that mean no limit."""

from __future__ import annotations

import bisect
from fractions import Fraction

import ml_dtypes
import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from onnx import TensorProto

from tests.onnx_models import IR_VERSION, model, node, runtime
from wdaverify._errors import ModelError, UnsupportedOpError
from wdaverify.ir.evaluate import forward
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.network import Network
from wdaverify.ir.values import FloatFormat, rounded

FLOAT16 = FloatFormat(11, -24, 65504.0)
BFLOAT16 = FloatFormat(8, -133, float(ml_dtypes.finfo(ml_dtypes.bfloat16).max))
FLOAT32 = FloatFormat(24, -149, float(np.finfo(np.float32).max))
MOST = float(np.finfo(np.float32).max)


def unchecked(nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], *, element: int = TensorProto.FLOAT) -> bytes:
    """A model (1, 2) to (1, 2) that no runtime has seen."""
    sides = [onnx.helper.make_tensor_value_info(name, element, (1, 2)) for name in "XY"]
    stored = [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()]
    graph = onnx.helper.make_graph(nodes, "test", sides[:1], sides[1:], stored)
    ids = [onnx.helper.make_operatorsetid("", 15)]
    return onnx.helper.make_model(graph, opset_imports=ids, ir_version=IR_VERSION).SerializeToString()


def offset(network: Network) -> list[Fraction]:
    return list(exact_forward(network, [0] * network.inputs))


# --- rounding


def table(kind: type) -> list[float]:
    """All finite numbers of a 16-bit type that are at least 0, in order; their place is their bit pattern."""
    infinity = int(np.array(np.inf, dtype=kind).view(np.uint16))
    return np.arange(infinity, dtype=np.uint16).view(kind).astype(np.float64).tolist()


TABLES = {FLOAT16: table(np.float16), BFLOAT16: table(ml_dtypes.bfloat16)}


def nearest(value: Fraction, target: FloatFormat) -> float:
    """By looking up the neighbours; a tie goes to the even bit pattern, and past the end to infinity."""
    numbers = TABLES[target]
    last = len(numbers) - 1
    magnitude = abs(value)
    above = bisect.bisect_left(numbers, magnitude)
    gap = Fraction(numbers[-1]) - Fraction(numbers[-2])
    upper = Fraction(numbers[-1]) + gap if above > last else Fraction(numbers[above])
    lower = Fraction(numbers[above - 1]) if above else Fraction(0)
    if upper - magnitude != magnitude - lower:
        place = above if upper - magnitude < magnitude - lower else above - 1
    else:
        place = above if above % 2 == 0 else above - 1
    result = float("inf") if max(place, 0) > last else numbers[max(place, 0)]
    return -result if value < 0 else result


numbers = st.one_of(
    st.floats(-7e4, 7e4),
    st.floats(-1e-6, 1e-6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(TABLES[FLOAT16]).map(lambda v: v * (1 + 2.0**-12)),
    st.integers(0, 2**14).map(lambda k: (TABLES[BFLOAT16][k] + TABLES[BFLOAT16][k + 1]) / 2),
    st.integers(0, 2**14).map(lambda k: (TABLES[FLOAT16][k] + TABLES[FLOAT16][k + 1]) / 2),
)


@given(numbers, st.sampled_from([FLOAT16, BFLOAT16]))
@example(65520.0, FLOAT16)
@example(65519.99, FLOAT16)
@example(2.0**-25, FLOAT16)
@example(-3 * 2.0**-25, FLOAT16)
@example(1 + 2.0**-8 + 2.0**-40, BFLOAT16)  # through float32 this would be a tie, and go down
def test_rounding_goes_to_the_nearest_number_of_the_type(value: float, target: FloatFormat) -> None:
    truth = nearest(Fraction(value), target)
    assert rounded(np.array([value]), target).tolist() == [truth]
    assert rounded(np.array([Fraction(value)], dtype=object), target).tolist() == [truth]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_rounding_to_float32_is_that_of_numpy(value: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        truth = float(np.float32(value))
    assert rounded(np.array([value]), FLOAT32).tolist() == [truth]


# --- Cast


@pytest.mark.parametrize(("to", "kind"), [(TensorProto.FLOAT16, np.float16), (TensorProto.FLOAT, np.float32)])
def test_a_constant_is_rounded_by_a_narrowing_cast(to: int, kind: type) -> None:
    stored = np.array([0.1, -1 / 3])
    nodes = [
        node("Cast", ["C"], ["n"], to=to),
        node("Cast", ["n"], ["w"], to=TensorProto.FLOAT),
        node("Add", ["X", "w"]),
    ]
    content = model(nodes, {"C": stored}, (1, 2))
    assert offset(from_onnx(content)) == [Fraction(float(v)) for v in stored.astype(kind)]
    assert [float(v) for v in offset(from_onnx(content))] == runtime(content, np.zeros((1, 2), dtype=np.float32)).tolist()


def test_a_constant_is_rounded_to_bfloat16() -> None:
    nodes = [node("Cast", ["C"], ["n"], to=TensorProto.BFLOAT16), node("Cast", ["n"], ["w"], to=1), node("Add", ["X", "w"])]
    network = from_onnx(unchecked(nodes, {"C": np.array([0.1, 3.0], dtype=np.float32)}))
    assert offset(network) == [Fraction(float(ml_dtypes.bfloat16(0.1))), 3]


def test_an_integer_is_rounded_by_a_cast_to_float32() -> None:
    nodes = [node("Cast", ["C"], ["w"], to=TensorProto.FLOAT), node("Add", ["X", "w"])]
    content = model(nodes, {"C": np.array([2**24 + 1, -3], dtype=np.int64)}, (1, 2))
    assert offset(from_onnx(content)) == [2**24, -3]
    assert runtime(content, np.zeros((1, 2), dtype=np.float32)).tolist() == [2**24, -3]


def test_cast_like_takes_the_type_of_its_second_input() -> None:
    nodes = [
        node("Cast", ["X"], ["narrow"], to=TensorProto.FLOAT16),
        node("CastLike", ["C", "narrow"], ["n"]),
        node("CastLike", ["n", "X"], ["w"]),
        node("Add", ["X", "w"]),
    ]
    content = model(nodes, {"C": np.array([0.1, -1 / 3])}, (1, 2), opset=15)
    assert offset(from_onnx(content)) == [Fraction(float(np.float16(v))) for v in (0.1, -1 / 3)]
    assert runtime(content, np.zeros((1, 2), dtype=np.float32)).tolist() == [float(np.float16(v)) for v in (0.1, -1 / 3)]


def test_a_float_is_true_where_it_is_not_zero() -> None:
    nodes = [node("Cast", ["C"], ["b"], to=TensorProto.BOOL), node("Cast", ["b"], ["w"], to=1), node("Add", ["X", "w"])]
    content = model(nodes, {"C": np.array([0.5, 0.0], dtype=np.float32)}, (1, 2))
    assert offset(from_onnx(content)) == [1, 0]
    assert runtime(content, np.zeros((1, 2), dtype=np.float32)).tolist() == [1, 0]


def test_a_float_is_truncated_by_a_cast_to_integers() -> None:
    nodes = [node("Cast", ["C"], ["i"], to=TensorProto.INT8), node("Cast", ["i"], ["w"], to=1), node("Add", ["X", "w"])]
    content = model(nodes, {"C": np.array([-1.75, 127.5], dtype=np.float32)}, (1, 2))
    assert offset(from_onnx(content)) == [-1, 127]
    assert runtime(content, np.zeros((1, 2), dtype=np.float32)).tolist() == [-1, 127]


@pytest.mark.parametrize("constant", [np.array([1.0, 128.0], dtype=np.float32), np.array([1, 128])])
def test_a_cast_out_of_the_range_of_the_integers_is_refused(constant: np.ndarray) -> None:
    nodes = [node("Cast", ["C"], ["i"], to=TensorProto.INT8), node("Cast", ["i"], ["w"], to=1), node("Add", ["X", "w"])]
    with pytest.raises(ModelError, match=r"Cast_i.*128 is outside the range \[-128, 127\] of int8"):
        from_onnx(unchecked(nodes, {"C": constant}))


@pytest.mark.parametrize("to", [TensorProto.STRING, TensorProto.COMPLEX64, TensorProto.FLOAT8E4M3FN])
@pytest.mark.parametrize("constant", [np.ones(2, dtype=np.float32), np.array([1, 2])])
def test_a_cast_to_another_kind_of_type_is_refused(to: int, constant: np.ndarray) -> None:
    nodes = [node("Cast", ["C"], ["s"], to=to), node("Cast", ["s"], ["w"], to=1), node("Add", ["X", "w"])]
    with pytest.raises(UnsupportedOpError, match=r"Cast_s.*not supported"):
        from_onnx(unchecked(nodes, {"C": constant}))


def test_a_constant_beyond_the_range_of_its_new_type_is_no_weight() -> None:
    nodes = [node("Cast", ["C"], ["n"], to=TensorProto.FLOAT16), node("Cast", ["n"], ["w"], to=1), node("Add", ["X", "w"])]
    with pytest.raises(ModelError, match=r"'n' holds inf"):
        from_onnx(unchecked(nodes, {"C": np.array([1e6, 0.0], dtype=np.float32)}))


# --- limits


@pytest.mark.parametrize(("low", "high"), [(-MOST, 6.0), (-MOST, MOST), (-0.5, MOST), (-MOST, None)])
@pytest.mark.parametrize("opset", [7, 13])
def test_a_clip_end_at_the_largest_number_is_no_limit(low: float, high: float | None, opset: int) -> None:
    if opset < 11:
        attributes = {"min": low} | ({} if high is None else {"max": high})
        content = model([node("Clip", ["X"], **attributes)], {}, (1, 2), opset=opset)
    else:
        weights = {"lo": np.float32(low)} | ({} if high is None else {"hi": np.float32(high)})
        content = model([node("Clip", ["X", *weights])], weights, (1, 2), opset=opset)
    network = from_onnx(content)
    x = np.array([[-1.98, 9.25]], dtype=np.float32)
    assert forward(network, x.astype(np.float64))[0].tolist() == runtime(content, x).tolist()
    assert any("Clip_Y" in note and "read as no limit" in note for note in network.notes)
    assert network.relus == 2 * ((abs(low) < MOST) + (high is not None and high < MOST))


def test_a_clip_end_at_the_largest_float64_is_no_limit() -> None:
    weights = {"lo": np.float64(-np.finfo(np.float64).max), "hi": np.float64(1)}
    network = from_onnx(unchecked([node("Clip", ["X", "lo", "hi"])], weights, element=TensorProto.DOUBLE))
    assert forward(network, np.array([[-1.98, 3.0]])).tolist() == [[-1.98, 1.0]]
    assert "-1.79769313e+308 is read as no limit" in network.notes[0]


def test_an_ordinary_clip_end_stays_and_is_not_noted() -> None:
    weights = {"lo": np.float32(-65504), "hi": np.float32(1e30)}
    network = from_onnx(model([node("Clip", ["X", "lo", "hi"])], weights, (1, 2)))
    assert network.notes == ()
    assert exact_forward(network, [-(10**6), Fraction(10) ** 31]) == (-65504, Fraction(float(np.float32(1e30))))


@pytest.mark.parametrize("bound", [np.inf, MOST])
@pytest.mark.parametrize("op", ["Max", "Min"])
def test_a_constant_that_never_wins_drops_out_element_by_element(op: str, bound: float) -> None:
    sign = -1.0 if op == "Max" else 1.0
    weights = {"C": np.array([sign * bound, 0.5], dtype=np.float32)}
    content = model([node(op, ["C", "X"])], weights, (1, 2))
    network = from_onnx(content)
    for x in (np.array([[-1.98, -3]], dtype=np.float32), np.array([[7, 3]], dtype=np.float32)):
        assert forward(network, x.astype(np.float64))[0].tolist() == runtime(content, x).tolist()
    assert network.relus == 1
    assert len(network.notes) == (bound == MOST)


@pytest.mark.parametrize(("op", "value"), [("Max", np.inf), ("Min", -np.inf)])
def test_a_constant_that_always_wins_is_refused_when_infinite(op: str, value: float) -> None:
    with pytest.raises(ModelError, match=rf"{op}_Y.*infinite"):
        from_onnx(unchecked([node(op, ["X", "C"])], {"C": np.array([0, value], dtype=np.float32)}))


def test_a_maximum_of_nothing_finite_is_refused() -> None:
    weights = {"C": np.full((1, 2), -np.inf, dtype=np.float32)}
    with pytest.raises(ModelError, match=r"Max_m.*infinite"):
        from_onnx(unchecked([node("Max", ["C"], ["m"]), node("Add", ["X", "m"])], weights))


# --- softmax


def test_the_softmax_of_one_element_is_refused_for_what_it_is() -> None:
    side = {"W": np.ones((2, 1), dtype=np.float32)}
    with pytest.raises(UnsupportedOpError, match="softmax of one element is constant"):
        from_onnx(model([node("MatMul", ["X", "W"], ["h"]), node("Softmax", ["h"])], side, (1, 2)))
