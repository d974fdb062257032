"""What the lowering of an ONNX graph to a program shares: tensors, nodes with their inputs, broadcasting.

An operator is one function and one line of the table of its file: `lower_linear`, `lower_piecewise`, `lower_windows`, and
`lower_shapes` for those that only rearrange. Whatever is in no table is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import product
from operator import mul
from typing import Any

from .num import Unreadable, shown
from .onnxwire import FLOAT, FLOATS, Graph, Node, size_of
from .program import Element, Form, Program

ONE = Fraction(1)


@dataclass
class Tensor:
    """Elements in C order."""

    kind: int
    shape: tuple[int, ...]
    elements: list[Element]

    def constants(self, what: str) -> list[Fraction]:
        """The elements, all of which must be constants."""
        values = [e for e in self.elements if isinstance(e, Fraction)]
        if len(values) < len(self.elements):
            raise Unreadable(f"{what} must be constant")
        return values


@dataclass
class Call:
    """A node with its inputs, and the program that it adds to."""

    program: Program
    node: Node
    inputs: list[Tensor | None]
    opset: int
    used: set[str] = field(default_factory=set)

    def attribute(self, name: str, default: Any) -> Any:
        """An attribute; every attribute of a node must have been asked for, or it is refused."""
        self.used.add(name)
        value = self.node.attributes.get(name)
        if value is not None and default is not None and type(value) is not type(default):
            raise self.error(f"attribute {name} has the wrong type")
        if default == [] and isinstance(value, list) and float in set(map(type, value)):
            raise self.error(f"attribute {name} must be integers")
        return default if value is None else value

    def flag(self, name: str, default: int = 0) -> int:
        """An attribute that is 0 or 1; what another number means is decided by runtimes."""
        value: int = self.attribute(name, default)
        if value not in (0, 1):
            raise self.error(f"attribute {name} is neither 0 nor 1")
        return value

    def error(self, text: str) -> Unreadable:
        """An error that names the node."""
        return Unreadable(f"{self.node}: {text}")

    def tensor(self, k: int) -> Tensor:
        """The k-th input."""
        found = self.optional(k)
        if found is None:
            raise self.error(f"input {k} is missing")
        return found

    def optional(self, k: int) -> Tensor | None:
        """The k-th input, if it is there."""
        return self.inputs[k] if k < len(self.inputs) else None

    def integers(self, name: str, k: int) -> list[int] | None:
        """A list of integers: the attribute in old opsets, a constant input in new ones."""
        listed = self.attribute(name, [])
        given = self.optional(k)
        if given is None:
            return listed if name in self.node.attributes else None
        values = given.constants(f"{self.node}: {name}")
        if given.kind in FLOATS or any(v.denominator > 1 for v in values) or len(given.shape) > 1:
            raise self.error(f"{name} must be a list of integers")
        return [int(v) for v in values]

    def axis(self, a: int, rank: int) -> int:
        """An axis from 0."""
        if not -rank <= a < rank:
            raise self.error(f"axis {a} of a tensor of rank {rank}")
        return a % rank

    def affine(self, shape: tuple[int, ...], forms: Sequence[Form]) -> Tensor:
        """An A stage as a tensor."""
        return Tensor(FLOAT, shape, self.program.affine(forms))

    def exact(self, value: float) -> Fraction:
        """A float attribute."""
        if not math.isfinite(value):
            raise self.error("an attribute is not finite")
        return Fraction(value)


def places(shape: Sequence[int], strides: Sequence[int], start: int = 0) -> list[int]:
    """Flat positions ``start + index . strides`` of all indices in C order."""
    return [start + sum(map(mul, index, strides)) for index in product(*map(range, shape))]


def strides_of(shape: Sequence[int]) -> list[int]:
    """The strides of an array in C order."""
    return [math.prod(shape[k + 1 :]) for k in range(len(shape))]


def broadcast(call: Call, tensors: Sequence[Tensor]) -> tuple[tuple[int, ...], list[list[Element]]]:
    """Shape and elements after broadcasting."""
    rank = max(len(t.shape) for t in tensors)
    shapes = [(1,) * (rank - len(t.shape)) + t.shape for t in tensors]
    shape = tuple(max(d) if min(d) > 0 else 0 for d in zip(*shapes, strict=True))
    if any(d not in (1, s) for each in shapes for d, s in zip(each, shape, strict=True)):
        raise call.error(f"mismatched shapes {[t.shape for t in tensors]}")
    size_of(shape, str(call.node))
    result = []
    for t, own in zip(tensors, shapes, strict=True):
        steps = [0 if d == 1 else s for d, s in zip(own, strides_of(own), strict=True)]
        result.append(t.elements if own == shape else [t.elements[k] for k in places(shape, steps)])
    return shape, result


def wanted(graph: Graph) -> list[Node]:
    """The nodes that the output depends on, in file order; each output has one producer."""
    producers: dict[str, Node] = {}
    given = {*graph.stored, *(name for name, _, _ in graph.inputs)}
    for node in graph.nodes:
        for out in node.outputs:
            if out and (out in producers or out in given):
                raise Unreadable(f"{shown(out)} is produced twice")
            producers[out] = node
    seen: set[str] = set()
    stack = [graph.outputs[0][0]]
    while stack:
        name = stack.pop()
        if name not in seen and name in producers:
            stack += producers[name].inputs
        seen.add(name)
    return [node for node in graph.nodes if any(out and out in seen for out in node.outputs)]
