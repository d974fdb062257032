r"""Upper ends: what weak duality says at any multiplier.

.. math:: R_p(\varepsilon) \le \lambda \varepsilon^p + \sum_i w_i \varphi_i(\lambda), \qquad
          \varphi_i(\lambda) = \max_{x \in X} [\ell(x, y_i) - \lambda \|x - x_i\|^p]

for every ``lambda >= 0`` (docs/theory.md, "Duality"). ``phi_i`` is bounded by its prices, and by growth: where
``l(x) <= l_i + min(Lambda t, S)`` with ``t = ||x - x_i||``, ``phi_i(lambda) <= l_i + max_t [min(Lambda t, S) - lambda t^p]``,
which for p = 1 and ``lambda >= Lambda`` is ``l_i`` itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from wdaverify._errors import AuditError
from wdaverify.risk.lipschitz_bounds import growth_price

if TYPE_CHECKING:
    from wdaverify._deadline import Deadline
    from wdaverify.pricing.prices import Prices
    from wdaverify.risk.columns import Columns
    from wdaverify.risk.loss_table import Loss


@dataclass(frozen=True, slots=True)
class Growth:
    """``l(x) - l_i <= min(rate ||x - x_i||, room)`` on the domain, proved; ``inf`` and ``None`` where nothing is known."""

    rate: float = math.inf
    room: Fraction | None = None


class Ceiling:
    """Proved upper bounds of ``phi_i`` of one sample, held against the points that are known.

    Parameters
    ----------
    loss, prices, columns, growth
        Of the sample.
    order
        p, finite.
    """

    def __init__(self, loss: Loss, prices: Prices, columns: Columns, growth: Growth, order: float) -> None:
        self._loss, self._prices, self._columns, self._growth, self._order = loss, prices, columns, growth, order
        self._asked = False

    def renew(self, prices: Prices) -> None:
        """Go on with prices that know more."""
        self._prices, self._asked = prices, True

    def upper(self, multiplier: float, deadline: Deadline | None = None) -> Fraction | None:
        """At most how large phi is; ``None`` where nothing is known.

        The first look at the prices bounds the network about the sample. When the deadline has passed it is not taken any
        more: growth alone tells then.

        Raises
        ------
        AuditError
            If a known point contradicts the bound.
        """
        grown = growth_price(self._growth.rate, self._growth.room, Fraction(multiplier), self._order)
        self._asked = self._asked or deadline is None or not deadline.passed
        price = self._prices.upper(multiplier) if self._asked else math.inf
        bounds = [] if grown is None else [self._columns.nominal[1] + grown]
        if math.isfinite(price):
            bounds.append(self._loss.of_price(Fraction(price)))
        elif price != math.inf:
            raise AuditError(f"the price at multiplier {multiplier:g} is bounded by {price}: no point is worth so little")
        known = self._columns.exact_best(multiplier)
        if bounds and min(bounds) < known:
            raise AuditError(
                f"at multiplier {multiplier!r} no point is said to be worth more than {float(min(bounds))!r},"
                f" but one is worth {float(known)!r}"
            )
        return min(bounds, default=None)
