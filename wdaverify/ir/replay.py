"""Run the original model in its own floating-point arithmetic, as it would be deployed."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import onnx
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.reference import ReferenceEvaluator

from wdaverify.ir.messages import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from wdaverify._types import Matrix
    from wdaverify.ir.network import Network

    _Run: TypeAlias = Callable[[NDArray[Any]], NDArray[Any]]

_LOG = logging.getLogger(__name__)


def float_replay(network: Network, points: Matrix) -> Matrix | None:
    """The outputs of the stored model at some points, computed in the precision it was stored in.

    The points are rounded to the model's input type first. A Softmax that the importer left out is still part of the
    stored model: its outputs are then probabilities where `ir.evaluate.forward` gives logits.

    The model runs in onnxruntime where that is installed and can run it, else in the onnx reference evaluator:
    onnxruntime lacks, for one, most float64 kernels. A replay accompanies a result and decides nothing, so where
    neither can run the model there is a warning in the log instead of an error.

    Parameters
    ----------
    points
        Shape (N, n), flattened inputs.

    Returns
    -------
    (N, K) float64, or None for a network that did not come from a model file, or that no runtime can run.
    """
    if network.source is None:
        return None
    reasons: list[str] = []
    for title, start in (("onnxruntime", _onnxruntime), ("the onnx reference evaluator", _reference)):
        try:
            with np.errstate(all="ignore"):
                return _replayed(network, network.source.content, points, start)
        except Exception as error:  # whatever the runtime raises; one that is not installed is no runtime
            reasons.append(f"{title}: {one_line(error)}")
    _LOG.warning("%s: no float replay: %s", network.source.file, "; ".join(reasons))
    return None


def _replayed(network: Network, content: bytes, points: Matrix, start: Callable[[bytes, str], _Run]) -> Matrix:
    model = onnx.ModelProto.FromString(content)
    stored = {t.name for t in model.graph.initializer}
    value = next(v for v in model.graph.input if v.name not in stored)
    kind = value.type.tensor_type
    dims = [int(d.dim_value) if d.HasField("dim_value") else 1 for d in kind.shape.dim]
    samples = np.asarray(points, dtype=np.float64).astype(tensor_dtype_to_np_dtype(kind.elem_type))
    repeat = int(np.prod(dims)) // network.inputs  # a model with a fixed batch gets the sample in every place
    run = start(content, value.name)
    result = np.empty((len(samples), network.outputs))
    for k, sample in enumerate(samples):
        row = np.asarray(run(np.tile(sample, repeat).reshape(dims)), dtype=np.float64).ravel()
        if len(row) != repeat * network.outputs:
            raise ValueError(f"gives {len(row)} numbers where the model has {repeat * network.outputs} outputs")
        result[k] = row[: network.outputs]
    return result


def _onnxruntime(content: bytes, name: str) -> _Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return lambda x: np.asarray(session.run(None, {name: x})[0])


def _reference(content: bytes, name: str) -> _Run:
    evaluator = ReferenceEvaluator(onnx.ModelProto.FromString(content))
    return lambda x: np.asarray(next(iter(evaluator.run(None, {name: x}))))
