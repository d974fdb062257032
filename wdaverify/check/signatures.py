"""Which attributes and how many inputs an operator has, by version of the operators.

A node that is written otherwise has no meaning by the ONNX standard: ceil_mode of a Conv, axes as an input where they are an
attribute, a Relu of two tensors. The table is that of the standard from version 7 to `NEWEST`, for what the judge lowers.
"""

from __future__ import annotations

from .num import Unreadable, shown
from .onnxwire import Node

OLDEST, NEWEST = 7, 28
ANY = 1 << 30
"""As many inputs as wanted."""

_POOL = "auto_pad kernel_shape! pads strides"
_REDUCE = {7: ("axes keepdims", 1, 1)}
_REDUCED = ("keepdims noop_with_empty_axes", 1, 2)

SIGNATURES: dict[str, dict[int, tuple[str, int, int]]] = {
    "Abs": {7: ("", 1, 1)},
    "Add": {7: ("", 2, 2)},
    "AveragePool": {
        7: (f"{_POOL} count_include_pad", 1, 1),
        10: (f"{_POOL} count_include_pad ceil_mode", 1, 1),
        19: (f"{_POOL} count_include_pad ceil_mode dilations", 1, 1),
    },
    "BatchNormalization": {
        7: ("epsilon momentum spatial", 5, 5),
        9: ("epsilon momentum", 5, 5),
        14: ("epsilon momentum training_mode", 5, 5),
    },
    "Cast": {7: ("to!", 1, 1), 19: ("to! saturate", 1, 1), 24: ("to! saturate round_mode", 1, 1)},
    "Clip": {7: ("max min", 1, 1), 11: ("", 1, 3)},
    "Concat": {7: ("axis!", 1, ANY)},
    "Constant": {
        7: ("value!", 0, 0),
        11: ("value sparse_value", 0, 0),
        12: ("value sparse_value value_float value_floats value_int value_ints value_string value_strings", 0, 0),
    },
    "ConstantOfShape": {9: ("value", 1, 1)},
    "Conv": {7: ("auto_pad dilations group kernel_shape pads strides", 2, 3)},
    "Div": {7: ("", 2, 2)},
    "Dropout": {7: ("ratio", 1, 1), 12: ("seed", 1, 3)},
    "Expand": {8: ("", 2, 2)},
    "Flatten": {7: ("axis", 1, 1)},
    "Gather": {7: ("axis", 2, 2)},
    "Gemm": {7: ("alpha beta transA transB", 3, 3), 11: ("alpha beta transA transB", 2, 3)},
    "GlobalAveragePool": {7: ("", 1, 1)},
    "GlobalMaxPool": {7: ("", 1, 1)},
    "Identity": {7: ("", 1, 1)},
    "LeakyRelu": {7: ("alpha", 1, 1)},
    "MatMul": {7: ("", 2, 2)},
    "Max": {7: ("", 1, ANY)},
    "MaxPool": {7: (_POOL, 1, 1), 8: (f"{_POOL} storage_order", 1, 1), 10: (f"{_POOL} storage_order ceil_mode dilations", 1, 1)},
    "Min": {7: ("", 1, ANY)},
    "Mul": {7: ("", 2, 2)},
    "Neg": {7: ("", 1, 1)},
    "PRelu": {7: ("", 2, 2)},
    "Pad": {7: ("mode pads! value", 1, 1), 11: ("mode", 2, 3), 18: ("mode", 2, 4)},
    "ReduceMax": {**_REDUCE, 18: _REDUCED},
    "ReduceMean": {**_REDUCE, 18: _REDUCED},
    "ReduceMin": {**_REDUCE, 18: _REDUCED},
    "ReduceSum": {**_REDUCE, 13: _REDUCED},
    "Relu": {7: ("", 1, 1)},
    "Reshape": {7: ("", 2, 2), 14: ("allowzero", 2, 2)},
    "Shape": {7: ("", 1, 1), 15: ("end start", 1, 1)},
    "Slice": {7: ("axes ends! starts!", 1, 1), 10: ("", 3, 5)},
    "Split": {7: ("axis split", 1, 1), 13: ("axis", 1, 2), 18: ("axis num_outputs", 1, 2)},
    "Squeeze": {7: ("axes", 1, 1), 13: ("", 1, 2)},
    "Sub": {7: ("", 2, 2)},
    "Sum": {7: ("", 1, ANY)},
    "Transpose": {7: ("perm", 1, 1)},
    "Unsqueeze": {7: ("axes!", 1, 1), 13: ("", 2, 2)},
}
"""By operator and first version: attributes (``!``: required), least and largest number of inputs."""


def check_signature(node: Node, opset: int) -> None:
    """Refuse a node that the standard does not know as it is written."""
    versions = [v for v in SIGNATURES.get(node.op, {}) if v <= opset]
    if not versions:
        raise Unreadable(f"{node}: operator {shown(node.op)} is not supported")
    names, least, most = SIGNATURES[node.op][max(versions)]
    known = {name.rstrip("!") for name in names.split()}
    unknown = sorted(set(node.attributes) - known)
    missing = sorted({name[:-1] for name in names.split() if name[-1] == "!"} - set(node.attributes))
    if unknown or missing:
        fault = f"attribute {shown((unknown or missing)[0])}"
        raise Unreadable(f"{node}: {fault} is {'not supported' if unknown else 'missing'} in version {opset}")
    if not least <= len(node.inputs) <= most or not all(node.inputs[:least]):
        raise Unreadable(f"{node}: has {len(node.inputs)} inputs in version {opset}")
