r"""The worst-case zero-one risk (docs/theory.md, Zero-one loss).

With ``d_i`` the distance of sample i to the nearest point that its label does not strictly win,

.. math:: R_p(\varepsilon) = \max\{\sum_i w_i a_i : 0 \le a_i \le 1,\ \sum_i w_i a_i (d_i/\varepsilon)^p \le 1,\
          a_i = 0 \text{ if } d_i = \infty\}, \qquad R_\infty(\varepsilon) = \sum_{d_i \le \varepsilon} w_i.

This is a fractional knapsack in which every item has value per weight ``1/d_i^p``: greedy by increasing ``d_i`` is
optimal. The risk is nonincreasing in every ``d_i``, so upper ends of the distances give its lower end and the other way
round. All sums are exact; powers are exact for small integer orders and bracketed by directed rounding otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify.knapsack import fill
from wdaverify.powers import power_bracket

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroOneRisk:
    """The bracket of the worst-case zero-one risk in exact numbers.

    Attributes
    ----------
    lower, upper
        Exact ends, in [0, 1].
    moved
        The mass that the plan behind the lower end moves, per sample.
    multiplier
        ``d R / d(radius^p)`` to the right, the dual multiplier (docs/theory.md, Duality; for order 1 the price of one more
        unit of radius): ``1/d^p`` of the marginal sample behind the lower end, 0 if the budget pays for every sample
        that can be moved; ``None`` for order inf, where the risk is a step function. Reported, not used: correct to
        1e-15.
    """

    lower: Fraction
    upper: Fraction
    moved: tuple[Fraction, ...]
    multiplier: float | None


def zero_one_risk(
    lower: Sequence[float], upper: Sequence[float], weights: Sequence[Fraction], *, radius: float, order: float
) -> ZeroOneRisk:
    """Bracket the worst-case zero-one risk from brackets of the distances.

    Parameters
    ----------
    lower, upper
        ``lower[i] <= d_i <= upper[i]``, one per sample; ``inf`` where no point exists (or none is known).
    weights
        Nonnegative, with sum 1.
    radius, order
        Of the Wasserstein ball.

    Returns
    -------
    ZeroOneRisk
        Proved: the ends, given the brackets of the distances.

    Examples
    --------
    >>> half = Fraction(1, 2)
    >>> risk = zero_one_risk([1.0, 0.5], [1.0, 0.5], [half, half], radius=0.25, order=2.0)
    >>> risk.lower, risk.upper, risk.multiplier
    (Fraction(1, 4), Fraction(1, 4), 4.0)
    """
    cautious = fill(upper, weights, radius=radius, order=order, costly=True)
    generous = fill(lower, weights, radius=radius, order=order, costly=False)
    if math.isinf(order):
        price = None
    elif cautious.marginal is None:
        price = 0.0
    else:
        price = _as_float(power_bracket(1 / Fraction(upper[cautious.marginal]), order))
    return ZeroOneRisk(lower=cautious.value, upper=generous.value, moved=cautious.moved, multiplier=price)


def _as_float(bracket: tuple[Fraction, Fraction | None]) -> float:
    """The upper end as a float64; ``inf`` beyond the range."""
    try:
        return math.inf if bracket[1] is None else float(bracket[1])
    except OverflowError:
        return math.inf
