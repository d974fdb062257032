"""Convex polygons with rational corners: the planar cells of a network, exactly.

A polygon is the list of its corners in order. It is cut by half-planes one after the other (Sutherland and Hodgman, Reentrant
Polygon Clipping, 1974). All numbers are rational, so that neighbouring cells share their edges and areas add up exactly.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from wdaverify.ir.exact_piece import exact_forms, exact_forms_of_neurons

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wdaverify._types import BoolArray
    from wdaverify.domain import Box
    from wdaverify.ir.exact_piece import ExactForms
    from wdaverify.ir.network import Network

Corner: TypeAlias = tuple[Fraction, Fraction]
Polygon: TypeAlias = tuple[Corner, ...]
Line: TypeAlias = tuple[Fraction, Fraction, Fraction]
"""``a x + b y + c``, by its coefficients."""


def rectangle(box: Box) -> Polygon:
    """The corners of a bounded box in the plane, counterclockwise."""
    (x0, y0), (x1, y1) = ([Fraction(v) for v in end.tolist()] for end in (box.lower, box.upper))
    return (x0, y0), (x1, y0), (x1, y1), (x0, y1)


def value(line: Line, corner: Corner) -> Fraction:
    """``a x + b y + c`` at a corner."""
    return line[0] * corner[0] + line[1] * corner[1] + line[2]


def clipped(polygon: Polygon, line: Line) -> Polygon:
    """The part of a convex polygon where the line's form is at least 0; empty, a corner or an edge if no more is left.

    Examples
    --------
    >>> square = tuple((Fraction(x), Fraction(y)) for x, y in [(0, 0), (1, 0), (1, 1), (0, 1)])
    >>> area(clipped(square, (Fraction(1), Fraction(1), Fraction(-1))))
    Fraction(1, 2)
    """
    values = [value(line, corner) for corner in polygon]
    if all(v >= 0 for v in values):
        return polygon
    kept: list[Corner] = []
    sides = list(zip(polygon, values, strict=True))
    for (a, at_a), (b, at_b) in pairwise([*sides, *sides[:1]]):
        if at_a >= 0:
            kept.append(a)
        if (at_a > 0 > at_b) or (at_a < 0 < at_b):
            share = at_a / (at_a - at_b)
            kept.append((a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))
    return tuple(dict.fromkeys(kept))


def area(polygon: Polygon) -> Fraction:
    """Of a polygon with corners counterclockwise (the shoelace formula)."""
    twice = sum((a[0] * b[1] - a[1] * b[0] for a, b in pairwise([*polygon, *polygon[:1]])), Fraction(0))
    return twice / 2


def cell_polygon(network: Network, phases: BoolArray, box: Box) -> Polygon:
    """The closed cell of a pattern of phases (neurons,) in a bounded planar box."""
    polygon = rectangle(box)
    neurons = np.arange(network.compiled.neurons)
    for line, active in zip(lines_of(exact_forms_of_neurons(network, phases, neurons)), phases.tolist(), strict=True):
        polygon = clipped(polygon, line if active else (-line[0], -line[1], -line[2]))
        if not polygon:
            break
    return polygon


def logit_lines(network: Network, phases: BoolArray) -> list[Line]:
    """The logits as functions on the cell of a pattern, one per output."""
    identity = np.eye(network.outputs, dtype=np.int64).astype(object)
    return lines_of(exact_forms(network, phases, {network.compiled.output: identity}, 1))


def lines_of(forms: ExactForms) -> list[Line]:
    """Affine functions of two inputs by their coefficients."""
    return [
        (Fraction(int(a), forms.denominator), Fraction(int(b), forms.denominator), Fraction(int(c), forms.denominator))
        for (a, b), c in zip(forms.coefficients.tolist(), forms.constants.tolist(), strict=True)
    ]


def ties(polygon: Polygon, logits: Sequence[Line]) -> list[tuple[Corner, Corner]]:
    """The segments of a cell on which two classes tie for the largest logit: the decision boundary there.

    Examples
    --------
    Class 0 and class 1 tie where ``x = 1/2``:

    >>> square = tuple((Fraction(x), Fraction(y)) for x, y in [(0, 0), (1, 0), (1, 1), (0, 1)])
    >>> zero = Fraction(0)
    >>> [segment] = ties(square, [(zero, zero, Fraction(1, 2)), (Fraction(1), zero, zero)])
    >>> sorted(tuple(map(str, corner)) for corner in segment)
    [('1/2', '0'), ('1/2', '1')]
    """
    segments: list[tuple[Corner, Corner]] = []
    for k, winner in enumerate(logits):
        region = polygon
        leads = [(winner[0] - other[0], winner[1] - other[1], winner[2] - other[2]) for other in logits]
        for lead in leads:
            region = clipped(region, lead)
        for lead in leads[k + 1 :]:
            ends = [corner for corner in region if value(lead, corner) == 0]
            if len(ends) == 2 and any(lead[:2]):
                segments.append((ends[0], ends[1]))
    return segments
