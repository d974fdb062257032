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


class Directions:
    """The forms that were asked about so far. Prices are built when a form is first worked on: many never are."""

    def __init__(self, question: PriceQuestion, price: Callable[[PriceQuestion], Prices]) -> None:
        self._question, self._price = question, price
        self._known: dict[tuple[float, ...], Prices] = {}

    def form(self, weights: Vector) -> FormPrices:
        """The prices of ``sum_c weights_c (f_c - f_label)``.

        Parameters
        ----------
        weights
            Shape (K,), nonnegative, with sums that are exact in float64; that of the label does not count.
        """
        rivals = weights.copy()
        rivals[self._question.label] = 0.0
        used = np.flatnonzero(rivals)
        scale = float(rivals[used[0]]) if len(used) == 1 else float(len(used) > 0)
        return FormPrices(self, scale, tuple((rivals / scale if scale else rivals).tolist()))

    def known(self, rivals: tuple[float, ...]) -> Prices | None:
        """The prices of a form, if it was worked on."""
        return self._known.get(rivals)

    def opened(self, rivals: tuple[float, ...], warm: Matrix) -> Prices:
        """The prices of a form; where they are new, the points `warm` (P, n) are offered to them."""
        if rivals not in self._known:
            prices = self._price(self._row_question(rivals))
            prices.offer(warm)
            self._known[rivals] = prices
        return self._known[rivals]

    def _row_question(self, rivals: tuple[float, ...]) -> PriceQuestion:
        """The question whose margin is the form; of two classes, the question itself."""
        question = self._question
        if question.network.outputs == 2:
            return question
        coefficients = np.array(rivals)
        coefficients[question.label] = -coefficients.sum()
        return replace(question, network=with_logit_row(question.network, coefficients), label=0)


@dataclass(frozen=True, slots=True, eq=False)
class FormPrices:
    """``psi(scale rivals, .)``; with the scale 0 it is the form 0, whose price is 0 at the sample.

    Attributes
    ----------
    rivals
        Weights (K,), 0 at the label.
    """

    directions: Directions
    scale: float
    rivals: tuple[float, ...]

    def upper(self, multiplier: float) -> float:
        """A proved upper bound of the price, ``inf`` if the form was never worked on."""
        if self.scale == 0.0:
            return 0.0
        prices = self.directions.known(self.rivals)
        if prices is None:
            return math.inf
        value = prices.upper(self._multiplier(multiplier))
        return value if self.scale == 1.0 else math.nextafter(self.scale * value, math.inf)

    def work(self, multiplier: float, warm: Matrix, *, cut: float, gap: float, deadline: Deadline) -> Matrix:
        """As `Prices.work`, for the form; points `warm` are offered to prices that are new."""
        if self.scale == 0.0:
            return np.zeros((0, warm.shape[1]))
        cut, gap = _finite(cut / self.scale), max(_finite(gap / self.scale), math.nextafter(0.0, 1.0))
        prices = self.directions.opened(self.rivals, warm)
        return prices.work(self._multiplier(multiplier), cut=cut, gap=gap, deadline=deadline)

    def _multiplier(self, multiplier: float) -> float:
        """A multiplier of the smaller form: at most the true quotient."""
        if self.scale == 1.0 or multiplier == 0.0:
            return multiplier
        return min(max(math.nextafter(multiplier / self.scale, 0.0), 0.0), _LARGEST)


def _finite(value: float) -> float:
    return min(max(value, -_LARGEST), _LARGEST)
