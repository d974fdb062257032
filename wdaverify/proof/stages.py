"""The stages in which the judge lowers a model: their kinds and sizes, which every proof names.

Only models are read whose stages are plain to see: products with constants, sums, rearrangements and ReLUs, and whatever computes
constants from constants. The neurons of such
a model are those of our own network in the same order. Whatever else an ONNX file holds gives no stages, and no proof.

Elements that do not depend on the input are constants and count in no stage. Whether one does is found by following which
elements are *live* through each node, on absolute weights.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from wdaverify.ir.network import Network

_AFFINE = frozenset({"Gemm", "MatMul", "Conv", "Add", "Sub", "Sum", "Neg", "Mul", "Div", "BatchNormalization"})
_MOVING = frozenset({"Identity", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Dropout"})


def stages_of(network: Network) -> list[str] | None:
    """Kind and size of each stage, ``None`` for a model without file or with other operators.

    Examples
    --------
    >>> from wdaverify.ir.load import load
    >>> from wdaverify.ir.network import Network, Node
    >>> from wdaverify.ir.ops import Affine, Input
    >>> from wdaverify.ir.to_onnx import to_onnx
    >>> from scipy.sparse import csr_array
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> double = Affine((csr_array(np.array([[2.0]])),), np.array([0.5]))
    >>> with TemporaryDirectory() as folder:
    ...     to_onnx(Network.from_nodes({"x": Node(Input(1)), "y": Node(double, ("x",))}, "y"), Path(folder) / "m.onnx")
    ...     stages_of(load(Path(folder) / "m.onnx"))  # a product and a sum
    ['A1', 'A1']
    """
    if network.source is None:
        return None
    try:
        walk = _Walk(onnx.load_model_from_string(network.source.content), network.inputs)
        names = walk.run()
    except Exception:  # the model was read by another reader already: here it is only not plain
        return None
    neurons = sum(int(name[1:]) for name in names if name[0] == "R")
    return names if neurons == network.relus else None


class _Walk:
    """Follows constants, and which elements are live, from node to node."""

    def __init__(self, model: onnx.ModelProto, inputs: int) -> None:
        self._graph, self._opsets, self._inputs = model.graph, model.opset_import, inputs
        self._constants: dict[str, NDArray[Any]] = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._live: dict[str, NDArray[Any]] = {}
        self._names: list[str] = []

    def run(self) -> list[str]:
        """The names of all stages that the output depends on."""
        value = next(v for v in self._graph.input if v.name not in self._constants)
        sizes = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
        self._live[value.name] = np.ones(sizes, dtype=np.float32)
        for node in self._wanted():
            if not any(name in self._live for name in node.input):
                self._fold(node)
            else:
                self._live[str(node.output[0])] = self._through(node)
        return self._names

    def _wanted(self) -> list[onnx.NodeProto]:
        wanted, kept = {self._graph.output[0].name}, []
        for node in reversed(self._graph.node):
            if any(name in wanted for name in node.output):
                wanted.update(node.input)
                kept.append(node)
        return kept[::-1]

    def _fold(self, node: onnx.NodeProto) -> None:
        """Compute the results of a node that reads constants only."""
        values = {name: self._constants[name] for name in node.input if name}
        for name, value in zip(node.output, self._run(node, values, list(node.output)), strict=True):
            self._constants[str(name)] = value

    def _through(self, node: onnx.NodeProto) -> NDArray[Any]:
        """Which elements of a node's result are live; notes its stage."""
        moving, affine = node.op_type in _MOVING, node.op_type in _AFFINE
        if not (moving or affine or node.op_type == "Relu"):
            raise ValueError(f"operator {node.op_type}")
        live = self._evaluated(node, additive=node.op_type in {"Add", "Sub", "Sum"}) > 0
        if not moving and live.any():
            self._names.append(f"{'A' if affine else 'R'}{int(live.sum())}")
        return np.asarray(live.astype(np.float32))

    def _evaluated(self, node: onnx.NodeProto, *, additive: bool) -> NDArray[Any]:
        """The node on live elements (1 or 0) and absolute weights; what is added to live elements counts nothing."""
        if node.op_type == "BatchNormalization":
            live, scale = self._live[str(node.input[0])], self._constants[str(node.input[1])]
            return np.asarray(live * (scale != 0).reshape(-1, *[1] * (live.ndim - 2)))
        twin = onnx.NodeProto()
        twin.CopyFrom(node)
        if node.op_type in {"Neg", "Relu"}:
            twin.op_type = "Identity"
        if node.op_type == "Sub":
            twin.op_type = "Add"
        if node.op_type == "Div":
            twin.op_type = "Mul"
        values = []
        for k, name in enumerate(node.input):
            constant = self._constants.get(name)
            if name in self._live:
                values.append(self._live[name])
            elif constant is None:
                raise ValueError("an input is missing")
            elif additive or (k == 2 and node.op_type in {"Gemm", "Conv"}):
                values.append(np.zeros_like(constant, dtype=np.float32))
            elif np.issubdtype(constant.dtype, np.floating):
                values.append((constant != 0).astype(np.float32))
            else:
                values.append(constant)
        return self._run(twin, dict(zip(node.input, values, strict=True)), [node.output[0]])[0]

    def _run(self, node: onnx.NodeProto, values: dict[str, NDArray[Any]], wanted: list[str]) -> list[NDArray[Any]]:
        """The results of one node."""
        kinds = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in values.items()]
        outs = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in wanted]
        model = helper.make_model(helper.make_graph([node], "one", kinds, outs), opset_imports=list(self._opsets))
        return [np.asarray(v) for v in cast("list[Any]", ReferenceEvaluator(model).run(wanted, values))]
