"""What is attacked: a network or any torch module as batched logits of flattened inputs, in two arithmetics.

Attacks step in float32 and settle distances in float64. Verdicts, the margins that say whether a point is adversarial, are always
float64: NumPy's forward pass of a `Network`, or the module itself after conversion to float64, where neither tf32 nor bf16 exist.
"""

from __future__ import annotations

import copy
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wdaverify._errors import InputError, ModelError
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.network import Network
from wdaverify.ir.to_torch import to_torch
from wdaverify.losses import exact_margin, margins

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector

_SOFT = 1e-12
"""Margins below this size, relative to the largest logit, are decided in exact arithmetic."""

_ROUNDING = 1e-6
"""Two float64 evaluations of one point never differ by more."""

DEVICES = ("auto", "cpu", "cuda")


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` is a GPU if there is one.

    Raises
    ------
    InputError
        If there is no such device.
    """
    if name not in DEVICES:
        raise InputError(f"device '{name}' is not known; give {', '.join(DEVICES)}")
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device 'cuda' is not available on this machine; give auto or cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


class Counted:
    """Logits (R, K) of flattened inputs (R, n), with a count of the rows evaluated and of those differentiated.

    Attributes
    ----------
    forward, backward
        Rows since the start.
    """

    def __init__(self, module: Callable[[Tensor], Tensor], input_shape: Sequence[int] | None = None) -> None:
        self._module, self._shape = module, None if input_shape is None else tuple(input_shape)
        self.forward = self.backward = 0

    def __call__(self, points: Tensor) -> Tensor:
        """The logits at the rows of `points`."""
        self.forward += len(points)
        self.backward += len(points) if points.requires_grad else 0
        # A clone: a module whose first operation is in place must not move the caller's points.
        return self._module(points if self._shape is None else points.clone().reshape(-1, *self._shape))


class Victim:
    """A network or module that is ready to be attacked.

    Parameters
    ----------
    model
        A `Network`, or a module that maps (R, *input_shape) to logits (R, K). A module is copied, in evaluation mode; the
        original is left as it is.
    input_shape
        Of one sample of a module, without the batch axis; a module that reads flat vectors needs none.
    inputs
        Number n of coordinates of a flattened sample.
    device
        ``auto``, ``cpu`` or ``cuda``.

    Attributes
    ----------
    rough, exact
        Logits in float32 and in float64, differentiable, on the device.
    outputs
        Number K of classes.
    name, digest
        For messages; and a hash of the weights and the structure.

    Raises
    ------
    ModelError
        If the model does not read n coordinates, gives no (R, K) logits with K >= 2, or does not compute in float64 when its
        weights are.
    """

    def __init__(
        self, model: Network | torch.nn.Module, inputs: int, *, input_shape: Sequence[int] | None = None, device: str = "auto"
    ) -> None:
        self.device, self.inputs = device_of(device), inputs
        self._network = model if isinstance(model, Network) else None
        shape = None if isinstance(model, Network) else (inputs,) if input_shape is None else tuple(input_shape)
        if isinstance(model, Network):
            self.name = "the network" if model.source is None else model.source.file
            if model.inputs != inputs:
                raise ModelError(f"{self.name} has {model.inputs} inputs, the samples have {inputs} coordinates")
        elif isinstance(model, torch.nn.Module):
            self.name = type(model).__name__
            if shape is not None and int(np.prod(shape)) != inputs:
                raise ModelError(f"{self.name}: an input of shape {shape} does not hold the {inputs} coordinates of a sample")
        else:
            raise ModelError(f"cannot attack {type(model).__name__!r}; give a network or a torch module")
        self.rough, self.exact = (Counted(_prepared(model, self.device, t), shape) for t in (torch.float32, torch.float64))
        self.outputs = self._classes()
        self.digest = _digest(model, shape)

    def _classes(self) -> int:
        """The number of classes, from a trial in both arithmetics."""
        for logits, dtype in ((self.rough, torch.float32), (self.exact, torch.float64)):
            try:
                outputs = logits(torch.zeros((2, self.inputs), device=self.device, dtype=dtype, requires_grad=True))
            except (RuntimeError, TypeError, ValueError) as error:
                reason = next(iter(str(error).splitlines()), type(error).__name__)
                raise ModelError(f"{self.name}: cannot be evaluated ({reason[:200]}); check input_shape") from error
            if not isinstance(outputs, torch.Tensor) or outputs.ndim != 2 or len(outputs) != 2:
                raise ModelError(f"{self.name}: gives no logits of shape (batch, classes)")
            if outputs.dtype != dtype:
                raise ModelError(f"{self.name}: computes in {outputs.dtype} when its weights are {dtype}; verdicts need float64")
            if not outputs.requires_grad:
                raise ModelError(f"{self.name}: its logits have no gradient in the input; attacks need one")
        if outputs.shape[1] < 2:
            raise ModelError(f"{self.name}: has {outputs.shape[1]} output; an attack needs at least two classes")
        return int(outputs.shape[1])

    def check_steady(self, point: Vector) -> None:
        """Refuse a module whose logits at a point (n,) depend on chance, or on the points that stand beside it in a batch.

        Dropout called as a function and batch statistics outlive the evaluation mode; such logits are no function of the input.

        Raises
        ------
        ModelError
            If two evaluations of the point differ by more than rounding.
        """
        if self._network is None:
            first, second = (self.judge(np.stack([point, point + shift]))[0] for shift in (0.0, 1.0))
            if not np.allclose(first, second, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True):
                raise ModelError(f"{self.name}: its logits depend on chance or on the batch (dropout, batch statistics)")

    def errs(self, points: Matrix, labels: IntArray, outputs: Matrix) -> BoolArray:
        """Which points (B, n) with judged `outputs` (B, K) are errors; near 0 the margin of a network is taken exactly."""
        found = margins(outputs, labels)
        errors = found >= 0
        if self._network is not None:
            for k in np.flatnonzero(np.abs(found) < _SOFT * np.abs(outputs).max(axis=1)):
                errors[k] = exact_margin(exact_forward(self._network, points[k].tolist()), int(labels[k]))[0] >= 0
        return np.asarray(errors)

    def judge(self, points: Matrix) -> Matrix:
        """The float64 logits (R, K) by which points (R, n) are judged."""
        if self._network is not None:
            return self._network.compiled.forward(points)
        with torch.no_grad():
            outputs = self.exact(torch.as_tensor(points, device=self.device))
        return np.asarray(outputs.cpu().numpy(), dtype=np.float64)

    @property
    def forward(self) -> int:
        """Rows evaluated so far."""
        return self.rough.forward + self.exact.forward

    @property
    def backward(self) -> int:
        """Rows differentiated so far."""
        return self.rough.backward + self.exact.backward


def _prepared(model: Network | torch.nn.Module, device: torch.device, dtype: torch.dtype) -> torch.nn.Module:
    """A copy in evaluation mode, on the device, in that arithmetic, that asks for no gradients of its own."""
    if isinstance(model, Network):
        return to_torch(model, device=device, dtype=dtype)
    return copy.deepcopy(model).to(device=device, dtype=dtype).eval().requires_grad_(requires_grad=False)


def _digest(model: Network | torch.nn.Module, shape: tuple[int, ...] | None) -> str:
    """A hash of what is computed, as far as weights and structure say it."""
    state: list[Any]
    if isinstance(model, Network):
        names = {name: k for k, name in enumerate(model.order)}
        state = [[type(model.op(n)).__name__, [names[s] for s in model.sources(n)]] for n in model.order]
        arrays = [a for s in model.compiled.steps for a in _arrays(s)]
    else:
        state = [repr(model), shape]
        arrays = [t.detach().cpu().to(torch.float64).numpy() for t in model.state_dict().values()]
    total = hashlib.sha256(repr(state).encode())
    for array in arrays:
        total.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _arrays(step: Any) -> list[np.ndarray[Any, Any]]:
    """The weights of a compiled step."""
    matrices = [f.matrix for f in getattr(step, "factors", ())]
    dense = [m if isinstance(m, np.ndarray) else np.vstack([m.tocoo().row, m.tocoo().col, m.tocoo().data]) for m in matrices]
    return [*dense, *([step.bias] if hasattr(step, "bias") else [])]
