"""Prices and worst-case risks of orders p > 1 on the line, from pieces: a loss that is affine between knots, less a power.

On a piece of slope s, ``s d - lambda d^p`` is largest at an end or where ``p lambda d^(p-1) = |s|``. Slopes are exact, powers and
everything that follows are floats.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.judge_line import Line

_STEPS = 80
_PRICES = (1e-6, 1e6)
Loss = Callable[[Fraction], Fraction]


class Priced:
    """The pieces of one sample's loss: (distance of the nearer end, of the other one, loss at the nearer end, slope away)."""

    def __init__(self, line: Line, loss: Loss, label: int | None, x: Fraction) -> None:
        self.steps: list[tuple[float, float, float, float]] = []
        for a, b in pairwise(line.knots(label, [x])):
            near, far = (a, b) if a >= x else (b, a)
            slope = (loss(far) - loss(near)) / abs(far - near)
            self.steps.append((float(abs(near - x)), float(abs(far - x)), float(loss(near)), float(slope)))

    def worth(self, multiplier: float, order: float, beyond: float = 0.0) -> float:
        """``max loss(v) - multiplier |v - x|^p`` over the points that are at least so far away; -inf if there are none."""
        best = -math.inf
        for near, far, value, slope in self.steps:
            if far < beyond:
                continue
            ends = [max(near, beyond), far]
            if slope > 0.0 and multiplier > 0.0:
                exponent = math.log(slope / (order * multiplier)) / (order - 1.0)
                ends.append(min(max(math.exp(min(exponent, 50.0)), ends[0]), far))
            best = max(best, *(value + slope * (d - near) - multiplier * d**order for d in ends))
        return best


def worst_case_power(
    line: Line,
    samples: list[tuple[Fraction, int, Fraction]],
    loss: Callable[[Fraction, int], Fraction],
    radius: Fraction,
    order: float,
) -> float:
    """The worst-case expectation of a loss (point, label), by its dual, which has one valley."""
    priced = [(float(w), Priced(line, lambda v, y=y: loss(v, y), y, x)) for x, y, w in samples]  # type: ignore[misc]

    def dual(multiplier: float) -> float:
        return multiplier * float(radius) ** order + sum(w * p.worth(multiplier, order) for w, p in priced)

    low, high = (math.log(v) for v in _PRICES)
    for _ in range(_STEPS):
        left, right = low + (high - low) / 3.0, high - (high - low) / 3.0
        low, high = (low, right) if dual(math.exp(left)) <= dual(math.exp(right)) else (left, high)
    return dual(math.exp(0.5 * (low + high)))
