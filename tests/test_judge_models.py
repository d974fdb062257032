"""Model files that two readers could take for different networks: the judge refuses every one of them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, defs, helper, numpy_helper

from wdaverify._errors import ModelError
from wdaverify.check.model import OPERATORS, program_of
from wdaverify.check.num import Unreadable
from wdaverify.check.signatures import ANY, NEWEST, OLDEST, SIGNATURES
from wdaverify.ir.from_onnx import from_onnx

Tensors = dict[str, Any]


def key(number: int, wire: int) -> bytes:
    """The key of a field."""
    return varint(number << 3 | wire)


def varint(value: int) -> bytes:
    """An integer of the wire format."""
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def piece(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return key(number, 2) + varint(len(content)) + content


def model(nodes: list[onnx.NodeProto], stored: Tensors, shape: list[Any], opset: int = 14) -> onnx.ModelProto:
    """A model from x to y."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", shape), ("y", None))]
    tensors = [v if isinstance(v, TensorProto) else numpy_helper.from_array(np.asarray(v), k) for k, v in stored.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def sound() -> onnx.ModelProto:
    """``y = LeakyRelu(2 x, slope 1/4)`` on two inputs."""
    nodes = [helper.make_node("Mul", ["x", "w"], ["h"]), helper.make_node("LeakyRelu", ["h"], ["y"], alpha=0.25)]
    return model(nodes, {"w": np.float32([2.0])}, [1, 2])


def spliced(message: Any, extra: bytes) -> bytes:
    """The sound model with bytes after those of one of its messages, found by its serialisation."""
    return _grown(sound().SerializeToString(), message.SerializeToString(), extra)


def _grown(content: bytes, old: bytes, extra: bytes) -> bytes:
    """The lengths of the enclosing messages grow too."""
    if content == old:
        return content + extra
    at = 0
    while at < len(content):
        start = at
        number, at = _read(content, at)
        if number & 7 == 0:
            _, at = _read(content, at)
        elif number & 7 in (1, 5):
            at += 8 if number & 7 == 1 else 4
        else:
            size, at = _read(content, at)
            body = content[at : at + size]
            if old in body:
                inner = _grown(body, old, extra)
                return content[:start] + piece(number >> 3, inner) + content[at + size :]
            at += size
    raise AssertionError


def _read(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        value |= (content[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if content[at - 1] < 128:
            return value, at


def test_the_sound_model_is_read() -> None:
    values = program_of(sound().SerializeToString(), "m.onnx").output_values([Fraction(3), Fraction(-4)])
    assert values == [6, -2]


TENSOR = sound().graph.initializer[0]
NODE = sound().graph.node[1]
ALPHA = NODE.attribute[0]
INPUT = sound().graph.input[0]
SHAPE = INPUT.type.tensor_type.shape

SPLICED = {
    "element-type-twice": (TENSOR, key(2, 0) + varint(TensorProto.DOUBLE)),
    "values-of-two-kinds": (TENSOR, piece(4, np.float32([7.0]).tobytes())),
    "values-of-another-kind": (TENSOR, piece(10, np.float64([7.0]).tobytes())),
    "segment": (TENSOR, piece(3, key(1, 0) + varint(0))),
    "external": (TENSOR, key(14, 0) + varint(1)),
    "more-dimensions": (INPUT.type.tensor_type, piece(2, piece(1, key(1, 0) + varint(2)))),
    "type-twice": (INPUT, piece(2, piece(1, piece(2, piece(1, key(1, 0) + varint(2)))))),
    "number-and-symbol": (SHAPE.dim[1], piece(2, b"n")),
    "slope-twice": (ALPHA, key(2, 5) + np.float32([0.5]).tobytes()),
    "reference-to-an-attribute": (ALPHA, piece(21, b"alpha")),
    "operator-twice": (NODE, piece(4, b"Relu")),
    "overload": (NODE, piece(8, b"other")),
    "unknown-field": (NODE, piece(77, b"")),
    "operators-twice": (sound(), piece(8, key(2, 0) + varint(7))),
    "operators-under-two-names": (sound(), piece(8, piece(1, b"ai.onnx") + key(2, 0) + varint(7))),
    "two-graphs": (sound(), piece(7, b"")),
    "function": (sound(), piece(25, piece(1, b"Relu"))),
    "group": (NODE, key(3, 3) + key(3, 4)),
}
"""Where bytes are added to the sound model, and which."""


@pytest.mark.parametrize("name", SPLICED)
def test_a_message_that_is_two_is_refused(name: str) -> None:
    with pytest.raises(Unreadable):
        program_of(spliced(*SPLICED[name]), "m.onnx")


@pytest.mark.parametrize(("old", "new"), [
    (key(2, 5) + np.float32([0.25]).tobytes(), piece(2, np.float32([0.25]).tobytes())),  # a slope that is no single float
    (key(20, 0) + varint(1), key(20, 5) + b"\1\0\0\0"),  # an element type of the wrong wire type
])  # fmt: skip
def test_fields_of_another_wire_type_are_no_fields(old: bytes, new: bytes) -> None:
    attribute = ALPHA.SerializeToString()
    changed = attribute.replace(old, new)
    assert changed != attribute
    node = NODE.SerializeToString().replace(piece(5, attribute), piece(5, changed))
    body = sound().graph.SerializeToString().replace(piece(1, NODE.SerializeToString()), piece(1, node))
    content = sound().SerializeToString().replace(piece(7, sound().graph.SerializeToString()), piece(7, body))
    assert content != sound().SerializeToString()
    with pytest.raises(Unreadable):
        program_of(content, "m.onnx")


def tensor(kind: int, shape: list[int], **lists: list[int]) -> TensorProto:
    """A tensor by its fields."""
    return TensorProto(name="c", data_type=kind, dims=shape, **lists)


def cast(*nodes: onnx.NodeProto) -> list[onnx.NodeProto]:
    """Nodes that compute c, which is added to x."""
    last = nodes[-1].output[0] if nodes else "c"
    return [*nodes, helper.make_node("Cast", [last], ["f"], to=1), helper.make_node("Add", ["x", "f"], ["y"])]


NODES = helper.make_node
INTEGERS: dict[str, tuple[list[onnx.NodeProto], Tensors]] = {
    "mean-is-cut": (cast(NODES("ReduceMean", ["c"], ["m"])), {"c": [1, 2]}),
    "negative-wraps": (cast(NODES("Neg", ["c"], ["m"])), {"c": np.int32([-(2**31), 1])}),
    "product-wraps": (cast(NODES("Mul", ["c", "c"], ["m"])), {"c": np.int32([1 << 20, 1])}),
    "sum-wraps": (cast(NODES("Add", ["c", "c"], ["m"])), {"c": np.int64([1 << 62, 1])}),
    "difference-wraps": (cast(NODES("Sub", ["c", "d"], ["m"])), {"c": np.int32([-(2**31), 1]), "d": np.int32([1, 1])}),
    "quotient-is-cut": (cast(NODES("Div", ["c", "d"], ["m"])), {"c": [3, 1], "d": [2, 1]}),
    "cast-wraps": (cast(NODES("Cast", ["c"], ["m"], to=TensorProto.INT32)), {"c": np.int64([1 << 40, 1])}),
    "slope-of-integers": (cast(NODES("LeakyRelu", ["c"], ["m"])), {"c": [-3, 1]}),
    "mixed": (cast(NODES("Concat", ["c", "d"], ["m"], axis=0)), {"c": [1], "d": np.float32([0.5])}),
    "filler-of-another-type": (cast(NODES("Pad", ["c", "p", "v"], ["m"])), {"c": [1], "p": [1, 0], "v": np.float32(0.5)}),
    "int32-beyond": (cast(), {"c": tensor(TensorProto.INT32, [2], int64_data=[1, 1])}),
    "bool-beyond": (cast(), {"c": tensor(TensorProto.BOOL, [2], int32_data=[2, 1])}),
    "float16-beyond": (cast(), {"c": tensor(TensorProto.FLOAT16, [2], int32_data=[1 << 16, 1])}),
}


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_that_do_not_compute_as_reals_are_refused(name: str) -> None:
    nodes, stored = INTEGERS[name]
    with pytest.raises(Unreadable):
        program_of(model(nodes, stored, [2]).SerializeToString(), "m.onnx")


def test_a_number_beyond_32_bits_is_not_cut() -> None:
    bad = tensor(TensorProto.INT32, [2]).SerializeToString() + piece(5, varint((1 << 32) + 5) + varint(1))
    with_good = model(cast(), {"c": np.int32([5, 1])}, [2])
    good = with_good.graph.initializer[0].SerializeToString()
    body = with_good.graph.SerializeToString().replace(piece(5, good), piece(5, bad))
    content = with_good.SerializeToString().replace(piece(7, with_good.graph.SerializeToString()), piece(7, body))
    assert program_of(with_good.SerializeToString(), "m.onnx").output_values([Fraction(0), Fraction(0)]) == [5, 1]
    assert list(onnx.ModelProto.FromString(content).graph.initializer[0].int32_data) == [5, 1]  # what others make of it
    with pytest.raises(Unreadable, match="beyond"):
        program_of(content, "m.onnx")


DOUBTFUL: dict[str, tuple[list[onnx.NodeProto], Tensors, list[int], int]] = {
    "global-average-of-a-matrix": ([NODES("GlobalAveragePool", ["x"], ["y"])], {}, [1, 3], 14),
    "global-maximum-of-a-matrix": ([NODES("GlobalMaxPool", ["x"], ["y"])], {}, [1, 3], 14),
    "pads-twice": ([NODES("MaxPool", ["x"], ["y"], auto_pad="VALID", pads=[1, 1], kernel_shape=[2])], {}, [1, 1, 3], 14),
    "ceil-of-conv": ([NODES("Conv", ["x", "w"], ["y"], ceil_mode=1, strides=[2])], {"w": np.ones((1, 1, 1), "f")}, [1, 1, 4], 14),
    "pads-beyond-memory": ([NODES("Conv", ["x", "w"], ["y"], pads=[0, 1 << 40])], {"w": np.ones((1, 1, 1), "f")}, [1, 1, 3], 14),
    "half-a-reduction": ([NODES("ReduceMin", ["x"], ["y"], noop_with_empty_axes=2)], {}, [3], 20),
    "half-transposed": ([NODES("Gemm", ["x", "w"], ["y"], transB=2)], {"w": np.eye(3, dtype="f")}, [1, 3], 14),
    "axes-in-a-matrix": ([NODES("Squeeze", ["x", "a"], ["y"])], {"a": np.int64([[0]])}, [1, 3], 14),
    "rounded-up": ([NODES("MaxPool", ["x"], ["y"], auto_pad="VALID", ceil_mode=1, kernel_shape=[2])], {}, [1, 1, 3], 14),
    "squeeze-of-nothing": ([NODES("Squeeze", ["x", "a"], ["y"])], {"a": np.int64([])}, [1, 3], 14),
    "uneven-split": ([NODES("Split", ["x"], ["y", "z"])], {}, [3], 13),
    "limits-twice": ([NODES("Clip", ["x"], ["y"], min=1.0)], {}, [3], 14),
    "limit-as-text": ([NODES("Clip", ["x"], ["y"], min="1/2")], {}, [3], 7),
    "two-tensors": ([NODES("Relu", ["x", "w"], ["y"])], {"w": np.float32([1])}, [3], 14),
    "no-axis": ([NODES("Concat", ["x", "x"], ["y"])], {}, [1, 3], 14),
    "fill-of-two": ([NODES("ConstantOfShape", ["n"], ["c"], value=numpy_helper.from_array(np.float32([1, 2]))),
                     NODES("Add", ["x", "c"], ["y"])], {"n": [3]}, [3], 14),
    "fill-as-float": ([NODES("ConstantOfShape", ["n"], ["c"], value=2.0), NODES("Add", ["x", "c"], ["y"])], {"n": [3]}, [3], 14),
    "input-overwritten": ([NODES("Relu", ["x"], ["x"]), NODES("Neg", ["x"], ["y"])], {}, [3], 14),
    "older-than-expand": ([NODES("Expand", ["x", "n"], ["y"])], {"n": [2, 3]}, [3], 7),
    "operators-of-tomorrow": ([NODES("Relu", ["x"], ["y"])], {}, [3], NEWEST + 1),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
def test_nodes_without_one_meaning_are_refused(name: str) -> None:
    nodes, stored, shape, opset = DOUBTFUL[name]
    with pytest.raises(Unreadable):
        program_of(model(nodes, stored, shape, opset).SerializeToString(), "m.onnx")


@pytest.mark.parametrize("name", ["global-average-of-a-matrix", "global-maximum-of-a-matrix", "half-a-reduction"])
def test_the_library_refuses_what_runtimes_compute_differently(name: str) -> None:
    nodes, stored, shape, opset = DOUBTFUL[name]
    content = model(nodes, stored, shape, opset)
    content.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, shape))
    with pytest.raises(ModelError, match=r"spatial axes|0 or 1"):
        from_onnx(content.SerializeToString())


@pytest.mark.parametrize("op", SIGNATURES)
def test_signatures_are_those_of_the_standard(op: str) -> None:
    for opset in range(OLDEST, NEWEST + 1):
        try:
            schema = defs.get_schema(op, opset, "")
        except defs.SchemaError:
            assert min(SIGNATURES[op]) > opset
            continue
        names, least, most = SIGNATURES[op][max(v for v in SIGNATURES[op] if v <= opset)]
        assert set(names.split()) == {n + "!" * a.required for n, a in schema.attributes.items()}
        assert (least, min(most, ANY)) == (schema.min_input, ANY if schema.max_input > 1000 else schema.max_input)
        assert not schema.deprecated


def test_every_operator_has_a_signature() -> None:
    assert set(SIGNATURES) == {*OPERATORS, "Split"}
