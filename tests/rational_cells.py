"""The cells of planar networks in rational arithmetic: polygons cut by lines. Nothing of the package but the graph is used."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.ir.ops import Affine, Input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wdaverify.ir.network import Network

Point = tuple[Fraction, Fraction]
Form = tuple[Fraction, Fraction, Fraction]
"""``a x + b y + c``."""

ZERO: Form = (Fraction(0), Fraction(0), Fraction(0))


def value(form: Form, point: Point) -> Fraction:
    return form[0] * point[0] + form[1] * point[1] + form[2]


def clipped(polygon: list[Point], form: Form) -> list[Point]:
    """The part of a convex polygon where a form is at least 0 (Sutherland and Hodgman 1974)."""
    part: list[Point] = []
    for p, q in zip(polygon, polygon[1:] + polygon[:1], strict=True):
        a, b = value(form, p), value(form, q)
        if a >= 0:
            part.append(p)
        if a * b < 0:
            t = a / (a - b)
            part.append((p[0] + t * (q[0] - p[0]), p[1] + t * (q[1] - p[1])))
    return part


def split(polygon: list[Point], forms: list[Form]) -> Iterator[tuple[list[Point], list[Form]]]:
    """The full-dimensional parts in which every form has one sign, with what ReLU makes of the forms there."""
    if not forms:
        yield polygon, []
        return
    first, *others = forms
    values = [value(first, p) for p in polygon]
    halves = []
    if max(values) > 0:  # a point of positive value in a full-dimensional polygon: its part is full-dimensional
        halves.append((polygon if min(values) >= 0 else clipped(polygon, first), first))
    if min(values) < 0 or max(values) <= 0:
        negative: Form = (-first[0], -first[1], -first[2])
        halves.append((polygon if max(values) <= 0 else clipped(polygon, negative), ZERO))
    for part, image in halves:
        for smaller, images in split(part, others):
            yield smaller, [image, *images]


def affine(op: Affine, sources: list[list[Form]]) -> list[Form]:
    """The exact image of forms."""
    rational = op.rational
    result = []
    for i in range(op.size):
        total = [Fraction(0), Fraction(0), Fraction(int(rational.bias[i]), rational.denominator)]
        for matrix, data, source in zip(op.matrices, rational.data, sources, strict=True):
            for k in range(matrix.indptr[i], matrix.indptr[i + 1]):
                weight = Fraction(int(data[k]), rational.denominator)
                total = [t + weight * v for t, v in zip(total, source[matrix.indices[k]], strict=True)]
        result.append((total[0], total[1], total[2]))
    return result


def output_forms(network: Network, low: float, high: float) -> Iterator[list[Form]]:
    """The logits as affine functions on every full-dimensional cell of the square [low, high]^2."""
    for _, forms in output_cells(network, low, high):
        yield forms


def output_cells(network: Network, low: float, high: float) -> Iterator[tuple[list[Point], list[Form]]]:
    """The cells themselves, with the logits there."""
    a, b = Fraction(low), Fraction(high)
    one = Fraction(1)
    inputs: list[Form] = [(one, Fraction(0), Fraction(0)), (Fraction(0), one, Fraction(0))]

    def visit(position: int, polygon: list[Point], forms: dict[str, list[Form]]) -> Iterator[tuple[list[Point], list[Form]]]:
        if position == len(network.order):
            yield polygon, forms[network.output]
            return
        name = network.order[position]
        op, sources = network.op(name), [forms[s] for s in network.sources(name)]
        if isinstance(op, Input):
            yield from visit(position + 1, polygon, {**forms, name: inputs})
        elif isinstance(op, Affine):
            yield from visit(position + 1, polygon, {**forms, name: affine(op, sources)})
        else:
            for part, images in split(polygon, sources[0]):
                yield from visit(position + 1, part, {**forms, name: images})

    yield from visit(0, [(a, a), (b, a), (b, b), (a, b)], {})
