"""ONNX files read directly from their bytes: graph, nodes, attributes, tensors as exact rationals.

The field numbers are those of ``onnx.proto`` (ONNX specification); `wire` reads the messages. Nothing else of the format is
needed: fields that say more than is read here (external data, segments, functions, subgraphs) are refused.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .num import Limits, Unreadable, shown
from .wire import fields, floats, integers, signed, text

FLOAT, INT32, INT64, BOOL, FLOAT16, DOUBLE = 1, 6, 7, 9, 10, 11
FLOATS = (FLOAT, FLOAT16, DOUBLE)
RANGES = {INT32: (-(1 << 31), (1 << 31) - 1), INT64: (-(1 << 63), (1 << 63) - 1), BOOL: (0, 1)}
"""The least and the largest number of each other element type."""

_FORMATS = {FLOAT: "f", INT32: "i", INT64: "q", BOOL: "B", FLOAT16: "e", DOUBLE: "d"}

# Names of producers, texts and properties of metadata are read by nobody.
_MODEL = {1: "i", 2: "b", 3: "b", 4: "b", 5: "i", 6: "b", 7: "b", 8: "B", 14: "B", 25: "B"}
_OPSET = {1: "b", 2: "i"}
_GRAPH = {1: "B", 2: "b", 5: "B", 10: "b", 11: "B", 12: "B", 13: "B", 14: "B", 15: "B", 16: "B"}
_NODE = {1: "B", 2: "B", 3: "b", 4: "b", 5: "B", 6: "b", 7: "b", 9: "B"}
_ATTRIBUTE = {1: "b", 2: "f", 3: "i", 4: "b", 5: "b", 7: "F", 8: "I", 13: "b", 20: "i"}
_VALUE = {1: "b", 2: "b", 3: "b", 4: "B"}
_TYPE = {1: "b", 6: "b"}
_TENSOR_TYPE = {1: "i", 2: "b"}
_SHAPE = {1: "B"}
_DIMENSION = {1: "i", 2: "b", 3: "b"}
_TENSOR = {1: "I", 2: "i", 4: "F", 5: "I", 7: "I", 8: "b", 9: "b", 10: "D", 12: "b", 13: "B", 14: "i", 16: "B"}


@dataclass
class Stored:
    """A tensor of the file: element type, shape and exact values in C order."""

    kind: int
    shape: tuple[int, ...]
    values: list[Fraction]
    name: str = ""


@dataclass
class Node:
    """A node of the graph."""

    op: str = ""
    name: str = ""
    domain: str = ""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"node {shown(self.name or (self.outputs or [''])[0])} ({shown(self.op)[1:-1]})"


@dataclass
class Graph:
    """What the judge needs of a model; input and output are (name, element type, dimensions or None)."""

    opset: int = 0
    nodes: list[Node] = field(default_factory=list)
    stored: dict[str, Stored] = field(default_factory=dict)
    inputs: list[tuple[str, int, list[int | None] | None]] = field(default_factory=list)
    outputs: list[tuple[str, int, list[int | None] | None]] = field(default_factory=list)


def read_model(content: bytes) -> Graph:
    """The graph of a model's bytes."""
    graph, body, opsets = Graph(), None, {}
    for number, value in fields(memoryview(content), _MODEL, "the model"):
        if number == 7:
            body = value
        elif number == 8:
            pair = dict(fields(value, _OPSET, "an operator set"))
            domain = text(pair[1]) if 1 in pair else ""
            domain = "" if domain == "ai.onnx" else domain
            if domain in opsets:
                raise Unreadable("a set of operators is imported twice")
            opsets[domain] = pair.get(2, 0)
        elif number == 25:
            raise Unreadable("local functions are not supported")
    if body is None or "" not in opsets:
        raise Unreadable("not a valid ONNX file: no graph, or no version of the standard operators")
    graph.opset = opsets[""]
    for number, value in fields(body, _GRAPH, "the graph"):
        if number == 1:
            graph.nodes.append(_node(value))
        elif number == 5:
            tensor = _tensor(value)
            if tensor.name in graph.stored:
                raise Unreadable(f"tensor {shown(tensor.name)} is stored twice")
            graph.stored[tensor.name] = tensor
        elif number in (11, 12):
            (graph.inputs if number == 11 else graph.outputs).append(_value_info(value))
        elif number == 15:
            raise Unreadable("sparse initializers are not supported")
    return graph


def _node(data: memoryview) -> Node:
    node = Node()
    for number, value in fields(data, _NODE, "a node"):
        if number == 1:
            node.inputs.append(text(value))
        elif number == 2:
            node.outputs.append(text(value))
        elif number == 3:
            node.name = text(value)
        elif number == 4:
            node.op = text(value)
        elif number == 5:
            name, content = _attribute(value)
            if name in node.attributes:
                raise Unreadable(f"{node}: attribute {shown(name)} is there twice")
            node.attributes[name] = content
        elif number == 7:
            node.domain = text(value)
    return node


