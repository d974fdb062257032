r"""Prices of nonnegative forms of the margins, shared by all forms that are multiples of one another.

For weights a >= 0 of the rivals, ``psi(a, lambda) = max_x sum_c a_c (f_c - f_y)(x) - lambda cost(x)`` is positively homogeneous:

.. math:: \psi(s\,a, \lambda) = s\,\psi(a, \lambda / s), \qquad s > 0,

so that a form of one class alone is priced by the margin of that class, whatever its weight. Rounding ``lambda / s`` downward is
safe, because psi does not grow with lambda.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from wdaverify.ir.logit_rows import with_logit_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from wdaverify._deadline import Deadline
    from wdaverify._types import Matrix, Vector
    from wdaverify.pricing.prices import PriceQuestion, Prices

_LARGEST = 1e300
"""Multipliers are not asked beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class FormPrices:
    """``psi(weights, .)`` as ``scale`` times prices of a smaller form; ``None`` is the form 0, whose price is 0 at the sample."""

    scale: float
    prices: Prices | None

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of ``psi(weights, multiplier)``."""
        if self.prices is None:
            return 0.0
        value = self.prices.upper(self._multiplier(multiplier))
        return value if self.scale == 1.0 else math.nextafter(self.scale * value, math.inf)

    def work(self, multiplier: float, *, cut: float, gap: float, deadline: Deadline) -> Matrix | None:
        """As `Prices.work`, for the form; ``None`` where there is nothing to work on."""
        if self.prices is None:
            return None
        least = math.nextafter(0.0, 1.0)
        cut, gap = _finite(cut / self.scale), max(_finite(gap / self.scale), least)
        return self.prices.work(self._multiplier(multiplier), cut=cut, gap=gap, deadline=deadline)

    def _multiplier(self, multiplier: float) -> float:
        """A multiplier of the smaller form: at most the true quotient."""
        if self.scale == 1.0 or multiplier == 0.0:
            return multiplier
        return min(max(math.nextafter(multiplier / self.scale, 0.0), 0.0), _LARGEST)


class Directions:
    """The forms that were asked about so far."""

    def __init__(self, question: PriceQuestion, price: Callable[[PriceQuestion], Prices]) -> None:
        self._question, self._price = question, price
        self._known: dict[tuple[float, ...], Prices] = {}

    def form(self, weights: Vector, warm: Matrix) -> FormPrices:
        """The prices of ``sum_c weights_c (f_c - f_label)``.

        Parameters
        ----------
        weights
            Shape (K,), nonnegative, with sums that are exact in float64; that of the label does not count.
        warm
            Points (P, n) offered to prices that are new.
        """
        rivals = weights.copy()
        rivals[self._question.label] = 0.0
        used = np.flatnonzero(rivals)
        if not len(used):
            return FormPrices(0.0, None)
        scale = float(rivals[used[0]]) if len(used) == 1 else 1.0
        rivals = rivals / scale
        key = tuple(rivals.tolist())
        if key not in self._known:
            self._known[key] = self._price(self._row_question(rivals))
            self._known[key].offer(warm)
        return FormPrices(scale, self._known[key])

    def _row_question(self, rivals: Vector) -> PriceQuestion:
        """The question whose margin is the form; of two classes, the question itself."""
        question = self._question
        if question.network.outputs == 2:
            return question
        coefficients = rivals.copy()
        coefficients[question.label] = -rivals.sum()
        return replace(question, network=with_logit_row(question.network, coefficients), label=0)


def _finite(value: float) -> float:
    return min(max(value, -_LARGEST), _LARGEST)
