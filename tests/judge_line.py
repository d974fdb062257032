"""The truth about certificates on networks with one input, by exact enumeration: what every claim says, decided in rationals.

Nothing of the judge or the library is used. A network is piecewise affine on the line; its pieces are found layer by layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from tests.judge_drafts import Layers

Piece = tuple[Fraction, Fraction, list[tuple[Fraction, Fraction]]]
"""Ends of an interval, and (slope, constant) of every output on it."""
FAR = Fraction(10**6)
"""Stands for infinity: beyond every kink of the networks of these tests."""


def pieces(layers: Layers, low: Fraction, high: Fraction, *, biases: bool = True) -> list[Piece]:
    """The affine pieces of a network on [low, high]."""
    found: list[Piece] = [(low, high, [(Fraction(1), Fraction(0))])]
    for k, (w, b) in enumerate(layers):
        after: list[Piece] = []
        for left, right, forms in found:
            rows = []
            for row, shift in zip(w, b, strict=True):
                slope = sum((Fraction(v) * f[0] for v, f in zip(row, forms, strict=True)), Fraction(0))
                constant = sum(
                    (Fraction(v) * f[1] for v, f in zip(row, forms, strict=True)), Fraction(shift) if biases else Fraction(0)
                )
                rows.append((slope, constant))
            if k == len(layers) - 1:
                after.append((left, right, rows))
                continue
            cuts = sorted({-c / s for s, c in rows if s and left < -c / s < right})
            for a, z in zip([left, *cuts], [*cuts, right], strict=True):
                middle = (a + z) / 2
                zero = (Fraction(0), Fraction(0))
                after.append((a, z, [f if f[0] * middle + f[1] > 0 else zero for f in rows]))
        found = after
    return found


class Line:
    """All questions about one network on one interval."""

    def __init__(self, layers: Layers, low: Fraction, high: Fraction) -> None:
        self.layers, self.low, self.high = layers, low, high
        self.found = pieces(layers, low, high)
        self.outputs = len(layers[-1][0])

    def at(self, x: Fraction) -> list[Fraction]:
        """The outputs at a point."""
        values = [x]
        for k, (w, b) in enumerate(self.layers):
            rows = zip(w, b, strict=True)
            values = [sum((Fraction(v) * u for v, u in zip(row, values, strict=True)), Fraction(shift)) for row, shift in rows]
            values = values if k == len(self.layers) - 1 else [max(v, Fraction(0)) for v in values]
        return values

    def margin(self, x: Fraction, y: int) -> Fraction:
        """``max f_j - f_y``."""
        f = self.at(x)
        return max(v for j, v in enumerate(f) if j != y) - f[y]

    def knots(self, label: int | None, extra: Sequence[Fraction] = ()) -> list[Fraction]:
        """Ends and kinks of all outputs, and where two outputs (or a margin and -1) cross."""
        points = {self.low, self.high, *(x for x in extra if self.low <= x <= self.high)}
        for a, z, forms in self.found:
            points |= {a, z}
            shifted = [(s, c) for s, c in forms]
            for i, (s, c) in enumerate(shifted):
                for t, d in shifted[:i]:
                    for offset in (0, 1, -1) if label is not None else ():
                        if s != t and a < (d - c + offset) / (s - t) < z:
                            points.add((d - c + offset) / (s - t))
        return sorted(points)

    def largest(self, value: Any, label: int | None, extra: Sequence[Fraction] = ()) -> Fraction:
        """The maximum of a function that is affine between the knots, or convex there."""
        return max(value(x) for x in self.knots(label, extra))

    def slopes(self, coefficients: dict[int, Fraction]) -> list[Fraction]:
        """The derivatives of ``c . f`` on all pieces."""
        return [sum((w * forms[k][0] for k, w in coefficients.items()), Fraction(0)) for a, z, forms in self.found if a < z]

    def nearest(self, x: Fraction, label: int) -> Fraction | None:
        """The distance to the set where the margin is at least 0."""
        inside = [abs(v - x) for v in self.knots(label, [x]) if self.margin(v, label) >= 0]
        return min(inside, default=None)


def phi(line: Line, loss: Any, label: int | None, x: Fraction, multiplier: Fraction) -> Fraction:
    """``max loss(v) - multiplier |v - x|``, order 1."""
    return line.largest(lambda v: loss(v) - multiplier * abs(v - x), label, [x])


def worst_case(line: Line, samples: list[tuple[Fraction, int, Fraction]], loss: Any, radius: Fraction) -> Fraction:
    """The worst-case expectation of a loss (point, label) at order 1, by the dual: a convex function of the multiplier.

    It is piecewise affine; its kinks are multipliers at which two knots of a sample tie.
    """
    kinks = {Fraction(0)}
    for x, y, _ in samples:
        gains = [(loss(v, y), abs(v - x)) for v in line.knots(y, [x])]
        kinks |= {(g - h) / (d - e) for g, d in gains for h, e in gains if d > e and g > h}
    values = []
    for multiplier in kinks:
        total = multiplier * radius
        for x, y, w in samples:
            total += w * max(loss(v, y) - multiplier * abs(v - x) for v in line.knots(y, [x]))
        values.append(total)
    return min(values)
