"""The imported function is the stored one, to the last digit."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.onnx_models import model, node
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.from_onnx import from_onnx
from wdaverify.ir.network import Network
from wdaverify.ir.ops import Affine, Relu

TENTH = Fraction(float(np.float32(0.1)))
THIRD = Fraction(float(np.float32(1 / 3)))


def f32(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def value(network: Network, *x: float | Fraction) -> Fraction:
    (result,) = exact_forward(network, x)
    return result


def kinds(network: Network) -> list[str]:
    return [type(network.op(name)).__name__ for name in network.order]


def test_gemm_scales_by_the_float32_alpha_and_beta_exactly() -> None:
    gemm = node("Gemm", ["X", "W", "C"], alpha=0.1, beta=1 / 3)
    network = from_onnx(model([gemm], {"W": f32(0.1).reshape(1, 1), "C": f32(0.1)}, (1, 1)))
    assert value(network, 1) == TENTH * TENTH + THIRD * TENTH
    assert kinds(network) == ["Input", "Affine"]


def test_an_average_of_three_is_a_third() -> None:
    network = from_onnx(model([node("ReduceMean", ["X"], axes=[1])], {}, (1, 3)))
    assert value(network, 1, 0, 0) == Fraction(1, 3)
    affine = network.op(network.output)
    assert isinstance(affine, Affine)
    assert affine.exact is not None
    assert affine.matrices[0].data.tolist() == [1 / 3] * 3


def test_division_is_exact() -> None:
    network = from_onnx(model([node("Div", ["X", "C"])], {"C": f32(0.1, 3.0)}, (1, 2)))
    assert exact_forward(network, [1, 1]) == (1 / TENTH, Fraction(1, 3))


def test_batch_normalization_uses_the_rational_factor_of_its_definition() -> None:
    weights = {"s": f32(0.7), "b": f32(0.2), "m": f32(0.3), "v": f32(0.9)}
    content = model([node("BatchNormalization", ["X", *weights], epsilon=1e-5)], weights, (1, 1, 1))
    s, b, m, v = (Fraction(float(w[0])) for w in weights.values())
    variance = v + Fraction(float(np.float32(1e-5)))
    factor = s * Fraction(math.isqrt(2**192 * variance.denominator // variance.numerator), 2**96)
    assert value(from_onnx(content), Fraction(1, 7)) == (Fraction(1, 7) - m) * factor + b


def test_the_default_slope_of_leaky_relu_is_a_float32() -> None:
    network = from_onnx(model([node("LeakyRelu", ["X"])], {}, (1, 1)))
    assert value(network, -1) == -Fraction(float(np.float32(0.01)))
    assert value(network, 3) == 3


def test_constants_are_folded_without_rounding() -> None:
    nodes = [node("Mul", ["A", "A"], ["P"]), node("Add", ["P", "B"], ["S"]), node("MatMul", ["X", "S"])]
    network = from_onnx(model(nodes, {"A": f32(0.1).reshape(1, 1), "B": f32(2**24).reshape(1, 1)}, (1, 1)))
    assert value(network, 1) == TENTH**2 + 2**24


def test_constants_in_float64_are_folded_in_rationals() -> None:
    a, b = Fraction(0.1), Fraction(1 / 3)
    nodes = [node("Mul", ["A", "B"], ["P"]), node("Add", ["X", "P"])]
    content = model(nodes, {"A": np.array([0.1]), "B": np.array([1 / 3])}, (1, 1), element=TensorProto.DOUBLE)
    assert value(from_onnx(content), 0) == a * b
    assert Fraction(float(a) * float(b)) != a * b


@pytest.mark.parametrize(("kind", "element"), [(np.float16, TensorProto.FLOAT16), (ml_dtypes.bfloat16, TensorProto.BFLOAT16)])
def test_narrow_weights_keep_their_stored_value(kind: type, element: int) -> None:
    w = np.array([[0.1]], dtype=kind)
    graph = helper.make_graph(
        [node("MatMul", ["X", "W"])],
        "narrow",
        [helper.make_tensor_value_info("X", element, (1, 1))],
        [helper.make_tensor_value_info("Y", element, (1, 1))],
        [numpy_helper.from_array(w, "W")],
    )
    content = helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", 13)], ir_version=8).SerializeToString()
    assert value(from_onnx(content), 1) == Fraction(float(w[0, 0]))


def test_an_inner_cast_between_float_types_is_the_identity() -> None:
    nodes = [node("Cast", ["X"], ["H"], to=TensorProto.FLOAT16), helper.make_node("Cast", ["H"], ["Y"], to=TensorProto.FLOAT)]
    assert value(from_onnx(model(nodes, {}, (1, 1))), Fraction(1, 3)) == Fraction(1, 3)


def test_flatten_matmul_add_become_one_affine_and_reshapes_leave_no_node() -> None:
    nodes = [
        node("Sub", ["X", "M"], ["c"]),
        node("Flatten", ["c"], ["f"]),
        node("MatMul", ["f", "W"], ["h"]),
        node("Add", ["h", "B"], ["z"]),
        node("Relu", ["z"], ["a"]),
        node("Transpose", ["a"], ["t"]),
        node("Reshape", ["t", "shape"], ["r"]),
        node("Gemm", ["r", "V"]),
    ]
    generator = np.random.default_rng(0)
    weights = {
        "M": np.zeros((1, 2, 2), dtype=np.float32),
        "W": generator.normal(size=(4, 3)).astype(np.float32),
        "B": generator.normal(size=3).astype(np.float32),
        "V": generator.normal(size=(3, 2)).astype(np.float32),
        "shape": np.array([1, 3]),
    }
    network = from_onnx(model(nodes, weights, (1, 2, 2)))
    assert kinds(network) == ["Input", "Affine", "Relu", "Affine"]


def test_two_linear_layers_are_not_multiplied_out() -> None:
    nodes = [node("MatMul", ["X", "W"], ["h"]), node("MatMul", ["h", "W"])]
    network = from_onnx(model(nodes, {"W": f32(0.1, 0.2, 0.3, 0.4).reshape(2, 2)}, (1, 2)))
    assert kinds(network) == ["Input", "Affine", "Affine"]


def test_a_bias_that_would_round_is_added_in_a_node_of_its_own() -> None:
    weights = {"W": f32(1.0).reshape(1, 1), "B": f32(2.0**60), "C": f32(2.0**-60)}
    network = from_onnx(model([node("Gemm", ["X", "W", "B"], ["h"]), node("Add", ["h", "C"])], weights, (1, 1)))
    assert value(network, 0) == 2**60 + Fraction(1, 2**60)
    assert all(op.exact is None for op in map(network.op, network.order) if isinstance(op, Affine))


def test_a_tensor_added_to_itself_is_doubled() -> None:
    network = from_onnx(model([node("Relu", ["X"], ["h"]), node("Add", ["h", "h"])], {}, (1, 2)))
    assert exact_forward(network, [3, -1]) == (6, 0)
    assert len(network.sources(network.output)) == 1


def test_the_order_of_neurons_is_that_of_the_formulas() -> None:
    """Clip to [-1, 2]: first all z - a, then all z - b; the widest Max: pairs (0,1), (2,3), then the winners."""
    clip = from_onnx(model([node("Clip", ["X"], min=-1.0, max=2.0)], {}, (1, 2), opset=7))
    (relu,) = clip.relu_nodes
    before = clip.op(clip.sources(relu)[0])
    assert isinstance(before, Affine)
    assert before.matrices[0].toarray().tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    assert before.bias.tolist() == [1, 1, -2, -2]

    pool = from_onnx(model([node("MaxPool", ["X"], kernel_shape=[5])], {}, (1, 1, 5)))
    assert [pool.size(name) for name in pool.relu_nodes] == [2, 1, 1]
    first = pool.op(pool.sources(pool.relu_nodes[0])[0])
    assert isinstance(first, Affine)
    assert first.matrices[0].toarray().tolist() == [[-1, 1, 0, 0, 0], [0, 0, -1, 1, 0]]


def test_constant_elements_make_no_neurons() -> None:
    nodes = [node("Concat", ["X", "C"], ["h"], axis=1), node("Relu", ["h"])]
    network = from_onnx(model(nodes, {"C": f32(-1.0, 0.5).reshape(1, 2)}, (1, 1)))
    assert network.relus == 1
    assert exact_forward(network, [2]) == (2, 0, 0.5)


def test_every_relu_reads_an_affine_node() -> None:
    network = from_onnx(model([node("Relu", ["X"], ["h"]), helper.make_node("Relu", ["h"], ["Y"])], {}, (1, 2)))
    assert all(isinstance(network.op(network.sources(name)[0]), Affine) for name in network.relu_nodes)
    assert isinstance(network.op(network.relu_nodes[0]), Relu)


def test_clip_with_crossed_ends_is_its_upper_end() -> None:
    network = from_onnx(model([node("Clip", ["X", "a", "b"])], {"a": np.float32(2), "b": np.float32(1)}, (1, 1)))
    assert value(network, 5) == value(network, -5) == 1


def test_infinite_clip_ends_are_absent() -> None:
    weights = {"a": np.float32(0), "b": np.float32(np.inf)}
    network = from_onnx(model([node("Clip", ["X", "a", "b"])], weights, (1, 1)))
    assert network.relus == 1
    assert value(network, -5) == 0


def test_a_final_softmax_is_left_out_with_a_note() -> None:
    for op in ("Softmax", "LogSoftmax"):
        network = from_onnx(model([node("Gemm", ["X", "W"], ["h"]), node(op, ["h"])], {"W": np.eye(2, dtype=np.float32)}, (1, 2)))
        assert exact_forward(network, [3, -1]) == (3, -1)
        assert op in network.notes[0]


def test_a_fixed_batch_is_read_as_one_sample_with_a_note() -> None:
    network = from_onnx(model([node("Gemm", ["X", "W"])], {"W": np.eye(2, dtype=np.float32)}, (4, 2)))
    assert (network.inputs, network.outputs, network.input_shape) == (2, 2, (2,))
    assert "batch of 4" in network.notes[0]


def test_the_size_operator_folds() -> None:
    nodes = [node("Size", ["X"], ["n"]), node("Cast", ["n"], ["f"], to=1), node("Div", ["X", "f"])]
    assert value_first(from_onnx(model(nodes, {}, (1, 3)))) == Fraction(1, 3)


def value_first(network: Network) -> Fraction:
    return exact_forward(network, [1] * network.inputs)[0]
