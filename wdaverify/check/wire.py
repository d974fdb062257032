"""The protobuf wire format, strictly: what two readers could take for different messages is refused.

A message is a sequence of fields, each a key ``(number << 3) | wire type`` and a value: varint (0), 8 bytes (1),
length-prefixed bytes (2) or 4 bytes (5). Readers of protobuf skip fields of unknown number or unexpected wire type, let the
last one of a repeated single number count, and merge repeated single messages. Whoever writes models does none of this, so
all of it is refused: a message is then what every reader says it is.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any

from .num import Unreadable

Layout = Mapping[int, str]
"""The fields of a message by number: one integer ``i``, piece of bytes ``b`` or float ``f``; any number of them ``I``, ``B``,
``F``, of doubles ``D``. Lists of numbers may be packed."""

_WIRES = {"i": (0,), "b": (2,), "f": (5,), "I": (0, 2), "B": (2,), "F": (2, 5), "D": (1, 2)}


def fields(data: memoryview, layout: Layout, what: str) -> Iterator[tuple[int, Any]]:
    """The fields of a message: number, and an integer or the bytes."""
    seen: set[int] = set()
    for number, wire, value in _raw(data):
        code = layout.get(number)
        if code is None:
            raise Unreadable(f"{what} has a field of number {number}, which is not supported")
        if wire not in _WIRES[code]:
            raise Unreadable(f"not a valid ONNX file: field {number} of {what} has wire type {wire}")
        if code.islower():
            if number in seen:
                raise Unreadable(f"field {number} of {what} is there twice: which one counts is not defined")
            seen.add(number)
        yield number, value


def _raw(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    """Number, wire type and value of each field."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if not 0 < number < 1 << 29:
            raise Unreadable(f"not a valid ONNX file: a field of number {number}")
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
            if value >> 64:
                break
            return value, at + k + 1
    raise Unreadable("not a valid ONNX file: a number has more than 64 bits")


def signed(value: int) -> int:
    """A varint as an integer with sign."""
    return value - (1 << 64) if value >> 63 else value


def text(value: memoryview) -> str:
    """A piece of bytes as text."""
    try:
        return bytes(value).decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("not a valid ONNX file: a name is no UTF-8 text") from None


def integers(value: Any) -> list[int]:
    """Integers with sign, packed or one alone."""
    if isinstance(value, int):
        return [signed(value)]
    result, at = [], 0
    while at < len(value):
        item, at = _varint(value, at)
        result.append(signed(item))
    return result


def floats(value: memoryview, form: str) -> list[float]:
    """Floats (form ``f``) or doubles (``d``), packed or one alone."""
    size = struct.calcsize(form)
    if len(value) % size:
        raise Unreadable("not a valid ONNX file: a list of floats is cut")
    return list(struct.unpack(f"<{len(value) // size}{form}", value))
