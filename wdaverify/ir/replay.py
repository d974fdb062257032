"""Run the original model in its own floating-point arithmetic, as it would be deployed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference import ReferenceEvaluator

from wdaverify._errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wdaverify._types import Matrix
    from wdaverify.ir.network import Network


def float_replay(network: Network, points: Matrix) -> Matrix | None:
    """The outputs of the stored model at some points, computed in the precision it was stored in.

    The points are rounded to the model's input type first. A Softmax that the importer left out is still part of the
    stored model: its outputs are then probabilities where `ir.evaluate.forward` gives logits.

    Parameters
    ----------
    points
        Shape (N, n), flattened inputs.

    Returns
    -------
    (N, K) float64, or None for a network that did not come from a model file.

    Raises
    ------
    ModelError
        If the runtime (onnxruntime where installed, else the onnx reference evaluator) cannot run the model.
    """
    if network.source is None:
        return None
    model = onnx.ModelProto.FromString(network.source.content)
    stored = {t.name for t in model.graph.initializer}
    value = next(v for v in model.graph.input if v.name not in stored)
    kind = value.type.tensor_type
    dims = [int(d.dim_value) if d.HasField("dim_value") else 1 for d in kind.shape.dim]
    samples = np.asarray(points, dtype=np.float64).astype(tensor_dtype_to_np_dtype(kind.elem_type))
    repeat = int(np.prod(dims)) // network.inputs  # a model with a fixed batch gets the sample in every place
    run = _runner(network.source.content, value.name)
    try:
        rows = [np.asarray(run(np.tile(x, repeat).reshape(dims)), dtype=np.float64).ravel() for x in samples]
    except Exception as error:  # whatever the runtime raises
        raise ModelError(f"{network.source.file}: float replay failed: {' '.join(str(error).split())[:300]}") from None
    return np.array([row[: network.outputs] for row in rows], dtype=np.float64).reshape(len(samples), network.outputs)


def _runner(content: bytes, name: str) -> Callable[[NDArray[Any]], NDArray[Any]]:
    try:
        import onnxruntime
    except ImportError:
        evaluator = ReferenceEvaluator(onnx.ModelProto.FromString(content))
        return lambda x: np.asarray(next(iter(evaluator.run(None, {name: x}))))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {name: x})[0])
