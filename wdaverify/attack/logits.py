"""A model as two functions of flattened inputs: logits in float32 for the steps of attacks, and in float64 for verdicts.

Networks and modules are converted: a module is copied and its weights become float64 for the second function. A callable cannot
be converted. It is fed float64 if it answers in float64, and otherwise float32: the function that is attacked is then
``x -> f(x rounded to float32)``, which is what anyone computes who calls it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import chain, product
from typing import TYPE_CHECKING, TypeAlias

import torch

from wdaverify._errors import ModelError
from wdaverify.attack.device import device_of
from wdaverify.ir.network import Network
from wdaverify.ir.to_torch import to_torch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    Model: TypeAlias = Network | torch.nn.Module | Callable[[Tensor], Tensor]


class Logits:
    """Logits (R, K) of flattened inputs (R, n), with a count of the rows evaluated and of those differentiated.

    Parameters
    ----------
    function
        Inputs (R, *shape) to logits (R, K).
    shape
        Of one input; ``None`` for functions of flat inputs that leave them as they are.
    native
        The arithmetic that the function wants, if it is not that of the points.

    Attributes
    ----------
    forward, backward
        Rows since the start.
    """

    def __init__(
        self, function: Callable[[Tensor], Tensor], shape: Sequence[int] | None = None, native: torch.dtype | None = None
    ) -> None:
        self._function, self._shape, self._native = function, None if shape is None else tuple(shape), native
        self.forward = self.backward = 0

    def __call__(self, points: Tensor) -> Tensor:
        """The logits at the rows of `points`."""
        self.forward += len(points)
        self.backward += len(points) if points.requires_grad else 0
        inputs = points if self._native is None else points.to(self._native)
        # A clone: a module whose first operation is in place must not move the caller's points.
        outputs = self._function(inputs if self._shape is None else inputs.clone().reshape(-1, *self._shape))
        return outputs if self._native is None else outputs.to(points.dtype)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model ready to be evaluated.

    Attributes
    ----------
    rough, exact
        For points in float32 and in float64.
    outputs
        Number K of classes.
    device
        Where points must be.
    single
        Whether the model computes in float32, whatever the points are.
    """

    rough: Logits
    exact: Logits
    outputs: int
    device: torch.device
    single: bool


def evaluation(model: Model, inputs: int, *, shape: tuple[int, ...] | None, device: str, name: str) -> Evaluation:
    """Prepare a model for inputs of n coordinates; `name` is for messages.

    Raises
    ------
    ModelError
        If it cannot be copied or evaluated, does not give (R, K) logits with K >= 2 and a gradient, or as a module does not
        compute in float64 when its weights are.
    """
    if not isinstance(model, Network | torch.nn.Module):
        return _of_callable(model, inputs, shape=(inputs,) if shape is None else shape, device=device, name=name)
    place = device_of(device)
    # Networks leave their inputs as they are.
    own_shape = None if isinstance(model, Network) else (inputs,) if shape is None else shape
    functions = {t: Logits(_prepared(model, place, t, name), own_shape) for t in (torch.float32, torch.float64)}
    for dtype, logits in functions.items():
        outputs = _trial(logits, inputs, place, dtype, name)
        if outputs.dtype != dtype:
            raise ModelError(f"{name}: computes in {outputs.dtype} when its weights are {dtype}; verdicts need float64")
    return Evaluation(functions[torch.float32], functions[torch.float64], outputs.shape[1], place, single=False)


def _of_callable(
    function: Callable[[Tensor], Tensor], inputs: int, *, shape: tuple[int, ...], device: str, name: str
) -> Evaluation:
    """A callable in the first arithmetic and on the first device in which it answers: a GPU before the CPU, float64 first."""
    places = list(dict.fromkeys([device_of(device), *([device_of("cpu")] if device == "auto" else [])]))
    refusals = []
    for place, native in product(places, (torch.float64, torch.float32)):
        try:
            outputs = _trial(Logits(function, shape), inputs, place, native, name)
        except ModelError as error:
            refusals.append(error)
            continue
        if outputs.dtype in (native, torch.float64):
            both = Logits(function, shape, native), Logits(function, shape, native)
            return Evaluation(*both, outputs.shape[1], place, single=outputs.dtype == torch.float32)
        refusals.append(ModelError(f"{name}: computes in {outputs.dtype} when fed {native}; give one that computes in float32"))
    raise refusals[-1]


def _prepared(model: Network | torch.nn.Module, device: torch.device, dtype: torch.dtype, name: str) -> torch.nn.Module:
    """A copy in evaluation mode, on the device, in that arithmetic, that asks for no gradients of its own."""
    if isinstance(model, Network):
        return to_torch(model, device=device, dtype=dtype)
    if any(torch.nn.parameter.is_lazy(t) for t in chain(model.parameters(), model.buffers())):
        raise ModelError(f"{name}: has lazy layers without weights; call it once on a sample before it is attacked")
    try:
        with torch.no_grad():
            prepared = copy.deepcopy(model).to(device=device, dtype=dtype).eval()
            for weight in prepared.parameters():  # one by one: a scripted module has no `requires_grad_`
                weight.requires_grad_(False)
    except Exception as error:
        refusal = f"{name}: cannot be copied in {dtype} ({_reason(error)}); give it as a function: lambda x: model(x)"
        raise ModelError(refusal) from error
    return prepared


def _trial(logits: Logits, inputs: int, device: torch.device, dtype: torch.dtype, name: str) -> Tensor:
    """The logits of two points, or the error that says why there are none."""
    try:
        outputs = logits(torch.zeros((2, inputs), device=device, dtype=dtype, requires_grad=True))
    except Exception as error:  # the code of others may raise anything
        raise ModelError(f"{name}: cannot be evaluated in {dtype} ({_reason(error)}); check input_shape") from error
    if not isinstance(outputs, torch.Tensor) or outputs.ndim != 2 or len(outputs) != 2:
        raise ModelError(f"{name}: gives no logits of shape (batch, classes)")
    if outputs.shape[1] < 2:
        raise ModelError(f"{name}: has {outputs.shape[1]} output; an attack needs at least two classes")
    if not outputs.requires_grad:
        raise ModelError(f"{name}: its logits have no gradient in the input; attacks need one")
    return outputs


def _reason(error: Exception) -> str:
    """The kind of an error and the first line of what it says."""
    said = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {said}"[:200]
