"""ONNX files read directly from the protobuf wire format: graph, nodes, attributes, tensors as exact rationals.

A message is a sequence of fields, each a key ``(number << 3) | wire type`` and a value: varint (0), 8 bytes (1),
length-prefixed bytes (2) or 4 bytes (5). The field numbers are those of ``onnx.proto`` (ONNX specification). Nothing
else of the format is needed, external data is refused, and a message that is cut or nested wrongly is an error.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .num import Limits, Unreadable, shown

FLOAT, INT32, INT64, BOOL, FLOAT16, DOUBLE = 1, 6, 7, 9, 10, 11
FLOATS = (FLOAT, FLOAT16, DOUBLE)
_FORMATS = {FLOAT: "f", INT32: "i", INT64: "q", BOOL: "?", FLOAT16: "e", DOUBLE: "d"}


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


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """The fields of a message: (number, wire type, value)."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == 2:
            size, at = _varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise Unreadable(f"not a valid ONNX file: wire type {wire}")
        if at + size > len(data):
            raise Unreadable("not a valid ONNX file: truncated")
        yield number, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for k in range(10):
        if at + k >= len(data):
            raise Unreadable("not a valid ONNX file: truncated")
        byte = data[at + k]
        value |= (byte & 127) << (7 * k)
        if byte < 128:
            return value & ((1 << 64) - 1), at + k + 1
    raise Unreadable("not a valid ONNX file: a number has more than ten bytes")


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _bytes(value: Any) -> memoryview:
    if not isinstance(value, memoryview):
        raise Unreadable("not a valid ONNX file: a number stands where a message is expected")
    return value


def _text(value: Any) -> str:
    try:
        return bytes(_bytes(value)).decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not a valid ONNX file: a name is no UTF-8 text") from None


def _integers(wire: int, value: Any) -> list[int]:
    """A repeated integer field, packed or not."""
    if wire == 0:
        return [_signed(value)]
    result, at = [], 0
    while at < len(_bytes(value)):
        item, at = _varint(value, at)
        result.append(_signed(item))
    return result


def _floats(value: Any, form: str) -> list[float]:
    data = _bytes(value)
    size = struct.calcsize(form)
    if len(data) % size:
        raise Unreadable("not a valid ONNX file: a list of floats is cut")
    return list(struct.unpack(f"<{len(data) // size}{form}", data))


def read_model(content: bytes) -> Graph:
    """The graph of a model's bytes."""
    graph, body, opsets = Graph(), None, {}
    for number, _, value in _fields(memoryview(content)):
        if number == 7:
            if body is not None:
                raise Unreadable("not a valid ONNX file: two graphs")
            body = _bytes(value)
        elif number == 8:
            pair = {n: v for n, _, v in _fields(_bytes(value))}
            opsets[_text(pair[1]) if 1 in pair else ""] = pair.get(2, 0)
        elif number == 25:
            raise Unreadable("local functions are not supported")
    opset = opsets.get("", opsets.get("ai.onnx"))
    if body is None or not isinstance(opset, int):
        raise Unreadable("not a valid ONNX file: no graph, or no version of the standard operators")
    graph.opset = opset
    for number, _, value in _fields(body):
        if number == 1:
            graph.nodes.append(_node(_bytes(value)))
        elif number == 5:
            tensor = _tensor(_bytes(value))
            if tensor.name in graph.stored:
                raise Unreadable(f"tensor {shown(tensor.name)} is stored twice")
            graph.stored[tensor.name] = tensor
        elif number in (11, 12):
            (graph.inputs if number == 11 else graph.outputs).append(_value_info(_bytes(value)))
        elif number == 15:
            raise Unreadable("sparse initializers are not supported")
    return graph


def _node(data: memoryview) -> Node:
    node = Node()
    for number, _, value in _fields(data):
        if number == 1:
            node.inputs.append(_text(value))
        elif number == 2:
            node.outputs.append(_text(value))
        elif number == 3:
            node.name = _text(value)
        elif number == 4:
            node.op = _text(value)
        elif number == 5:
            name, content = _attribute(_bytes(value))
            if name in node.attributes:
                raise Unreadable(f"{node}: attribute {shown(name)} is there twice")
            node.attributes[name] = content
        elif number == 7:
            node.domain = _text(value)
    return node


