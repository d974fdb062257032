"""What all lowerings share: the view of an ONNX node, symbolic tensors, limits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from wdaverify._errors import ModelError, UnsupportedOpError
from wdaverify.ir import expression as ex
from wdaverify.ir.values import Values, to_fractions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from wdaverify._types import IntArray
    from wdaverify.ir.builder import GraphBuilder
    from wdaverify.ir.expression import Expression

FLOAT_TYPES = frozenset({1, 10, 11, 16})
"""ONNX codes of float32, float16, float64, bfloat16: the types that are read as real numbers."""

MAX_ELEMENTS = 2**26
"""Largest tensor that is ever built; a malformed shape must not take the machine's memory."""

MAX_INPUTS = 2**21
"""Most inputs of a network, 14 times those of ImageNet's: every step keeps some hundred bytes for each."""

MAX_NONZEROS = 2**25
"""Largest number of coefficients of one affine map; each takes some hundred bytes while the map is built."""


@dataclass(frozen=True, slots=True)
class OnnxNode:
    """One node of an ONNX graph, attributes decoded to Python values and arrays."""

    op: str
    name: str
    opset: int
    attributes: Mapping[str, Any]
    outputs: tuple[str, ...]

    def __str__(self) -> str:
        return f"node '{self.name}' ({self.op})"

    def error(self, message: str) -> ModelError:
        """An error that names this node."""
        return ModelError(f"{self}: {message}")

    def unsupported(self, message: str) -> UnsupportedOpError:
        """A refusal that names this node."""
        return UnsupportedOpError(f"{self}: {message}")

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, or `default`."""
        return self.attributes.get(name, default)

    def axis(self, default: int, rank: int, *, last: int | None = None) -> int:
        """Attribute ``axis``, counted from the front."""
        return self.normalized(int(self.attribute("axis", default)), rank, last=last)

    def normalized(self, axis: int, rank: int, *, last: int | None = None) -> int:
        """An axis of a tensor of the given rank, counted from the front."""
        high = rank - 1 if last is None else last
        result = axis + rank if axis < 0 else axis
        if not 0 <= result <= high:
            raise self.error(f"axis {axis} does not exist in a tensor of rank {rank}")
        return result

    def check_size(self, shape: Sequence[int]) -> None:
        """Refuse shapes that are negative or too large to build."""
        if any(d < 0 for d in shape):
            raise self.error(f"negative dimension in shape {tuple(shape)}")
        if math.prod(shape) > MAX_ELEMENTS:
            raise self.error(f"a tensor of shape {tuple(shape)} exceeds the size limit of {MAX_ELEMENTS} elements")

    def check_nonzeros(self, count: int) -> None:
        """Refuse affine maps that are too large to build."""
        if count > MAX_NONZEROS:
            raise self.error(f"the affine map has {count} coefficients, above the size limit of {MAX_NONZEROS}")


@dataclass(frozen=True, eq=False, slots=True)
class Tensor:
    """A real tensor: its shape and one affine form per element, in C order."""

    shape: tuple[int, ...]
    forms: Expression

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def is_constant(self) -> bool:
        """Whether no element depends on the input."""
        return self.forms.is_constant

    @property
    def positions(self) -> IntArray:
        """The number of each element, in the tensor's shape: what rearrangements act on."""
        return np.arange(self.size, dtype=np.int64).reshape(self.shape)

    def constant_values(self) -> Values:
        """The values of a constant tensor, in the tensor's shape."""
        return self.forms.bias.reshape(self.shape)

    def fractions(self) -> list[Fraction]:
        """The values of a constant tensor as a flat list of fractions."""
        return list(to_fractions(self.forms.bias))

    def rearranged(self, positions: IntArray, fill: Fraction = Fraction(0)) -> Tensor:  # frozen
        """The tensor whose elements are this one's at `positions`; -1 stands for the constant `fill`."""
        index = positions.ravel()
        if len(index) == self.size and np.array_equal(index, np.arange(self.size)):
            return Tensor(positions.shape, self.forms)
        return Tensor(positions.shape, ex.take(self.forms, index, fill))


Value: TypeAlias = "Tensor | NDArray[Any]"
"""A real tensor, or a constant array of integers, booleans or strings."""

Inputs: TypeAlias = "Sequence[Value | None]"

if TYPE_CHECKING:
    Lowering: TypeAlias = Callable[[GraphBuilder, OnnxNode, Inputs], Sequence[Value]]


def tensor_of(node: OnnxNode, inputs: Inputs, k: int) -> Tensor:
    """Input `k` as a real tensor."""
    value = inputs[k] if k < len(inputs) else None
    if value is None:
        raise node.error(f"input {k} is missing")
    if not isinstance(value, Tensor):
        raise node.error(f"input {k} holds {value.dtype}, not floating-point numbers")
    return value


def optional_tensor(node: OnnxNode, inputs: Inputs, k: int) -> Tensor | None:
    """Input `k` as a real tensor, or None where it is left out."""
    return None if k >= len(inputs) or inputs[k] is None else tensor_of(node, inputs, k)


def constant_of(node: OnnxNode, inputs: Inputs, k: int) -> Tensor:
    """Input `k` as a constant real tensor."""
    value = tensor_of(node, inputs, k)
    if not value.is_constant:
        raise node.unsupported(f"input {k} depends on the network's input; only constants are piecewise linear here")
    return value


def integers(node: OnnxNode, inputs: Inputs, k: int) -> list[int] | None:
    """Input `k` as a flat list of constant integers, or None where it is left out."""
    value = inputs[k] if k < len(inputs) else None
    if value is None:
        return None
    if isinstance(value, Tensor) or value.dtype.kind not in "iu":
        raise node.unsupported(f"input {k} is not a constant array of integers")
    return [int(v) for v in value.ravel()]


def attribute_or_input(node: OnnxNode, inputs: Inputs, name: str, k: int) -> list[int] | None:
    """Integers that older opsets give as an attribute and newer ones as input `k`."""
    found = integers(node, inputs, k)
    if found is None and name in node.attributes:
        found = [int(v) for v in node.attributes[name]]
    return found


def broadcast(node: OnnxNode, tensors: Sequence[Tensor]) -> list[Tensor]:
    """Repeat elements so that all tensors have one shape (NumPy's rules)."""
    try:
        shape = np.broadcast_shapes(*(t.shape for t in tensors))
    except ValueError:
        raise node.error(f"mismatched shapes {', '.join(str(t.shape) for t in tensors)}") from None
    node.check_size(shape)
    return [t.rearranged(np.broadcast_to(t.positions, shape)) for t in tensors]
