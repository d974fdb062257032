"""Exact cells of networks with one or two inputs on a convex polygon, in rational arithmetic.

A domain is a list of corners in cyclic order: a polygon, a segment (frozen coordinate, or one input) or a point. Nothing of the
package is used but the graph of the network and the rational weights of its ops.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.ops import Affine, Input, Relu

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from wdaverify.ir.network import Network

Point = tuple[Fraction, ...]
Form = tuple[Fraction, ...]
"""The coefficients of an affine function, the constant last."""


@dataclass(frozen=True)
class RiskCell:
    """A convex polygon on which the network is affine, with the logits there."""

    corners: tuple[Point, ...]
    logits: tuple[Form, ...]


def value(form: Form, point: Point) -> Fraction:
    return sum((a * x for a, x in zip(form, point, strict=False)), form[-1])


def box_corners(lower: Sequence[float], upper: Sequence[float]) -> tuple[Point, ...]:
    """The corners of an interval or a rectangle in cyclic order; equal ends freeze a coordinate."""
    low, high = [[Fraction(float(v)) for v in end] for end in (lower, upper)]
    if len(low) == 1:
        return without_repeats([(low[0],), (high[0],)])
    return without_repeats([(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])])


def without_repeats(corners: Sequence[Point]) -> tuple[Point, ...]:
    kept: list[Point] = []
    for corner in corners:
        if corner not in kept:
            kept.append(corner)
    return tuple(kept)


def clipped(polygon: Sequence[Point], form: Form) -> tuple[Point, ...]:
    """The part where the form is at least 0 (Sutherland and Hodgman 1974); perhaps empty, perhaps without interior."""
    part: list[Point] = []
    values = [value(form, corner) for corner in polygon]
    for k, (p, a) in enumerate(zip(polygon, values, strict=True)):
        q, b = polygon[(k + 1) % len(polygon)], values[(k + 1) % len(polygon)]
        if a >= 0:
            part.append(p)
        if a * b < 0:
            t = a / (a - b)
            part.append(tuple(u + t * (v - u) for u, v in zip(p, q, strict=True)))
    return without_repeats(part)


def halves(polygon: tuple[Point, ...], form: Form) -> list[tuple[tuple[Point, ...], bool]]:
    """The parts of full dimension where the form is at least 0 (True) and at most 0 (False); one if the form has one sign."""
    values = [value(form, corner) for corner in polygon]
    if min(values) >= 0:
        return [(polygon, max(values) > 0)]
    if max(values) <= 0:
        return [(polygon, False)]
    return [(clipped(polygon, form), True), (clipped(polygon, tuple(-a for a in form)), False)]


def _relu(polygon: tuple[Point, ...], forms: Sequence[Form]) -> Iterator[tuple[tuple[Point, ...], list[Form]]]:
    if not forms:
        yield polygon, []
        return
    for part, positive in halves(polygon, forms[0]):
        image = forms[0] if positive else tuple(Fraction(0) for _ in forms[0])
        for smaller, images in _relu(part, forms[1:]):
            yield smaller, [image, *images]


def _image(op: Affine, sources: list[list[Form]], size: int, biases: bool) -> list[Form]:
    rational = op.rational
    result = []
    for i in range(op.size):
        total = [Fraction(0)] * (size + 1)
        if biases:
            total[-1] = Fraction(int(rational.bias[i]), rational.denominator)
        for matrix, data, source in zip(op.matrices, rational.data, sources, strict=True):
            for k in range(matrix.indptr[i], matrix.indptr[i + 1]):
                weight = Fraction(int(data[k]), rational.denominator)
                total = [t + weight * v for t, v in zip(total, source[matrix.indices[k]], strict=True)]
        result.append(tuple(total))
    return result


def risk_cells(network: Network, domain: tuple[Point, ...], *, biases: bool = True) -> list[RiskCell]:
    """All cells of full dimension in the domain; without biases, those of the recession function."""
    size = network.inputs
    assert size <= 2
    inputs = [(*(Fraction(int(i == k)) for i in range(size)), Fraction(0)) for k in range(size)]

    def visit(position: int, polygon: tuple[Point, ...], forms: dict[str, list[Form]]) -> Iterator[RiskCell]:
        if position == len(network.order):
            yield RiskCell(polygon, tuple(forms[network.output]))
            return
        name = network.order[position]
        op, sources = network.op(name), [forms[s] for s in network.sources(name)]
        if isinstance(op, Input):
            yield from visit(position + 1, polygon, {**forms, name: inputs})
        elif isinstance(op, Affine):
            yield from visit(position + 1, polygon, {**forms, name: _image(op, sources, size, biases)})
        else:
            assert isinstance(op, Relu)
            for part, images in _relu(polygon, sources[0]):
                yield from visit(position + 1, part, {**forms, name: images})

    return list(visit(0, domain, {}))


def logits(network: Network, points: np.ndarray) -> np.ndarray:
    """A plain forward pass in float64: points (P, n) to logits (P, K)."""
    values: dict[str, np.ndarray] = {}
    for name in network.order:
        op, sources = network.op(name), [values[s] for s in network.sources(name)]
        if isinstance(op, Input):
            values[name] = np.asarray(points, dtype=np.float64)
        elif isinstance(op, Relu):
            values[name] = np.maximum(sources[0], 0.0)
        else:
            values[name] = sum((s @ m.toarray().T for m, s in zip(op.matrices, sources, strict=True)), op.bias[None, :])
    return values[network.output]