def _attribute(data: memoryview) -> tuple[str, Any]:
    """Name and value: by the declared type a float, integer, text, tensor, or list of these."""
    name, kind = "", 0
    single: dict[int, Any] = {2: 0.0, 3: 0, 4: ""}
    floats: list[float] = []
    integers: list[int] = []
    for number, wire, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 20:
            kind = value
        elif number == 2:
            single[2] = _floats(value, "f")[0]
        elif number == 3:
            single[3] = _signed(value)
        elif number == 4:
            single[4] = _text(value)
        elif number == 5 and 5 not in single:
            single[5] = _tensor(_bytes(value))
        elif number == 7:
            floats += _floats(value, "f")
        elif number == 8:
            integers += _integers(wire, value)
    values = {1: single[2], 2: single[3], 3: single[4], 4: single.get(5), 6: floats, 7: integers}
    if values.get(kind) is None:
        raise Unreadable(f"attribute {shown(name)} has the type {kind}, which is not supported")
    return name, values[kind]


def _value_info(data: memoryview) -> tuple[str, int, list[int | None] | None]:
    name, kind, dims = "", 0, None
    for number, _, value in _fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            for n, _, part in _fields(_bytes(value)):
                if n != 1:
                    continue
                for m, _, item in _fields(_bytes(part)):
                    if m == 1:
                        kind = item
                    elif m == 2:
                        dims = [_dimension(_bytes(d)) for k, _, d in _fields(_bytes(item)) if k == 1]
    return name, kind, dims


def _dimension(data: memoryview) -> int | None:
    for number, _, value in _fields(data):
        if number == 1:
            return _signed(value)
    return None


def _tensor(data: memoryview) -> Stored:
    """A TensorProto: raw little-endian bytes, or one of the typed lists."""
    shape: list[int] = []
    kind, name, raw = 0, "", None
    lists: dict[int, list[float]] = {4: [], 5: [], 7: [], 10: []}  # by field: floats, int32, int64, doubles
    for number, wire, value in _fields(data):
        if number == 1:
            shape += _integers(wire, value)
        elif number == 2:
            kind = value
        elif number in (4, 10):
            lists[number] += _floats(value, "f" if number == 4 else "d")
        elif number in (5, 7):
            lists[number] += _integers(wire, value)
        elif number == 8:
            name = _text(value)
        elif number == 9:
            raw = _bytes(value)
        elif number == 13 or (number == 14 and value == 1):
            raise Unreadable(f"tensor {shown(name)}: external data is not read")
    form = _FORMATS.get(kind)
    if form is None:
        raise Unreadable(f"tensor {shown(name)} has the element type {kind}, which is not supported")
    count = size_of(shape, f"tensor {shown(name)}", Limits.terms)
    typed = lists[{FLOAT: 4, DOUBLE: 10, INT64: 7}.get(kind, 5)]
    if raw is not None:
        if len(raw) != count * struct.calcsize(f"<{form}"):
            raise Unreadable(f"tensor {shown(name)} has {len(raw)} bytes for the shape {shape}")
        typed = list(struct.unpack(f"<{count}{form}", raw))
    elif kind == FLOAT16:  # the bit patterns, as integers
        typed = [struct.unpack("<e", struct.pack("<H", int(v) & 0xFFFF))[0] for v in typed]
    if len(typed) != count:
        raise Unreadable(f"tensor {shown(name)} has {len(typed)} values for the shape {shape}")
    if all(map(math.isfinite, typed)):
        return Stored(kind, tuple(shape), list(map(Fraction, typed)), name)
    if kind in FLOATS and not (count == 1 and math.isinf(typed[0])):
        raise Unreadable(f"tensor {shown(name)} holds a number that is not finite")
    # An infinite scalar stays a float: only the limits of Clip may be one, everything else refuses it.
    infinite: list[Any] = [Fraction(v) if math.isfinite(v) else v for v in typed]
    return Stored(kind, tuple(shape), infinite, name)


def size_of(shape: list[int] | tuple[int, ...], what: str, limit: int | None = None) -> int:
    """Number of elements of a shape, within the limit."""
    count = 1
    for d in shape:
        count *= d
    if min(shape, default=1) < 0 or count > (limit or Limits.elements):
        raise Unreadable(f"limit: {what} has the shape {list(shape)[:8]}")
    return count
