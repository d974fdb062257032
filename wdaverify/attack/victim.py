"""What is attacked, and the verdict on its points.

Attacks step in float32 and settle distances in float64. Verdicts, whether a point is adversarial, are proved for a `Network`: by
interval arithmetic about its float64 logits, and in exact arithmetic where that leaves them open. A module is judged in float64
after conversion, where neither tf32 nor bf16 exist; a callable as it computes (`attack.logits`), without tf32.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from wdaverify._errors import InputError, ModelError
from wdaverify.attack.logits import evaluation
from wdaverify.bounds.interval import interval_bounds
from wdaverify.domain import Regions
from wdaverify.ir.exact import exact_forward
from wdaverify.ir.network import Network
from wdaverify.losses import exact_margin, margins

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify._types import BoolArray, IntArray, Matrix, Vector
    from wdaverify.attack.logits import Model

_ROUNDING, _SINGLE_ROUNDING = 1e-6, 1e-3
"""Two evaluations of one point, relative to the largest logit, never differ by more; the second for models in float32."""


class Victim:
    """A network, module or callable that is ready to be attacked.

    Parameters
    ----------
    model
        A `Network`, or what maps (R, *input_shape) to logits (R, K): a module, or any callable. A module is copied, in evaluation
        mode; the original is left as it is. A callable is called as it is.
    inputs
        Number n of coordinates of a flattened sample.
    input_shape
        Of one sample, without the batch axis; a number of coordinates will do, and what reads flat vectors needs none.
    device
        ``auto``, ``cpu`` or ``cuda``.

    Attributes
    ----------
    rough, exact
        Logits of points in float32 and in float64, differentiable, on the device.
    outputs
        Number K of classes.
    device
        Where points must be.
    network
        The model if it is a `Network`, else ``None``.
    single
        Whether it computes in float32, whatever the points are.
    rounding
        How much two evaluations of one point may differ, relative to the largest logit.
    firm
        Margins of this size, relative to the largest logit, survive another evaluation of a module or callable.
    name, digest
        For messages; and a hash of the weights and the structure.

    Raises
    ------
    InputError
        If `input_shape` is no shape.
    ModelError
        If the model does not read n coordinates, gives no (R, K) logits with K >= 2, or as a module does not compute in float64
        when its weights are.
    """

    def __init__(
        self, model: Model, inputs: int, *, input_shape: Sequence[int] | int | None = None, device: str = "auto"
    ) -> None:
        self.inputs, shape = inputs, _shape(input_shape)
        self.network = model if isinstance(model, Network) else None
        if isinstance(model, Network):
            self.name = "the network" if model.source is None else model.source.file
            if model.inputs != inputs:
                raise ModelError(f"{self.name} has {model.inputs} inputs, the samples have {inputs} coordinates")
        elif callable(model):
            known = getattr(model, "__name__", type(model).__name__)
            self.name = "the function" if known == "<lambda>" else str(known)
            if shape is not None and int(np.prod(shape)) != inputs:
                raise ModelError(f"{self.name}: an input of shape {shape} does not hold the {inputs} coordinates of a sample")
        else:
            raise ModelError(f"cannot attack {type(model).__name__!r}; give a network, a torch module or a callable")
        ready = evaluation(model, inputs, shape=shape, device=device, name=self.name)
        self.rough, self.exact, self.outputs, self.device = ready.rough, ready.exact, ready.outputs, ready.device
        self.single = ready.single
        self.rounding, self.firm = (_SINGLE_ROUNDING, 1e-6) if ready.single else (_ROUNDING, 1e-12)
        self.digest = _digest(model, shape)

    def check_steady(self, point: Vector) -> None:
        """Refuse a model whose logits at a point (n,) depend on chance, or on the points that stand beside it in a batch.

        Dropout called as a function and batch statistics outlive the evaluation mode; such logits are no function of the input.

        Raises
        ------
        ModelError
            If two evaluations of the point differ by more than rounding.
        """
        if self.network is None:
            first, second = (self.judge(np.stack([point, point + shift]))[:1] for shift in (0.0, 1.0))
            if not self.agree(first, second).all():
                raise ModelError(f"{self.name}: its logits depend on chance or on the batch (dropout, batch statistics)")

    def agree(self, one: Matrix, other: Matrix) -> BoolArray:
        """Which rows of two arrays of logits (R, K) are equal but for rounding, shape (R,); NaN equals NaN."""
        scale = np.nan_to_num(np.abs(one), nan=0.0, posinf=0.0).max(axis=1, keepdims=True)
        close: BoolArray = np.isclose(one, other, rtol=self.rounding, atol=self.rounding * scale, equal_nan=True)
        return np.asarray(close.all(axis=1))

    def surely_errs(self, points: Matrix, labels: IntArray, outputs: Matrix) -> BoolArray:
        """Which points (B, n) with judged `outputs` (B, K) are errors whatever rounding did, (B,).

        Of a network this is proved, by interval arithmetic rounded outward; of other models the margin is at least `firm`,
        relative to the largest logit.
        """
        if self.network is None:
            return np.asarray(margins(outputs, labels) >= self.firm * np.abs(outputs).max(axis=1))
        return self._enclosed(points, labels)[0]

    def errs(self, points: Matrix, labels: IntArray, outputs: Matrix) -> BoolArray:
        """Which points (B, n) with judged `outputs` (B, K) are errors; of a network in exact arithmetic."""
        if self.network is None:
            return np.asarray(margins(outputs, labels) >= 0)
        errors, possible = self._enclosed(points, labels)
        for k in np.flatnonzero(possible & ~errors):
            errors[k] = exact_margin(exact_forward(self.network, points[k].tolist()), int(labels[k]))[0] >= 0
        return errors

    def _enclosed(self, points: Matrix, labels: IntArray) -> tuple[BoolArray, BoolArray]:
        """Which points are errors of the network for all values, and for some, that rigorous intervals leave to its logits."""
        assert self.network is not None
        bounds = interval_bounds(self.network, Regions(points, points))
        lower, upper = bounds.lower[self.network.output].copy(), bounds.upper[self.network.output].copy()
        everyone = np.arange(len(points))
        own = lower[everyone, labels], upper[everyone, labels]
        lower[everyone, labels] = upper[everyone, labels] = -np.inf
        return np.asarray(lower.max(axis=1) >= own[1]), np.asarray(upper.max(axis=1) >= own[0])

    def judge(self, points: Matrix) -> Matrix:
        """The float64 logits (R, K) by which points (R, n) are judged."""
        if self.network is not None:
            return self.network.compiled.forward(points)
        with torch.no_grad(), _without_tf32() if self.single else nullcontext():
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


def _shape(wanted: Sequence[int] | int | None) -> tuple[int, ...] | None:
    """The shape of one sample, if one is given."""
    if wanted is None:
        return None
    sizes = (wanted,) if isinstance(wanted, int | np.integer) else wanted
    try:
        whole = not isinstance(sizes, str | bytes) and all(isinstance(s, int | np.integer) and s >= 1 for s in sizes)
        shape = tuple(int(s) for s in sizes) if whole else ()
    except TypeError:
        shape = ()
    if not shape or isinstance(wanted, bool):
        raise InputError(f"input_shape is {wanted!r}; give the sizes of one sample, such as (3, 32, 32)")
    return shape


@contextmanager
def _without_tf32() -> Iterator[None]:
    """Products of float32 numbers as they are, also on a GPU."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def _digest(model: Model, shape: tuple[int, ...] | None) -> str:
    """A hash of what is computed, as far as weights and structure say it; what code does, its values say (`attack.recall`)."""
    state: list[Any]
    if isinstance(model, Network):
        names = {name: k for k, name in enumerate(model.order)}
        state = [[type(model.op(n)).__name__, [names[s] for s in model.sources(n)]] for n in model.order]
        arrays = [a for s in model.compiled.steps for a in _arrays(s)]
    elif isinstance(model, torch.nn.Module):
        state, tensors = [repr(model), shape], [t for t in model.state_dict().values() if isinstance(t, torch.Tensor)]
        arrays = [t.detach().cpu().to(torch.float64).numpy() for t in tensors]
    else:
        state, arrays = [type(model).__qualname__, shape], []
    total = hashlib.sha256(repr(state).encode())
    for array in arrays:
        total.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return total.hexdigest()


def _arrays(step: Any) -> list[np.ndarray[Any, Any]]:
    """The weights of a compiled step."""
    matrices = [f.matrix for f in getattr(step, "factors", ())]
    dense = [m if isinstance(m, np.ndarray) else np.vstack([m.tocoo().row, m.tocoo().col, m.tocoo().data]) for m in matrices]
    return [*dense, *([step.bias] if hasattr(step, "bias") else [])]
