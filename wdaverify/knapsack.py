r"""The fractional knapsack behind the zero-one risk: which mass moves, when moving sample i over its boundary costs ``d_i^p``.

For distances ``d_i``, weights ``w_i``, a radius and an order p (docs/theory.md, Zero-one loss):

.. math:: \max\{\sum_i w_i a_i : 0 \le a_i \le 1,\ \sum_i w_i a_i (d_i/\varepsilon)^p \le 1,\ a_i = 0 \text{ if } d_i = \infty\}

Every item has value per weight ``1/d_i^p``: greedy by increasing ``d_i`` is optimal. For order inf every sample with
``d_i <= radius`` moves. Sums are exact; powers are exact for small integer orders and bracketed by directed rounding otherwise.
What is certified and what an attack found are filled by this one function.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.powers import power_bracket

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Filling:
    """An optimal solution of the knapsack.

    Attributes
    ----------
    value
        The probability that errs: free samples and moved mass.
    moved
        Mass moved to the boundary, per sample; 0 for samples that err where they are.
    marginal
        The first sample in order of distance that is not wholly paid for; ``None`` if the budget pays for all.
    """

    value: Fraction
    moved: tuple[Fraction, ...]
    marginal: int | None


def fill(distances: Sequence[float], weights: Sequence[Fraction], *, radius: float, order: float, costly: bool) -> Filling:
    """Solve the knapsack greedily.

    Parameters
    ----------
    distances
        Nonnegative or ``inf``, one per sample.
    weights
        Nonnegative, with sum 1.
    radius, order
        Of the Wasserstein ball.
    costly
        Round costs up (the value is then attainable) instead of down (the value then cannot be exceeded).

    Returns
    -------
    Filling
        Optimal for the rounded costs; exact for integer orders up to `MAX_EXACT_ORDER` and for inf.
    """
    moved = [Fraction(0)] * len(weights)
    value = sum((w for d, w in zip(distances, weights, strict=True) if d == 0), Fraction(0))
    budget, marginal = Fraction(1), None
    reachable = (i for i, d in enumerate(distances) if 0 < d < math.inf and weights[i] > 0)
    for i in sorted(reachable, key=lambda i: (distances[i], i)):
        share = _affordable(distances[i], weights[i], budget, radius=radius, order=order, costly=costly)
        moved[i], budget = share
        value += moved[i]
        if moved[i] < weights[i]:
            marginal = i
            break
    return Filling(value, tuple(moved), marginal)


def _affordable(
    distance: float, weight: Fraction, budget: Fraction, *, radius: float, order: float, costly: bool
) -> tuple[Fraction, Fraction]:
    """The mass of one sample that the budget (in units of ``radius^p``) pays for, and what is left of the budget."""
    if radius == 0 or math.isinf(order):
        return (weight if distance <= radius else Fraction(0)), budget
    low, high = power_bracket(Fraction(distance) / Fraction(radius), order)
    price = high if costly else low
    if price is None:
        return Fraction(0), budget
    if weight * price <= budget:
        return weight, budget - weight * price
    return budget / price, Fraction(0)