def _attribute(data: memoryview) -> tuple[str, Any]:
    """Name and value: by the declared type a float, integer, text, tensor, or list of these."""
    name, kind = "", 0
    values: dict[int, Any] = {1: 0.0, 2: 0, 3: "", 6: [], 7: []}
    for number, value in fields(data, _ATTRIBUTE, "an attribute"):
        if number == 1:
            name = text(value)
        elif number == 20:
            kind = value
        elif number == 2:
            values[1] = floats(value, "f")[0]
        elif number == 3:
            values[2] = signed(value)
        elif number == 4:
            values[3] = text(value)
        elif number == 5:
            values[4] = _tensor(value)
        elif number == 7:
            values[6] += floats(value, "f")
        elif number == 8:
            values[7] += integers(value)
    if kind not in values:
        raise Unreadable(f"attribute {shown(name)} has the type {kind}, which is not supported")
    return name, values[kind]


def _value_info(data: memoryview) -> tuple[str, int, list[int | None] | None]:
    name, kind, dims = "", 0, None
    for number, value in fields(data, _VALUE, "an input or output"):
        if number == 1:
            name = text(value)
        elif number == 2:
            form = dict(fields(value, _TYPE, "the type of an input or output"))
            for n, item in fields(form.get(1, memoryview(b"")), _TENSOR_TYPE, "the type of a tensor"):
                if n == 1:
                    kind = item
                else:
                    dims = [_dimension(d) for _, d in fields(item, _SHAPE, "a shape")]
    return name, kind, dims


def _dimension(data: memoryview) -> int | None:
    found = dict(fields(data, _DIMENSION, "a dimension"))
    if 1 in found and 2 in found:
        raise Unreadable("a dimension is both a number and a symbol")
    return signed(found[1]) if 1 in found else None


def _tensor(data: memoryview) -> Stored:
    """A TensorProto: raw little-endian bytes, or one of the typed lists."""
    shape: list[int] = []
    kind, name, raw = 0, "", None
    lists: dict[int, list[float]] = {4: [], 5: [], 7: [], 10: []}  # by field: floats, int32, int64, doubles
    for number, value in fields(data, _TENSOR, "a tensor"):
        if number == 1:
            shape += integers(value)
        elif number == 2:
            kind = value
        elif number in (4, 10):
            lists[number] += floats(value, "f" if number == 4 else "d")
        elif number in (5, 7):
            lists[number] += integers(value)
        elif number == 8:
            name = text(value)
        elif number == 9:
            raw = value
        elif number == 13 or (number == 14 and value):
            raise Unreadable(f"tensor {shown(name)}: external data is not read")
    what = f"tensor {shown(name)}"
    form = _FORMATS.get(kind)
    if form is None:
        raise Unreadable(f"{what} has the element type {kind}, which is not supported")
    count = size_of(shape, what, Limits.terms)
    typed = lists.pop({FLOAT: 4, DOUBLE: 10, INT64: 7}.get(kind, 5))
    if any(lists.values()) or (raw is not None and typed):
        raise Unreadable(f"{what} has values of two kinds")
    if raw is not None:
        if len(raw) != count * struct.calcsize(f"<{form}"):
            raise Unreadable(f"{what} has {len(raw)} bytes for the shape {shape}")
        typed = list(struct.unpack(f"<{count}{form}", raw))
    elif kind == FLOAT16:  # the bit patterns, as integers
        if any(not 0 <= v < 1 << 16 for v in typed):
            raise Unreadable(f"{what} has a number that is no float16")
        typed = [struct.unpack("<e", struct.pack("<H", v))[0] for v in typed]
    if len(typed) != count:
        raise Unreadable(f"{what} has {len(typed)} values for the shape {shape}")
    return Stored(kind, tuple(shape), _exact(typed, kind, what), name)


def _exact(typed: list[float], kind: int, what: str) -> list[Fraction]:
    """The values as fractions, all of which must exist in their type."""
    if kind in RANGES and typed and not (RANGES[kind][0] <= min(typed) and max(typed) <= RANGES[kind][1]):
        raise Unreadable(f"{what} has a number beyond its element type {kind}")
    if all(map(math.isfinite, typed)):
        return list(map(Fraction, typed))
    if not (len(typed) == 1 and math.isinf(typed[0])):
        raise Unreadable(f"{what} holds a number that is not finite")
    # An infinite scalar stays a float: only the limits of Clip may be one, everything else refuses it.
    infinite: list[Any] = [*typed]
    return infinite


def size_of(shape: list[int] | tuple[int, ...], what: str, limit: int | None = None) -> int:
    """Number of elements of a shape, within the limit."""
    count = 1
    for d in shape:
        count *= d
    if min(shape, default=1) < 0 or count > (limit or Limits.elements):
        raise Unreadable(f"limit: {what} has the shape {list(shape)[:8]}")
    return count
