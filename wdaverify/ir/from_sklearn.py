"""Read a network from a fitted scikit-learn estimator.

The estimator is written as an ONNX model of float64 tensors, one operator per step, and read back by `from_onnx`: so there is one
meaning, a float replay, and a file to prove things about. scikit-learn itself is never imported.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from wdaverify._errors import InputError, ModelError
from wdaverify.ir.from_onnx import from_onnx

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike

    from wdaverify.ir.network import Network

_OPSET, _IR_VERSION = 13, 8
_ACTIVATIONS = {"relu": "Relu", "identity": None}


def from_sklearn(estimator: Any, *, onnx_file: str | Path | None = None) -> Network:
    """Read a network from a fitted `MLPClassifier` or `MLPRegressor`, or from a pipeline that ends in one.

    Output k is the score of class ``estimator.classes_[k]``, before the softmax; labels of a `Dataset` are these indices. A
    classifier of two classes has one score z in scikit-learn: the outputs are then ``(0, z)``, so that the larger one wins as
    in ``predict``, and the cross-entropy is the log loss. Outputs of a regressor are its predictions.

    Every stored float is taken as the rational number that it is. Scalers before the network (`StandardScaler`,
    `MinMaxScaler`, `MaxAbsScaler`, `RobustScaler`) are part of it: their quotients are exact rationals, and the domain is that of
    the unscaled inputs. scikit-learn itself computes in floats, and may decide otherwise very near a decision boundary.

    Parameters
    ----------
    estimator
        Fitted, with activation ``relu`` or ``identity``.
    onnx_file
        Where to write the ONNX model too, for the commands and for ``wdaverify check``.

    Returns
    -------
    Network
        With ``source`` set; `Network.notes` name the classes in their order.

    Raises
    ------
    ModelError
        If the estimator is not fitted, of another kind, or not piecewise linear.
    InputError
        If the ONNX file cannot be written, or does not end in ``.onnx``.

    Examples
    --------
    >>> from sklearn.neural_network import MLPClassifier
    >>> x, y = [[0.0], [0.25], [0.75], [1.0]], ["low", "low", "high", "high"]
    >>> model = MLPClassifier([4], solver="lbfgs", random_state=0).fit(x, y)
    >>> network = from_sklearn(model)
    >>> print(network)
    1 inputs, 2 outputs, 4 ReLUs in 1 layers
    >>> network.notes
    ("the outputs are the classes 'high', 'low'",)
    """
    steps = [step for _, step in getattr(estimator, "steps", [("", estimator)]) if step not in (None, "passthrough")]
    if not steps or not isinstance(getattr(steps[-1], "activation", None), str):
        raise ModelError(
            f"{_kind(estimator)}: only MLPClassifier, MLPRegressor and pipelines that end in one are read; "
            "export others to ONNX and use wdaverify.load"
        )
    *scalers, mlp = steps
    name = f"{_kind(estimator)}.onnx"
    model = _OnnxWriter(_width(mlp))
    for scaler in scalers:
        if (write := _SCALERS.get(_kind(scaler))) is None:
            raise ModelError(f"{_kind(scaler)}: only {', '.join(_SCALERS)} are read before a network; scale the data beforehand")
        _check_fitted(scaler, "n_features_in_")
        write(model, scaler)
    notes = _write_mlp(model, mlp)
    content = model.content()
    network = from_onnx(content, name=name) if onnx_file is None else _through_file(content, Path(onnx_file))
    return replace(network, notes=(*network.notes, *notes))


def _kind(estimator: Any) -> str:
    return type(estimator).__name__


def _check_fitted(estimator: Any, attribute: str) -> None:
    if not hasattr(estimator, attribute):
        raise ModelError(f"{_kind(estimator)}: is not fitted; call fit first")


def _width(mlp: Any) -> int:
    """Number of inputs."""
    _check_fitted(mlp, "coefs_")
    return int(mlp.coefs_[0].shape[0])


def _through_file(content: bytes, path: Path) -> Network:
    """The network of the content, once it is in a file."""
    if path.suffix.lower() != ".onnx":
        raise InputError(f"{path}: the name of an ONNX file must end in .onnx")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
    return from_onnx(path)


class _OnnxWriter:
    """A chain of ONNX operators on float64 tensors (N, size)."""

    def __init__(self, inputs: int) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: list[onnx.TensorProto] = []
        self._inputs, self.size, self._last = inputs, inputs, "x"

    def apply(self, operator: str, *operands: ArrayLike) -> None:
        """The operator on what was computed last and on constants."""
        names = [self._last]
        for operand in operands:
            array = np.ascontiguousarray(operand, dtype=np.float64)
            names.append(f"constant{len(self._tensors)}")
            self._tensors.append(numpy_helper.from_array(array, names[-1]))
            if operator == "MatMul":
                self.size = int(array.shape[1])
        self._last = f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, names, [self._last], self._last))

    def content(self) -> bytes:
        """The finished model."""
        ends = [("x", self._inputs), (self._last, self.size)]
        values = [helper.make_tensor_value_info(name, TensorProto.DOUBLE, ["N", size]) for name, size in ends]
        graph = helper.make_graph(self._nodes, "estimator", values[:1], values[1:], self._tensors)
        opset = helper.make_operatorsetid("", _OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        content: bytes = model.SerializeToString()
        return content


def _write_mlp(model: _OnnxWriter, mlp: Any) -> list[str]:
    """The layers of an MLP; the note that names its outputs."""
    if mlp.activation not in _ACTIVATIONS:
        raise ModelError(f"{_kind(mlp)}: activation '{mlp.activation}' is not piecewise linear; use {' or '.join(_ACTIVATIONS)}")
    classes, out = getattr(mlp, "classes_", None), mlp.out_activation_
    layers = list(zip(mlp.coefs_, mlp.intercepts_, strict=True))
    known = {"identity"} if classes is None else {"softmax", "logistic"}
    several_labels = classes is not None and out == "logistic" and (mlp.n_outputs_ != 1 or len(classes) != 2)
    if out not in known or several_labels:
        raise ModelError(f"{_kind(mlp)}: outputs by '{out}' for {mlp.n_outputs_} targets are not read; give one class per sample")
    for k, (weights, bias) in enumerate(layers):
        if k and (operator := _ACTIVATIONS[mlp.activation]):
            model.apply(operator)
        if k == len(layers) - 1 and out == "logistic":
            # predict gives class 1 where 1 / (1 + exp(-z)) > 1/2, that is z > 0
            weights, bias = np.hstack([np.zeros_like(weights), weights]), np.concatenate([np.zeros_like(bias), bias])
        model.apply("MatMul", weights)
        model.apply("Add", bias)
    return [] if classes is None else [f"the outputs are the classes {', '.join(map(repr, classes.tolist()))}"]


def _standard(model: _OnnxWriter, scaler: Any) -> None:
    """``(x - mean) / scale``."""
    # its parameters count as they are now: transform looks at them anew
    _shift_and_divide(model, scaler.mean_ if scaler.with_mean else None, scaler.scale_ if scaler.with_std else None)


def _robust(model: _OnnxWriter, scaler: Any) -> None:
    """``(x - median) / (range of the quantiles)``."""
    _shift_and_divide(model, scaler.center_ if scaler.with_centering else None, scaler.scale_ if scaler.with_scaling else None)


def _max_abs(model: _OnnxWriter, scaler: Any) -> None:
    """``x / (largest absolute value)``."""
    _refuse_clip(scaler)
    _shift_and_divide(model, None, scaler.scale_)


def _min_max(model: _OnnxWriter, scaler: Any) -> None:
    """``x scale + min``, clipped if so asked for."""
    model.apply("Mul", scaler.scale_)
    model.apply("Add", scaler.min_)
    if scaler.clip:
        low, high = scaler.feature_range
        model.apply("Clip", low, high)


def _shift_and_divide(model: _OnnxWriter, shift: ArrayLike | None, scale: ArrayLike | None) -> None:
    if shift is not None:
        model.apply("Sub", shift)
    if scale is not None:
        model.apply("Div", scale)


def _refuse_clip(scaler: Any) -> None:
    if getattr(scaler, "clip", False):
        raise ModelError(f"{_kind(scaler)}: clip=True is not read; use clip=False, or a MinMaxScaler")


_SCALERS: dict[str, Callable[[_OnnxWriter, Any], None]] = {
    "StandardScaler": _standard,
    "MinMaxScaler": _min_max,
    "MaxAbsScaler": _max_abs,
    "RobustScaler": _robust,
}
