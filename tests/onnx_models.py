"""Small ONNX models for tests, and the runs they are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

IR_VERSION = 8


def node(op: str, inputs: list[str], outputs: list[str] | None = None, **attributes: Any) -> onnx.NodeProto:
    """A node named after its operator and first output, which is Y by default."""
    outputs = outputs or ["Y"]
    return helper.make_node(op, inputs, outputs, name=f"{op}_{outputs[0]}", **attributes)


def model(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    shape: tuple[int | str, ...],
    *,
    opset: int = 13,
    element: int = TensorProto.FLOAT,
    output: str = "Y",
) -> bytes:
    """A model with input X and one output, whose shape onnxruntime tells, serialised."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("X", element, shape)],
        [helper.make_tensor_value_info(output, element, None)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()],
    )
    ids = [helper.make_operatorsetid("", opset)]
    bare = helper.make_model(graph, opset_imports=ids, ir_version=IR_VERSION)
    zeros = np.zeros([d if isinstance(d, int) else 1 for d in shape], dtype=helper.tensor_dtype_to_np_dtype(element))
    found = _session(bare.SerializeToString()).run(None, {"X": zeros})[0]
    bare.graph.output[0].CopyFrom(helper.make_tensor_value_info(output, element, found.shape))
    return bare.SerializeToString()


def by_reference(
    nodes: list[onnx.NodeProto], weights: dict[str, np.ndarray], x: np.ndarray, *, opset: int
) -> tuple[bytes, np.ndarray]:
    """A model that onnxruntime may be too old for, with its flattened output by the onnx reference evaluator."""
    infos = [
        helper.make_tensor_value_info("X", TensorProto.FLOAT, x.shape),
        helper.make_tensor_value_info("Y", TensorProto.FLOAT, None),
    ]
    stored = [numpy_helper.from_array(np.asarray(v), k) for k, v in weights.items()]
    graph = helper.make_graph(nodes, "test", infos[:1], infos[1:], stored)
    content = helper.make_model(graph, opset_imports=[helper.make_operatorsetid("", opset)])
    result = ReferenceEvaluator(content).run(None, {"X": x})[0]
    content.graph.output[0].CopyFrom(helper.make_tensor_value_info("Y", TensorProto.FLOAT, result.shape))
    return content.SerializeToString(), np.asarray(result, dtype=np.float64).ravel()


def runtime(content: bytes, x: np.ndarray) -> np.ndarray:
    """The output of onnxruntime without graph optimisations, flattened, for one input in its full shape."""
    session = _session(content)
    return np.asarray(session.run(None, {session.get_inputs()[0].name: x})[0], dtype=np.float64).ravel()


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
