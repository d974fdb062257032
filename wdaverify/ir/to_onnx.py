"""Write a network as an ONNX model on flattened tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from wdaverify._errors import ModelError
from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from wdaverify._types import Vector
    from wdaverify.ir.network import Network

_OPSET = 13
_IR_VERSION = 8


def to_onnx(network: Network, path: str | Path, *, dtype: Literal["float32", "float64"] = "float64") -> None:
    """Write MatMul, Add and Relu nodes that mean exactly the same function.

    The model takes ``(N, n)`` and gives ``(N, K)``; one Affine becomes one MatMul per source and one sum.

    Raises
    ------
    ModelError
        If a coefficient is no number of the chosen type: rounding it would change the function.
    """
    nodes, tensors = [], []
    kind = np.dtype(dtype)
    for name in network.order:
        op, sources = network.op(name), network.sources(name)
        if isinstance(op, Affine):
            if op.exact is not None:
                raise ModelError(f"node '{name}' has coefficients that are no floats; they cannot be written exactly")
            terms = []
            for k, (matrix, source) in enumerate(zip(op.matrices, sources, strict=True)):
                tensors.append(_stored(matrix.toarray().T, f"{name}.weight{k}", kind))
                nodes.append(helper.make_node("MatMul", [source, f"{name}.weight{k}"], [f"{name}.term{k}"], f"{name}.term{k}"))
                terms.append(f"{name}.term{k}")
            tensors.append(_stored(op.bias, f"{name}.bias", kind))
            total = terms[0]
            for k, term in enumerate([*terms[1:], f"{name}.bias"]):
                result = name if k == len(terms) - 1 else f"{name}.sum{k}"
                nodes.append(helper.make_node("Add", [total, term], [result], result))
                total = result
        elif not isinstance(op, Input):
            nodes.append(helper.make_node("Relu", [sources[0]], [name], name))
    element = TensorProto.FLOAT if kind == np.float32 else TensorProto.DOUBLE
    graph = helper.make_graph(
        nodes,
        "wdaverify",
        [helper.make_tensor_value_info(network.input, element, ["N", network.inputs])],
        [helper.make_tensor_value_info(network.output, element, ["N", network.outputs])],
        tensors,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", _OPSET)], ir_version=_IR_VERSION)
    onnx.checker.check_model(model)
    Path(path).write_bytes(model.SerializeToString())


def _stored(values: Vector, name: str, kind: np.dtype[np.floating]) -> onnx.TensorProto:
    with np.errstate(over="ignore"):
        converted = np.ascontiguousarray(values).astype(kind)
    if not np.array_equal(converted.astype(np.float64), values):
        raise ModelError(f"tensor '{name}' holds numbers that are no {kind.name}; write the model with dtype='float64'")
    return numpy_helper.from_array(converted, name)
