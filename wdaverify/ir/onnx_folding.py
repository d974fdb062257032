"""Fold nodes whose inputs are constant integers or booleans: shape computations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import helper
from onnx.reference import ReferenceEvaluator

from wdaverify._errors import ModelError
from wdaverify.ir.lowering.common import MAX_ELEMENTS
from wdaverify.ir.messages import one_line
from wdaverify.ir.onnx_file import node_title

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx
    from numpy.typing import NDArray

FOLDABLE = frozenset(
    {
        "Abs",
        "Add",
        "And",
        "Concat",
        "Div",
        "Equal",
        "Expand",
        "Flatten",
        "Gather",
        "Greater",
        "GreaterOrEqual",
        "Identity",
        "Less",
        "LessOrEqual",
        "Max",
        "Min",
        "Mod",
        "Mul",
        "Neg",
        "NonZero",
        "Not",
        "Or",
        "Range",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "ReduceSum",
        "Reshape",
        "Sign",
        "Slice",
        "Split",
        "Squeeze",
        "Sub",
        "Sum",
        "Transpose",
        "Unsqueeze",
        "Where",
        "Xor",
    }
)
"""Operators that the onnx reference evaluator computes exactly on integers and booleans."""


def fold_integers(node: onnx.NodeProto, inputs: Sequence[NDArray[Any] | None], opset: int) -> list[NDArray[Any]]:
    """The outputs of one node by the onnx reference evaluator.

    Raises
    ------
    ModelError
        If the evaluator fails or the result would be too large.
    """
    _check_growth(node, inputs)
    feeds = {name: array for name, array in zip(node.input, inputs, strict=True) if array is not None}
    infos = [helper.make_tensor_value_info(k, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for k, v in feeds.items()]
    outputs = [helper.make_empty_tensor_value_info(name) for name in node.output]
    model = helper.make_model(
        helper.make_graph([node], "fold", infos, outputs), opset_imports=[helper.make_operatorsetid("", opset)]
    )
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(model).run(None, feeds)
    except Exception as error:  # whatever the evaluator raises on malformed nodes
        raise ModelError(f"{node_title(node)}: cannot be folded: {one_line(error)}") from None
    return [np.asarray(r) for r in results]


def _check_growth(node: onnx.NodeProto, inputs: Sequence[NDArray[Any] | None]) -> None:
    """Refuse results that would not fit in memory."""
    sizes = [a.size for a in inputs if a is not None]
    result = max([1, *sizes])
    if node.op_type == "Expand" and len(inputs) > 1 and inputs[1] is not None:
        result *= math.prod(max(int(d), 1) for d in inputs[1].ravel())
    elif node.op_type == "Range" and all(a is not None and a.size == 1 for a in inputs):
        start, limit, step = (int(a.ravel()[0]) for a in inputs if a is not None)
        result = abs(limit - start) // max(abs(step), 1)
    else:
        result *= max([1, *sizes])  # broadcasting at its worst
    if result > MAX_ELEMENTS:
        raise ModelError(f"{node_title(node)}: the result exceeds the size limit of {MAX_ELEMENTS} elements")
