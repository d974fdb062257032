"""Cells of planar networks in rational arithmetic: convex polygons with rational vertices, cut by rational lines.

No tolerance, no solver, and no code of the package but the graph of the network and the exact weights of its ops.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.ir.ops import Affine, Input, Relu

if TYPE_CHECKING:
    from wdaverify.domain import Box
    from wdaverify.ir.network import Network

Point = tuple[Fraction, Fraction]
Form = tuple[Fraction, Fraction, Fraction]
"""``a x + b y + c``."""


@dataclass(frozen=True)
class PlanarCell:
    """A polygon with its pattern and the gradients of the logits."""

    phases: tuple[bool, ...]
    corners: tuple[Point, ...]
    gradients: tuple[tuple[Fraction, Fraction], ...]


def planar_cells(network: Network, box: Box) -> list[PlanarCell]:
    """All cells with an interior; a neuron that is 0 on a whole cell counts as active."""
    low, high = ([Fraction(float(v)) for v in end] for end in (box.lower, box.upper))
    square = ((low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1]))
    found: list[PlanarCell] = []
    _follow(network, 0, (), square, {}, found)
    return found


def _follow(network: Network, position: int, phases: tuple[bool, ...], polygon: tuple[Point, ...],
            forms: dict[str, list[Form]], found: list[PlanarCell]) -> None:  # fmt: skip
    if position == len(network.order):
        found.append(PlanarCell(phases, polygon, tuple((a, b) for a, b, _ in forms[network.output])))
        return
    name = network.order[position]
    op, sources = network.op(name), network.sources(name)
    if isinstance(op, Relu):
        for more, part in _cut(forms[sources[0]], polygon):
            passed = [form if on else (Fraction(0),) * 3 for form, on in zip(forms[sources[0]], more, strict=True)]
            _follow(network, position + 1, phases + more, part, {**forms, name: passed}, found)
        return
    if isinstance(op, Input):
        value: list[Form] = [(Fraction(1), Fraction(0), Fraction(0)), (Fraction(0), Fraction(1), Fraction(0))]
    else:
        assert isinstance(op, Affine)
        value = _image(op, [forms[s] for s in sources])
    _follow(network, position + 1, phases, polygon, {**forms, name: value}, found)


def _image(op: Affine, sources: list[list[Form]]) -> list[Form]:
    scale = op.rational.denominator
    rows = [[Fraction(0), Fraction(0), Fraction(int(b), scale)] for b in op.rational.bias]
    for matrix, data, forms in zip(op.matrices, op.rational.data, sources, strict=True):
        for i, row in enumerate(rows):
            for e in range(matrix.indptr[i], matrix.indptr[i + 1]):
                for j, part in enumerate(forms[matrix.indices[e]]):
                    row[j] += Fraction(int(data[e]), scale) * part
    return [(a, b, c) for a, b, c in rows]


def _cut(forms: list[Form], polygon: tuple[Point, ...]) -> list[tuple[tuple[bool, ...], tuple[Point, ...]]]:
    """The parts of a polygon by the signs of several forms."""
    parts = [((), polygon)]
    for a, b, c in forms:
        parts = [
            ((*phases, on), side) for phases, part in parts for on, side in _sides(part, [a * x + b * y + c for x, y in part])
        ]
    return parts


def _sides(polygon: tuple[Point, ...], values: list[Fraction]) -> list[tuple[bool, tuple[Point, ...]]]:
    """The parts with an interior where the values, of an affine function at the corners, are >= 0 and <= 0."""
    if not any(values):
        return [(True, polygon)]
    return [
        (on, _half(polygon, [v if on else -v for v in values]))
        for on in (True, False)
        if any((v > 0) if on else (v < 0) for v in values)
    ]


def _half(polygon: tuple[Point, ...], values: list[Fraction]) -> tuple[Point, ...]:
    corners: list[Point] = []
    for k, (point, value) in enumerate(zip(polygon, values, strict=True)):
        before, last = polygon[k - 1], values[k - 1]
        if value * last < 0:
            share = last / (last - value)
            corners.append((before[0] + share * (point[0] - before[0]), before[1] + share * (point[1] - before[1])))
        if value >= 0:
            corners.append(point)
    return tuple(corners)


def area(corners: tuple[Point, ...]) -> Fraction:
    """The area of a polygon."""
    pairs = zip(corners, (*corners[1:], corners[0]), strict=True)
    return abs(sum((x * w - y * z for (x, y), (z, w) in pairs), Fraction(0))) / 2
